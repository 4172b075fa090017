import Alerting
import AlertStore
import RedisClient

/// The stages from `enrich` to `route` over a batch, with the store around them: load, decide, write; again where another sink was faster.
final class Decisions {
    /// What became of the sightings of one batch.
    struct Outcome: Equatable {
        var raised = 0
        var joined = 0
        var silenced = 0
        var inhibited = 0
        var cleared = 0
        var seenBefore = 0
        /// Of bursts that were over before anybody was told.
        var untold = 0
        /// By occasion.
        var told: [Occasion: Int] = [:]

        mutating func note(_ fate: Fate) {
            switch fate {
            case .raised: raised += 1
            case .joined: joined += 1
            case .silenced: silenced += 1
            case .inhibited: inhibited += 1
            case .cleared, .nothingToClear: cleared += 1
            case .seenBefore: seenBefore += 1
            }
        }

        mutating func note(_ book: AlertBook) {
            untold += Int(book.untold)
            for notice in book.notices { told[notice.occasion, default: 0] += 1 }
        }
    }

    /// Milliseconds after which a new silence is noticed.
    private static let silencesInterval: Int64 = 1_000
    /// Most timers that are looked after in one go.
    private static let mostTimers = 256

    let store: AlertStore
    private var engine: AlertEngine
    private let messages: Messages
    private var silencesAt: Int64 = .min
    private var latest: Int64 = .min

    init(_ store: AlertStore, _ policy: AlertPolicy, _ messages: Messages) {
        self.store = store
        engine = AlertEngine(policy)
        self.messages = messages
    }

    /// Decides about anomalies in their order.
    /// - Throws: a retryable error where Redis is away or an outbox is full; then call again with all of them: nothing was decided, or
    ///   everything was, and is then seen as handled before.
    func decide(_ sightings: [Sighting], now: Int64) throws(RedisError) -> Outcome {
        let now = try begin(now)
        var sightings = sightings
        for index in sightings.indices { engine.enrich(&sightings[index]) }
        while true {
            var outcome = Outcome()
            var book = try store.load(for: sightings, by: engine)
            for sighting in sightings { outcome.note(engine.take(sighting, now: now, &book)) }
            outcome.note(book)
            if try store.commit(&book, messages.outgoing(book.notices)) { return outcome }
        }
    }

    /// Decides about groups whose time has come, under the lease.
    func lookAfterTimers(now: Int64, lease: String) throws(RedisError) -> Outcome {
        let now = try begin(now)
        let due = try store.due(now, Self.mostTimers)
        if due.isEmpty { return Outcome() }
        var book = try store.load(groups: due.filter { $0 != Fuse.key })
        for key in due {
            if key != Fuse.key, book.groups[key] == nil { try store.forgetTimer(key) }
            engine.look(key, now: now, &book)
        }
        var outcome = Outcome()
        outcome.note(book)
        // Where somebody was faster, the timers that are left are still due.
        return try store.commit(&book, messages.outgoing(book.notices), lease: lease) ? outcome : Outcome()
    }

    /// The time of the decisions, which never goes back, and the silences that hold then.
    private func begin(_ now: Int64) throws(RedisError) -> Int64 {
        latest = max(latest, now)
        if silencesAt == .min || latest - silencesAt >= Self.silencesInterval {
            engine.silences = try store.silences(latest)
            silencesAt = latest
        }
        return latest
    }
}
