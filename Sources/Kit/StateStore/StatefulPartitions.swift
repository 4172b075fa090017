import KafkaClient
import RedisClient
import ServiceKit

/// State that a partition can have: it can be written down and read back, whole or as what changed.
public protocol PartitionStateful: AnyObject {
    /// - Parameter whole: everything; otherwise what changed since the last call.
    func write(whole: Bool) -> [UInt8]
    /// Reads a whole state and then its changes, in order. Throws where the bytes are foreign or damaged.
    func restore(_ parts: [[UInt8]]) throws
    /// What an owner must know to rebuild this state from fewer than all events, should its snapshot be gone: travels with the committed
    /// offset. Nil when every event is needed.
    var rebuildNote: String? { get }
    /// Begins anew from such a note, of a state that was like this one.
    /// - Returns: the first offset to apply; nil when the note is foreign, and then every event is needed.
    func beginRebuild(_ note: String) -> Int64?
    /// The state was restored from its snapshot; the note came with the committed offset.
    func resume(_ note: String)
    /// What time decided without an event: the event time to go on to, if any. Asked when no record came for a while.
    /// - Parameter silence: milliseconds since the partition's last record arrived.
    func advanceDue(silence: Int64) -> Int64?
}

/// State of which every event may be needed.
extension PartitionStateful {
    public var rebuildNote: String? { nil }
    public func beginRebuild(_ note: String) -> Int64? { nil }
    public func resume(_ note: String) {}
}

/// A partition that this service owns.
public final class OwnedPartition<State: PartitionStateful> {
    public let partition: Int32
    public fileprivate(set) var state: State
    /// Offset of the next record to apply; what is below it was applied already.
    public fileprivate(set) var next: Int64
    /// Records below this offset only rebuild the state: their effects are durable.
    public let effectsFrom: Int64
    fileprivate var token: StateStore.Token
    /// Decisions of the clock that a former owner put on record, to be repeated at their offsets.
    fileprivate var advances: [StateStore.Advance]
    fileprivate var parts = 0
    fileprivate var isDirty = false
    fileprivate var lastArrival = Clock.milliseconds

    /// Whether the record at this offset can be applied without a look at anything else: it was not yet, and no decision of the clock is due.
    public func isNext(_ offset: Int64) -> Bool { advances.isEmpty && offset >= next }

    fileprivate init(_ partition: Int32, _ state: State, start: Int64, effectsFrom: Int64, token: StateStore.Token, advances: [StateStore.Advance]) {
        self.partition = partition
        self.state = state
        next = start
        self.effectsFrom = effectsFrom
        self.token = token
        self.advances = advances
    }
}

/// The state of every partition that this service owns, kept through crashes and hand-overs.
///
/// - A record is applied once: what is below `next` is dropped.
/// - Decisions of the clock are on record before their effects are (`StateStore.journal`), so a replay repeats them at the same offset.
/// - Snapshots cover committed offsets only. One that is ahead of the commit, foreign or damaged is dropped, with a line in the log, and the
///   state is rebuilt from the records that Kafka still has.
public final class StatefulPartitions<State: PartitionStateful>: PartitionOwner {
    /// Changes appended before a snapshot is written as a whole again: bounds the replay of changes and their size in Redis.
    private static var partsBeforeWhole: Int { 20 }
    /// Milliseconds without a record after which a partition's silence is judged.
    private let idleAfter: Int64

    public let interval: Double
    /// Of the topic that is read; 0 before the loop has asked for it, which it does before anything is read.
    public private(set) var partitionCount = 0
    private let service: Service
    private let client: RedisClient
    private let store: StateStore
    private let writer: SnapshotWriter
    /// Whether the writer has a snapshot whose outcome is not known.
    private var isStoring = false
    private let make: (Int32) -> State
    /// Carries out an advance of event time and makes its effects durable; `silently` when they already are.
    private let advance: (OwnedPartition<State>, _ to: Int64, _ silently: Bool) throws -> Void
    private var owned: [OwnedPartition<State>?] = []
    private var lastTick: Int64 = 0
    private let snapshots: Counter
    private let snapshotBytes: Counter
    private let snapshotSeconds: Histogram
    private let rebuilt: Counter

