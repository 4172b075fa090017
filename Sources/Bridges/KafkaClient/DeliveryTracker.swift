import CRDKafka
import Glibc

/// Stands for everything that one `KafkaProducer.send` queued; tickets rise with every send.
public struct DeliveryTicket: Comparable, Hashable, Sendable {
    let number: UInt64

    /// Before every send.
    public static let none = DeliveryTicket(number: 0)

    public static func < (left: DeliveryTicket, right: DeliveryTicket) -> Bool { left.number < right.number }
}

/// Counts the records of each send until all are delivered, so that a caller can know "everything up to here is on the broker".
///
/// Locked once per send and once per delivery report event (many records), never per record.
/// `@unchecked Sendable`: every stored variable is read and written under the mutex.
final class DeliveryTracker: @unchecked Sendable {
    private struct Send {
        var remaining: Int
        var hasFailed = false
    }

    /// Sends that are not wholly delivered yet, oldest at `head`; the first has the ticket number `delivered + 1`.
    private var sends: [Send] = []
    private var head = 0
    private var lastDelivered: UInt64 = 0
    private var pending = 0
    private var failures = 0
    private var firstFailure: KafkaError?
    private var fatal: KafkaError?
    /// Bounded by the client's queue: nothing more is sent until somebody clears the failures.
    private var refused: [RefusedRecord] = []

    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let changed: UnsafeMutablePointer<pthread_cond_t>

