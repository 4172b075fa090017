import Platform
import Contracts
import JSON
import RedisClient
import ServiceKit

/// What became of one attempt.
enum DeliveryResult: Equatable {
    case delivered
    /// To be tried again.
    case failed(DeliveryFailure)
    /// Can never be delivered; the sentence says why.
    case unusable(String)
}

/// The time of deliveries: waits by a clock that never jumps, ages by the wall. Milliseconds.
struct DeliveryClock {
    var monotonic: () -> Int64 = { Int64(Clock.monotonicNanoseconds / 1_000_000) }
    var wall: () -> Int64 = { Clock.milliseconds }
    var sleep: (Int) -> Void = { Clock.sleep(milliseconds: $0) }
}

/// The stages `deliver` and `record` for one receiver, on one thread.
///
/// - Entries are held, at most `capacity`, until they are delivered or given up; a held entry is renewed, so that no other sink takes it.
/// - A receiver that is away blocks its own outbox: the oldest entry is tried again with backoff, nothing new is read.
/// - A receiver that refuses one alert does not hold up the others: that entry waits by itself, with its own backoff.
/// - An entry older than `maximumAge`, and tried for a minute, is given up after the next failure, into the dead letters; it leaves the
///   outbox only when the dead letter is on the broker.
/// - A sink that dies leaves its entries in the outbox: it finds them when it comes back under its name, another sink after
///   `abandonedAfter`.
///
/// Guarantee: every admitted alert is delivered at least once, or becomes a dead letter. After a crash between delivery and record it is
/// delivered again, under the same id.
final class Delivery {
    /// Most entries that are held.
    static let capacity = 64
    /// Milliseconds for which even an alert that is already too old is tried.
    private static let fairChance: Int64 = 60_000

    private struct Held {
        let entry: OutboxEntry
        /// Monotonic time at which it came into this sink's hands, milliseconds.
        let since: Int64
        var backoff = Backoff(initial: 500, maximum: 60_000)
        /// Not before this monotonic time, milliseconds.
        var due: Int64 = 0
        /// Delivered, but Redis was away when it was to be recorded: never deliver it twice for that.
        var isDelivered = false
    }

    private let outbox: Outbox
    private let receiver: any AlertReceiver
    private let metrics: DeliveryMetrics
    private let log: Logger
    private let maximumAge: Int64
    private let clock: DeliveryClock
    private let giveUp: (OutboxEntry, _ group: String, _ id: String, _ detail: String) throws -> Void

    private var held: [Held] = []
    /// The receiver is not tried before this monotonic time, milliseconds.
    private var blockedUntil: Int64 = 0
    private var away = Backoff(initial: 100, maximum: 10_000)
    private var nextUpkeep: Int64 = 0
    private var nextClaim: Int64 = 0

    /// - Parameters:
    ///   - maximumAge: milliseconds.
    ///   - giveUp: makes a dead letter of the entry and returns when it is on the broker.
    init(
        outbox: Outbox, receiver: any AlertReceiver, metrics: DeliveryMetrics, log: Logger, maximumAge: Int64,
        clock: DeliveryClock = DeliveryClock(), giveUp: @escaping (OutboxEntry, _ group: String, _ id: String, _ detail: String) throws -> Void
    ) {
        self.outbox = outbox
        self.receiver = receiver
        self.metrics = metrics
        self.log = log
        self.maximumAge = maximumAge
        self.clock = clock
        self.giveUp = giveUp
    }

    // MARK: outbox

    /// The next entry to try; waits for one. Nil when `turn` says that it is time to end.
    func next(_ turn: Turn) throws -> OutboxEntry? {
        while !turn.isOver {
            let now = self.now
            try upkeep(now)
            // What was delivered while Redis was away is recorded first.
            for item in held where item.isDelivered { try forget(item.entry) }
            let isBlocked = now < blockedUntil
            if !isBlocked, let ready = held.first(where: { $0.due <= now }) { return ready.entry }
            if isBlocked || held.count >= Self.capacity {
                // An outbox that is stuck is not waited for at the end: it is safe where it is.
                if turn.isDraining { return nil }
                clock.sleep(20)
                continue
            }
            let wait = turn.isDraining ? 0 : max(1, min(200, (held.map(\.due).min() ?? .max) - now))
            let fresh = try outbox.read(Self.capacity - held.count, wait: Int(wait))
            hold(fresh)
            if turn.isDraining, fresh.isEmpty { return nil }
        }
        return nil
    }

    // MARK: deliver

