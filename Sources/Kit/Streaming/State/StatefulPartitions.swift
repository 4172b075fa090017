import KafkaClient
import RedisClient
import ServiceKit

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
    private let carryOut: (OwnedPartition<State>, State.Decision, _ isReplay: Bool) throws -> Void
    private var owned: [OwnedPartition<State>?] = []
    private var lastTick: Int64 = 0
    private let snapshots: Counter
    private let snapshotBytes: Counter
    private let snapshotSeconds: Histogram
    private let rebuilt: Counter

    /// - Parameters:
    ///   - interval: seconds between two snapshots of a partition.
    ///   - idleAfter: milliseconds without a record after which a partition counts as idle.
    ///   - carryOut: does what the clock decided and makes its effects durable; they are already where `isReplay`.
    public init(
        _ service: Service, redis: RedisSettings, store: @escaping @Sendable (RedisClient) -> StateStore, interval: Double, idleAfter: Int64,
        make: @escaping (Int32) -> State, carryOut: @escaping (OwnedPartition<State>, State.Decision, _ isReplay: Bool) throws -> Void
    ) {
        self.service = service
        client = RedisClient(redis)
        self.store = store(client)
        writer = SnapshotWriter(redis, store)
        self.interval = interval
        self.idleAfter = idleAfter
        self.make = make
        self.carryOut = carryOut
        snapshots = service.metrics.counter("vyuha_snapshots_total", "Snapshots of a partition's state that were stored.")
        snapshotBytes = service.metrics.counter("vyuha_snapshot_bytes_total", "Bytes of state in those snapshots, before compression.")
        snapshotSeconds = service.metrics.histogram("vyuha_snapshot_seconds", "Time to store the snapshot of a partition.")
        rebuilt = service.metrics.counter("vyuha_state_rebuilds_total", "Partitions whose state was rebuilt from Kafka.")
    }

    /// Every partition that is ours.
    public func forEach(_ body: (OwnedPartition<State>) -> Void) {
        for case let partition? in owned { body(partition) }
    }

    /// The state of a partition that is ours, as it stands.
    public func state(of partition: Int32) -> State? { find(partition)?.state }

    // MARK: Records

    /// Goes through a batch in order: repeats what the clock had decided before a record, and hands each record that is not part of the state yet to
    /// `body`, which applies it. Afterwards it is part of the state. Records of partitions that are not ours are passed over.
    /// - Parameter body: state, record, and whether the record is only read again to rebuild the state, since its effects are durable.
    public func apply(
        _ batch: borrowing RecordBatch, _ body: (OwnedPartition<State>, ConsumedRecord, _ isReplay: Bool) throws -> Void
    ) throws {
        let records = batch.records
        let now = Clock.milliseconds
        var index = 0
        while index < records.count {
            let partition = records[index].partition
            var end = index + 1
            while end < records.count, records[end].partition == partition { end += 1 }
            if let owned = find(partition) {
                try apply(records[index..<end], of: batch, to: owned, body)
                owned.lastArrival = now
            }
            index = end
        }
    }

    private func apply(
        _ records: ArraySlice<ConsumedRecord>, of batch: borrowing RecordBatch, to owned: OwnedPartition<State>,
        _ body: (OwnedPartition<State>, ConsumedRecord, _ isReplay: Bool) throws -> Void
    ) throws {
        var isReady = false
        for record in records where record.offset >= owned.next {
            if !isReady || !owned.decisions.isEmpty {
                guard try prepare(owned, for: record.offset) else { return }
                if !isReady { owned.state.willApply(records, of: batch) }
                isReady = true
            }
            try body(owned, record, record.offset < owned.effectsFrom)
            owned.next = record.offset + 1
            owned.isDirty = true
        }
    }

    /// The same for one record that is not in a batch.
    /// - Returns: whether it was applied; otherwise it was before, or the partition is not ours.
    @discardableResult public func apply(
        _ partition: Int32, at offset: Int64, _ body: (OwnedPartition<State>, _ isReplay: Bool) throws -> Void
    ) throws -> Bool {
        guard let owned = find(partition), offset >= owned.next, try prepare(owned, for: offset) else { return false }
        try body(owned, offset < owned.effectsFrom)
        owned.next = offset + 1
        owned.isDirty = true
        return true
    }

    /// Brings the state to where the record at the offset can be applied.
    /// - Returns: false where somebody else has the partition.
    private func prepare(_ owned: OwnedPartition<State>, for offset: Int64) throws -> Bool {
        try repeatDecisions(of: owned, upTo: offset)
        guard let decision = owned.state.decisionNeeded else { return true }
        return try decide(owned, decision)
    }

    private func repeatDecisions(of owned: OwnedPartition<State>, upTo offset: Int64) throws {
        while let due = owned.decisions.first, due.offset <= offset {
            owned.decisions.removeFirst()
            guard let decision = State.Decision(rawValue: due.value) else { continue }
            // Below the committed offset the effects are durable; at it they may or may not be, and are repeated under the same identity.
            try carryOut(owned, decision, due.offset < owned.effectsFrom)
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
            var decisions = snapshot?.decisions ?? []
            var parts = 0
            if let snapshot, !snapshot.parts.isEmpty {
                if snapshot.offset > floor {
                    service.log.warning(
                        "stored state is ahead of the committed offset and is rebuilt",
                        ["partition": partition, "offset": snapshot.offset, "committed": floor])
                    (start, decisions) = (rebuildStart(place, state), [])
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
            decisions.removeAll { $0.offset < start }
            let owned = OwnedPartition(partition, state, start: start, effectsFrom: floor, token: token, decisions: decisions)
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
            try pass(now - owned.lastArrival, in: owned)
        }
    }

    /// No record came for so many milliseconds: repeats what was decided here before, and decides what is due now.
    func pass(_ silence: Int64, in owned: OwnedPartition<State>) throws {
        try repeatDecisions(of: owned, upTo: owned.next)
        if silence >= idleAfter, let decision = owned.state.decisionDue(silence: silence) { _ = try decide(owned, decision) }
    }

    /// Puts a decision of the clock on record for the place where the partition stands, and carries it out.
    /// - Returns: false where somebody else has the partition; nothing was done then.
    func decide(_ owned: OwnedPartition<State>, _ decision: State.Decision) throws -> Bool {
        // A snapshot without the decision must not take it off the record.
        try finishStoring()
        let entry = StateStore.Decision(offset: owned.next, value: decision.rawValue)
        let answer = try retrying { _ throws(RedisError) in try self.store.journal(owned.token, entry) }
        guard answer == .stored else { return false }
        try carryOut(owned, decision, false)
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