    /// - Parameters:
    ///   - interval: seconds between two snapshots of a partition.
    ///   - idleAfter: milliseconds without a record after which a partition counts as idle.
    public init(
        _ service: Service, redis: RedisSettings, store: @escaping @Sendable (RedisClient) -> StateStore, interval: Double, idleAfter: Int64,
        make: @escaping (Int32) -> State, advance: @escaping (OwnedPartition<State>, _ to: Int64, _ silently: Bool) throws -> Void
    ) {
        self.service = service
        client = RedisClient(redis)
        self.store = store(client)
        writer = SnapshotWriter(redis, store)
        self.interval = interval
        self.idleAfter = idleAfter
        self.make = make
        self.advance = advance
        snapshots = service.metrics.counter("vyuha_snapshots_total", "Snapshots of a partition's state that were stored.")
        snapshotBytes = service.metrics.counter("vyuha_snapshot_bytes_total", "Bytes of state in those snapshots, before compression.")
        snapshotSeconds = service.metrics.histogram("vyuha_snapshot_seconds", "Time to store the snapshot of a partition.")
        rebuilt = service.metrics.counter("vyuha_state_rebuilds_total", "Partitions whose state was rebuilt from Kafka.")
    }

    public func forEach(_ body: (OwnedPartition<State>) -> Void) {
        for case let partition? in owned { body(partition) }
    }

    /// The partition's state for the record at `offset`, with every decision of the clock before it repeated; nil when the record was
    /// applied already or the partition is not ours. Call `applied` afterwards.
    public func state(of partition: Int32, at offset: Int64) throws -> OwnedPartition<State>? {
        guard Int(partition) < owned.count, let owned = owned[Int(partition)], offset >= owned.next else { return nil }
        try repeatAdvances(owned, upTo: offset)
        return owned
    }

    /// The state of a partition that is ours, as it stands.
    public func state(of partition: Int32) -> State? { find(partition)?.state }

    /// The record at `offset` is part of the state now.
    public func applied(_ owned: OwnedPartition<State>, _ offset: Int64) {
        owned.next = offset + 1
        owned.isDirty = true
    }

    /// Records of this partition arrived just now.
    public func arrived(_ partition: Int32, _ now: Int64) {
        if Int(partition) < owned.count { owned[Int(partition)]?.lastArrival = now }
    }

    private func repeatAdvances(_ owned: OwnedPartition<State>, upTo offset: Int64) throws {
        while let due = owned.advances.first, due.offset <= offset {
            owned.advances.removeFirst()
            // Below the committed offset the effects are durable; at it they may or may not be, and are repeated under the same identity.
            try advance(owned, due.time, due.offset < owned.effectsFrom)
            owned.isDirty = true
        }
    }

    // MARK: PartitionOwner

    public func check(_ topic: String, partitions: Int) throws {
        let before = try retrying { _ throws(RedisError) in try self.store.partitions(of: topic, now: partitions) }
        partitionCount = partitions
        if before != partitions { throw PartitionsChanged(topic: topic, before: before, now: partitions, service: service.name) }
    }

    public func take(_ committed: [PartitionOffset]) throws -> [PartitionOffset] {
        try committed.map { place in
            let partition = place.topicPartition.partition
            let floor = max(place.offset, 0)
            let (token, snapshot, problem) = try retrying { _ throws(RedisError) in try self.store.take(partition) }
            if let problem { service.log.warning("stored state is not used", ["partition": partition, "problem": problem]) }
            var state = make(partition)
            var start = floor
            var advances = snapshot?.advances ?? []
            var parts = 0
            if let snapshot, !snapshot.parts.isEmpty {
                if snapshot.offset > floor {
                    service.log.warning(
                        "stored state is ahead of the committed offset and is rebuilt",
                        ["partition": partition, "offset": snapshot.offset, "committed": floor])
                    (start, advances) = (rebuildStart(place, state), [])
                } else {
                    do {
                        try state.restore(snapshot.parts)
                        start = snapshot.offset
                        parts = snapshot.parts.count
                        if let note = place.metadata { state.resume(note) }
                    } catch {
                        service.log.warning("stored state is not used", ["partition": partition, "problem": "\(error)"])
                        state = make(partition)
                        start = rebuildStart(place, state)
                    }
                }
            } else if place.offset >= 0 {
                start = rebuildStart(place, state)
            }
            advances.removeAll { $0.offset < start }
            let owned = OwnedPartition(partition, state, start: start, effectsFrom: floor, token: token, advances: advances)
            owned.parts = parts
            put(owned)
            return PartitionOffset(place.topicPartition, start)
        }
    }

    /// The oldest record that the state could need: what the committed offset's note says, or else everything that Kafka still has of the
    /// partition is read again, silently. (`auto.offset.reset` makes 0 the oldest record that retention has left.)
    private func rebuildStart(_ place: PartitionOffset, _ state: State) -> Int64 {
        guard place.offset > 0 else { return 0 }
        rebuilt.add()
        let start = place.metadata.flatMap { state.beginRebuild($0) } ?? 0
        service.log.warning("state is rebuilt from Kafka", ["partition": place.topicPartition.partition, "from": start, "up_to": place.offset])
        return min(start, place.offset)
    }

