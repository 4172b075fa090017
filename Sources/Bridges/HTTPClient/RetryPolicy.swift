import Glibc

/// When a request is sent again, and how long to wait before.
///
/// Whether a repeat does no harm is for the caller to know: a POST whose connection broke may have been received. A receiver that
/// keeps an idempotency key makes it safe.
public struct RetryPolicy: Sendable, Equatable {
    /// Most attempts in all, from 1.
    public var maximumAttempts = 5
    /// Bound of the first wait in milliseconds; it doubles with each attempt, and the wait is a random part of it ("full jitter").
    public var initialBackoff = 100
    /// Bound of every such wait in milliseconds.
    public var maximumBackoff = 5_000
    /// Longest time for everything, waits included, in milliseconds.
    public var deadline = 30_000
    /// Statuses after which the same request may succeed.
    public var retryableStatuses: Set<Int> = [408, 425, 429, 500, 502, 503, 504]

    /// The defaults.
    public init() {}

    /// The wait after so many attempts (from 1), in milliseconds.
    func wait(after attempts: Int) -> Int {
        let bound = min(max(1, maximumBackoff), max(1, initialBackoff) << min(attempts - 1, 20))
        return Int.random(in: 1...bound)
    }
}

extension HTTPClient {
    /// Sends the request, and sends it again after a passing failure, as the policy says.
    ///
    /// `Retry-After` of the response is a lower bound of the wait; where it goes beyond the deadline, the response is returned
    /// at once.
    ///
    /// - Parameters:
    ///   - shouldContinue: asked every 20 ms while waiting; false ends it with the kind ``HTTPClientError/Kind/stopped``.
    ///   - onRetry: told why, before each wait: for a log line or a metric.
    /// - Returns: the last response, which may still be a failure.
    /// - Throws: the last error where the last attempt had no response.
    public func send(
        _ request: HTTPRequest, retry policy: RetryPolicy, shouldContinue: () -> Bool = { true }, onRetry: (String) -> Void = { _ in }
    ) throws(HTTPClientError) -> HTTPResponse {
        let end = monotonicMilliseconds() + policy.deadline
        var attempts = 0
        var request = request
        let longest = request.timeout ?? timeout
        while true {
            attempts += 1
            request.timeout = max(1, min(longest, end - monotonicMilliseconds()))
            let response: HTTPResponse?
            let failure: HTTPClientError?
            do throws(HTTPClientError) {
                response = try send(request, shouldContinue: shouldContinue)
                failure = nil
            } catch {
                response = nil
                failure = error
            }
            if let failure, !failure.isRetryable { throw failure }
            if let response, !policy.retryableStatuses.contains(response.status) { return response }
            // A time beyond any deadline must not overflow.
            let asked = min(response?.retryAfter ?? 0, 1 << 32) * 1000
            let wait = max(asked, policy.wait(after: attempts))
            if attempts >= policy.maximumAttempts || monotonicMilliseconds() + wait >= end {
                if let response { return response }
                if let failure { throw failure }
            }
            onRetry(failure?.message ?? "The server answered with status \(response?.status ?? 0).")
            guard sleep(milliseconds: wait, while: shouldContinue) else {
                throw HTTPClientError(.stopped, "Waiting to send the request again was ended by a stop.")
            }
        }
    }
}

/// Milliseconds of the monotonic clock.
private func monotonicMilliseconds() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
}

/// Sleeps in short pieces, so that a stop is heard within 20 ms; false when told to stop.
private func sleep(milliseconds: Int, while shouldContinue: () -> Bool) -> Bool {
    let end = monotonicMilliseconds() + milliseconds
    while shouldContinue() {
        let left = end - monotonicMilliseconds()
        if left <= 0 { return true }
        var time = timespec(tv_sec: 0, tv_nsec: min(left, 20) * 1_000_000)
        nanosleep(&time, nil)
    }
    return false
}