    /// One attempt on the receiver.
    func attempt(_ entry: OutboxEntry, _ turn: Turn) -> DeliveryResult {
        let alert: AlertRecord
        do { alert = try AlertRecord(parsing: entry.alert) } catch {
            return .unusable("The message in the outbox cannot be read: \(error.message)")
        }
        do {
            try receiver.deliver(alert, entry, shouldContinue: { !turn.isOver })
            let now = clock.wall()
            metrics.delivery.observe(Double(now - entry.admittedAt) / 1000)
            metrics.latency.observe(Double(now - alert.anomaly.producedAt) / 1000)
            return .delivered
        } catch {
            return .failed(error)
        }
    }

    // MARK: record

    /// Writes down what became of the attempt: out of the outbox, or when to try again.
    func record(_ entry: OutboxEntry, _ result: DeliveryResult) throws {
        switch result {
        case .delivered:
            metrics.sent.add()
            if away.attempts > 0 { log.info("the receiver takes alerts again", ["receiver": receiver.name]) }
            away.reset()
            if let index = held.firstIndex(where: { $0.entry.id == entry.id }) { held[index].isDelivered = true }
            try forget(entry)
        case .failed(let failure) where failure.kind == .stopped: break
        case .failed(let failure):
            metrics.failures.add()
            postpone(entry, failure)
            // Where the receiver as a whole fails, all that is too old goes; otherwise one refused alert would take others with it.
            for item in held where isExpired(item) && (failure.blocksReceiver || item.entry.id == entry.id) {
                try bury(item.entry, "The receiver \(receiver.name) did not take the alert for \(maximumAge / 1000) s: \(failure.message)")
            }
        case .unusable(let sentence): try bury(entry, sentence)
        }
    }

    /// Too old, and not only because this sink itself was down: the receiver had a fair chance.
    private func isExpired(_ item: Held) -> Bool {
        !item.isDelivered && item.entry.admittedAt <= clock.wall() - maximumAge
            && now - item.since >= min(maximumAge, Self.fairChance)
    }

    private func postpone(_ entry: OutboxEntry, _ failure: DeliveryFailure) {
        let now = self.now
        if failure.blocksReceiver {
            if away.attempts == 0 {
                log.warning("a receiver does not take alerts; they wait", ["receiver": receiver.name, "error": failure.message])
            }
            blockedUntil = now + max(Int64(away.next()), failure.retryAfter)
        }
        if failure.blocksEntry, let index = held.firstIndex(where: { $0.entry.id == entry.id }) {
            if held[index].backoff.attempts == 0, !failure.blocksReceiver {
                log.warning("a receiver refused an alert; it is tried again", ["receiver": receiver.name, "error": failure.message])
            }
            held[index].due = now + Int64(held[index].backoff.next())
        }
    }

    private func bury(_ entry: OutboxEntry, _ detail: String) throws {
        let record = try? JSONValue.parse(entry.anomaly)
        try giveUp(entry, record?["entity"]?.string ?? "", record?["id"]?.string ?? entry.id, detail)
        metrics.givenUp.add()
        log.error("an alert was given up", ["receiver": receiver.name, "reason": detail])
        try forget(entry)
    }

    private func forget(_ entry: OutboxEntry) throws {
        try outbox.finish(entry.id)
        held.removeAll { $0.entry.id == entry.id }
    }

    // MARK: Ownership

    private func hold(_ entries: [OutboxEntry]) {
        let (known, now) = (Set(held.map(\.entry.id)), self.now)
        for entry in entries where !known.contains(entry.id) { held.append(Held(entry: entry, since: now)) }
    }

    /// About once a second: gauges and renewal; every ten seconds the entries of sinks that died.
    private func upkeep(_ now: Int64) throws {
        guard now >= nextUpkeep else { return }
        let kept = try outbox.renew(held.map(\.entry.id))
        held.removeAll { !kept.contains($0.entry.id) }
        if now >= nextClaim, held.count < Self.capacity {
            hold(try outbox.claimAbandoned(Self.capacity - held.count))
            nextClaim = now + 10_000
        }
        let (waiting, oldest) = try outbox.state()
        metrics.waiting.set(Double(waiting))
        metrics.oldest.set(oldest.map { Double(max(0, clock.wall() - $0)) / 1000 } ?? 0)
        nextUpkeep = now + 1_000
    }

    /// The end of the thread: whoever comes next gets what is left at once.
    func leave() throws(RedisError) { try outbox.leave(held.map(\.entry.id)) }

    /// Closes the receiver's connections.
    func close() { receiver.close() }

    private var now: Int64 { clock.monotonic() }
}