    /// The note is about the state after everything below the offset, and nothing else.
    public func metadata(of partition: TopicPartition, at offset: Int64) -> String? {
        guard let owned = find(partition.partition), owned.next == offset else { return nil }
        return owned.state.rebuildNote
    }

    public func committed(_ partition: TopicPartition, _ offset: Int64) throws {
        try finishStoring()
        guard let owned = find(partition.partition), owned.isDirty, owned.next == offset else { return }
        store(owned, whole: !(1...Self.partsBeforeWhole).contains(owned.parts))
    }

    private func store(_ owned: OwnedPartition<State>, whole: Bool) {
        writer.begin(.init(token: owned.token, offset: owned.next, isWhole: whole, state: owned.state.write(whole: whole)))
        isStoring = true
        owned.isDirty = false
    }

    public func finishStoring() throws {
        while isStoring {
            let outcome = writer.wait()
            isStoring = false
            // Who took the partition anew meanwhile has read what was stored by then.
            guard let owned = find(outcome.snapshot.token.partition), owned.token == outcome.snapshot.token else { return }
            try note(outcome, of: owned)
        }
    }

    private func note(_ outcome: SnapshotWriter.Outcome, of owned: OwnedPartition<State>) throws {
        switch outcome.answer {
        case .success(.stored):
            owned.parts = outcome.snapshot.isWhole ? 1 : owned.parts + 1
            snapshots.add()
            snapshotBytes.add(outcome.snapshot.state.count)
            snapshotSeconds.observe(outcome.seconds)
            return
        case .success(.fenced):
            service.log.warning("a snapshot was refused: the partition has another owner", ["partition": owned.partition])
        case .success(.wantsWhole):
            // Where more was applied since, the next snapshot is the whole one.
            if owned.next == outcome.snapshot.offset { return store(owned, whole: true) }
        case .failure(let error):
            guard error.isRetryable else { throw error }
            service.log.warning("a snapshot waits because Redis does not take it", ["partition": owned.partition, "error": "\(error)"])
        }
        // What was written down as changes must come again.
        owned.parts = 0
        owned.isDirty = true
    }

    public func left(_ partitions: [TopicPartition]) {
        for partition in partitions where Int(partition.partition) < owned.count { owned[Int(partition.partition)] = nil }
    }

    public func tick() throws {
        let now = Clock.milliseconds
        guard now - lastTick >= 1_000 else { return }
        lastTick = now
        for case let owned? in owned where owned.next >= owned.effectsFrom {
            try repeatAdvances(owned, upTo: owned.next)
            let silence = now - owned.lastArrival
            guard silence >= idleAfter, let time = owned.state.advanceDue(silence: silence) else { continue }
            _ = try decide(owned, time)
        }
    }

    /// Puts a decision of the clock on record for the place where the partition stands, and carries it out.
    /// - Returns: false where somebody else has the partition; nothing was done then.
    public func decide(_ owned: OwnedPartition<State>, _ time: Int64) throws -> Bool {
        // A snapshot without the decision must not take it off the record.
        try finishStoring()
        let decision = StateStore.Advance(offset: owned.next, time: time)
        let answer = try retrying { _ throws(RedisError) in try self.store.journal(owned.token, decision) }
        guard answer == .stored else { return false }
        try advance(owned, time, false)
        owned.isDirty = true
        return true
    }

    // MARK: Parts

    private func find(_ partition: Int32) -> OwnedPartition<State>? { Int(partition) < owned.count ? owned[Int(partition)] : nil }

    private func put(_ partition: OwnedPartition<State>) {
        while owned.count <= Int(partition.partition) { owned.append(nil) }
        owned[Int(partition.partition)] = partition
    }

    /// State cannot go on without Redis. A short absence is bridged here; a longer one is the loop's, which forgets what it began, waits, and
    /// starts over from the committed offsets.
    private func retrying<T>(_ body: (RedisClient) throws(RedisError) -> T) throws(RedisError) -> T {
        let life = service.life
        return try client.retrying(
            within: 3_000,
            shouldContinue: {
                life.turned()
                return !life.isStopping
            }, onWait: { _ in }, body)
    }
}

/// The number of partitions is not the one that the state was built with.
public struct PartitionsChanged: Error, CustomStringConvertible {
    let topic: String
    let before: Int
    let now: Int
    let service: String

    public var description: String {
        "The topic \(topic) has \(now) partitions, but the state of \(service) was built with \(before): entities are in other partitions now. "
            + "Give the topic \(before) partitions again, or run 'vyuhactl reset' and begin with new topics and an empty state."
    }
}
