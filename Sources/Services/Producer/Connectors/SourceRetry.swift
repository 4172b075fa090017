import Platform
import ServiceKit

/// A server that has no usable answer is asked again, later and later, and never in silence: the reason is logged when it is another one and every few
/// minutes, counted, and shown by `/ready` once it lasts. One owner thread.
struct SourceRetry {
    /// Seconds after which the same reason is logged again.
    private static let repeatAfter = 300.0
    /// So many failures in a row are worth a word at `/ready`; fewer are everyday life.
    private static let lasting = 3

    private let name: String
    private let service: Service
    private let failures: Counter
    private var backoff: Backoff
    private var said = ""
    private var sayAgainAt = 0.0
    private var isShown = false

    init(_ name: String, maximum: Int, _ service: Service) {
        self.name = name
        self.service = service
        backoff = Backoff(initial: 200, maximum: maximum)
        failures = service.metrics.counter("vyuha_source_failures_total", "Questions that had no usable answer and are asked again.")
    }

    /// - Parameter seconds: the server's own wish.
    /// - Returns: monotonic seconds before which nothing should be asked.
    mutating func failed(_ why: String, atLeast seconds: Int = 0) -> Double {
        failures.add()
        let pause = max(Double(backoff.next()) / 1_000, Double(min(seconds, 3_600)))
        let now = Clock.monotonicSeconds
        if why != said || now >= sayAgainAt {
            service.log.warning("the source has no usable answer and is asked again", ["source": name, "why": why, "attempts": backoff.attempts])
            said = why
            sayAgainAt = now + Self.repeatAfter
        }
        if backoff.attempts >= Self.lasting {
            service.life.trouble = "\(name): \(why)"
            isShown = true
        }
        return now + pause
    }

    mutating func succeeded() {
        guard backoff.attempts > 0 else { return }
        service.log.info("the source answers again", ["source": name])
        backoff.reset()
        said = ""
        if isShown { service.life.trouble = nil }
        isShown = false
    }
}