    init() {
        mutex = .allocate(capacity: 1)
        changed = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        // Deadlines must not move with the wall clock.
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(changed, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    private func locked<R>(_ body: () throws(KafkaError) -> R) throws(KafkaError) -> R {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body()
    }

    private func locked<R>(_ body: () -> R) -> R {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }

    var outstanding: Int { locked { pending } }
    var hasFailed: Bool { locked { fatal != nil || failures > 0 } }
    var delivered: DeliveryTicket { locked { DeliveryTicket(number: lastDelivered) } }

    /// Opens a send of `count` records before the first is queued, for reports may come at once.
    func open(_ count: Int) throws(KafkaError) -> DeliveryTicket {
        try locked { () throws(KafkaError) in
            if let failure { throw failure }
            if count == 0 { return DeliveryTicket(number: lastDelivered + UInt64(sends.count - head)) }
            sends.append(Send(remaining: count))
            pending += count
            return DeliveryTicket(number: lastDelivered + UInt64(sends.count - head))
        }
    }

    /// Takes back records of a send that were not queued.
    func takeBack(_ count: Int, of ticket: DeliveryTicket) {
        locked { settle(count, of: ticket.number) }
    }

    /// Records of one send that share one outcome.
    struct Report {
        var ticket: UInt64
        var count: Int
        var error: KafkaError?
        /// The records, where they were refused for what they are.
        var refused: [RefusedRecord] = []
    }

    /// Takes in delivery reports and wakes those who wait for deliveries or for room in the queue.
    func add(_ reports: [Report]) {
        locked {
            for report in reports {
                if let error = report.error {
                    failures += report.count
                    refused += report.refused
                    if firstFailure == nil { firstFailure = error }
                    let index = index(of: report.ticket)
                    if sends.indices.contains(index) { sends[index].hasFailed = true }
                }
                settle(report.count, of: report.ticket)
            }
        }
    }

    func fail(_ error: KafkaError) {
        locked {
            if fatal == nil { fatal = error }
            pthread_cond_broadcast(changed)
        }
    }

    private func index(of ticket: UInt64) -> Int { head + Int(ticket - lastDelivered) - 1 }

    private func settle(_ count: Int, of ticket: UInt64) {
        let index = index(of: ticket)
        guard sends.indices.contains(index) else { return }
        sends[index].remaining -= count
        pending -= count
        advance()
        pthread_cond_broadcast(changed)
    }

    private func advance() {
        while head < sends.count, sends[head].remaining == 0, !sends[head].hasFailed {
            head += 1
            lastDelivered += 1
        }
        // Amortised: each entry is moved at most once per doubling.
        if head > 1024, head * 2 > sends.count {
            sends.removeFirst(head)
            head = 0
        }
    }

    /// What callers must hear before anything else.
    private var failure: KafkaError? {
        if let fatal { return fatal }
        guard let cause = firstFailure else { return nil }
        let count = failures == 1 ? "1 record was" : "\(failures) records were"
        var error = KafkaError(
            code: rd_kafka_resp_err_t(cause.code), "\(count) not delivered; the first because: \(cause.message)", isRetryable: false,
            topicPartition: cause.topicPartition)
        error.failedDeliveries = failures
        return error
    }

    /// Forgets failed deliveries; returns how many records they were. A fatal error stays.
    func clearFailures() -> Int {
        locked {
            let count = failures
            forgetFailures()
            return count
        }
    }

    /// The refused records, if nothing else has failed; they are the caller's then, and no failures any more.
    func takeRefused() -> [RefusedRecord] {
        locked {
            guard fatal == nil, !refused.isEmpty, refused.count == failures else { return [] }
            let taken = refused
            forgetFailures()
            return taken
        }
    }

    private func forgetFailures() {
        failures = 0
        firstFailure = nil
        refused = []
        for index in sends.indices { sends[index].hasFailed = false }
        advance()
        pthread_cond_broadcast(changed)
    }

    func throwFailure() throws(KafkaError) {
        try locked { () throws(KafkaError) in
            if let failure { throw failure }
        }
    }

    /// Waits until every send up to `ticket` is delivered; throws failures at once.
    func wait(for ticket: DeliveryTicket, until deadline: Deadline) throws(KafkaError) {
        try locked { () throws(KafkaError) in
            while true {
                if let failure { throw failure }
                if lastDelivered >= ticket.number { return }
                guard wait(until: deadline) else { throw timeout }
            }
        }
    }

    /// Waits until nothing is outstanding, then throws failures.
    func waitUntilEmpty(until deadline: Deadline) throws(KafkaError) {
        try locked { () throws(KafkaError) in
            while pending > 0, fatal == nil {
                guard wait(until: deadline) else { throw failure ?? timeout }
            }
            if let failure { throw failure }
        }
    }

    /// Waits for any delivery; `false` when the deadline passed.
    func waitForProgress(until deadline: Deadline) throws(KafkaError) -> Bool {
        try locked { () throws(KafkaError) in
            if let failure { throw failure }
            // Room may have come between the full queue and this lock, so a wait is short whatever the deadline.
            return wait(until: min(deadline, Deadline(milliseconds: 20))) || !deadline.hasPassed
        }
    }

    private var timeout: KafkaError {
        KafkaError(
            code: RD_KAFKA_RESP_ERR__TIMED_OUT, "\(pending) records are still waiting for the broker's acknowledgement; wait longer.")
    }

    private func wait(until deadline: Deadline) -> Bool {
        var time = deadline.time
        return pthread_cond_timedwait(changed, mutex, &time) == 0
    }
}

/// A point on the monotonic clock.
struct Deadline: Comparable {
    let time: timespec

    init(milliseconds: Int) {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        let nanoseconds = now.tv_nsec + (max(milliseconds, 0) % 1000) * 1_000_000
        time = timespec(
            tv_sec: now.tv_sec + max(milliseconds, 0) / 1000 + nanoseconds / 1_000_000_000, tv_nsec: nanoseconds % 1_000_000_000)
    }

    var hasPassed: Bool { self <= Deadline(milliseconds: 0) }

    /// Whole milliseconds left, rounded up.
    var remainingMilliseconds: Int {
        let now = Deadline(milliseconds: 0).time
        return max((time.tv_sec - now.tv_sec) * 1000 + (time.tv_nsec - now.tv_nsec + 999_999) / 1_000_000, 0)
    }

    static func == (left: Deadline, right: Deadline) -> Bool {
        left.time.tv_sec == right.time.tv_sec && left.time.tv_nsec == right.time.tv_nsec
    }

    static func < (left: Deadline, right: Deadline) -> Bool {
        (left.time.tv_sec, left.time.tv_nsec) < (right.time.tv_sec, right.time.tv_nsec)
    }
}
