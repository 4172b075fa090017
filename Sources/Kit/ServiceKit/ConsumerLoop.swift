import Platform
import KafkaClient
import RedisClient

/// The loop of every consuming service: poll a batch, have its effects made durable, commit.
///
/// - Offsets are committed only after `handle` returned, at most every `commitInterval`, before partitions are handed over, and at the end.
/// - Exactly-once, each batch is one transaction of its outlet, with the offsets inside.
/// - When `handle` throws something that may pass (Kafka or Redis away), the loop does what it would do after a crash (`startOver`): it forgets
///   what was not committed, waits with a backoff while it keeps polling so that the membership lives on, and reads from the committed offsets
///   again. Effects must therefore be idempotent.
/// - When `handle` throws anything else, or ended the process, the records are handled one by one, and the one that does it is a dead letter
///   after bounded tries (`PoisonGuard`).
/// - What a broker refuses for good (too large, not valid) is the fault of the record that it came from, and handled like one that breaks its handler.
/// - While this goes on `/ready` says so.
/// - Records that retention deleted before they were read are counted (`RetentionWatch`).
/// - What no waiting mends ends `run`.
public final class ConsumerLoop {
    /// Bounds how long a stop waits for the poll, milliseconds.
    private static let pollTimeout = 200
    /// Seconds between commits: what a crash makes the next owner read again is bounded by this.
    private static let commitInterval = 0.2
    private static let lagInterval = 2.0
    /// Records of a batch from which on it is worth waiting for more of them, and seconds that a round then takes at least: requests cost a
    /// broker more than records do, so results that keep coming leave in fewer and larger ones. What comes one by one is not held up.
    private static let busy = (batch: 16, round: 0.005)
    /// Seconds without a failure after which nothing is said to hold the loop up any more: longer than its longest pause.
    private static let calm = 15.0

    /// Of a partition that this group has not read before.
    public enum Beginning: Sendable { case oldest, newest }

    private let service: Service
    private let common: CommonSettings
    private let topics: [String]
    private let group: String
    private let maximum: Int
    private let processed: Counter
    private let retries: Counter
    private let rebalances: Counter
    private let partitions: Gauge
    private let owner: (any PartitionOwner)?
    private let outlet: Outlet?
    /// The outlet, exactly-once only.
    private let transactions: Outlet?
    /// Index of the dead-letter topic in the outlet; nil: a record that breaks its handler ends the loop.
    private let deadLetterTopic: Int?
    private let beginsAt: Beginning?
    private let poison: PoisonGuard
    private var retention: RetentionWatch
    private var counts: PartitionCounts
    private var lagGauges: [TopicPartition: Gauge] = [:]

    /// Next offset to read, per partition, of what was handled and not yet committed.
    private var pending: [TopicPartition: Int64] = [:]
    private var assigned: Set<TopicPartition> = []
    /// Of failures in a row.
    private var backoff = Backoff()
    /// Committed when the partition came: what is read again below it only rebuilds state.
    private var floors: [TopicPartition: Int64] = [:]
    /// What was committed since the owner was last told.
    private var settled: [TopicPartition: Int64] = [:]
    /// What was last sent to be committed; the answers come later.
    private var sent: [TopicPartition: Int64] = [:]
    /// Whose state was stored last.
    private var turn: TopicPartition?
    private var failedCommits = 0
    private var rebalanceError: (any Error)?
    /// Why partitions that came could not be begun: they are, as after a failure, before a record of them is handled.
    private var notTaken: (any Error)?
    private var lastFailure = 0.0
    private var isHeldUp = false
    private var lastCommit = Clock.monotonicSeconds
    private var lastSettled = Clock.monotonicSeconds
    private var lastLag = 0.0

    /// - Parameters:
    ///   - group: consumer group, `<use case>.<service>`.
    ///   - batch: most records that one call of `handle` gets.
    ///   - owner: keeps state per partition; nil for a service that has none.
    ///   - outlet: where `handle` sends its records.
    ///   - deadLetterTopic: index of the dead-letter topic in the outlet's batch.
    ///   - beginsAt: where a partition begins of which nothing was committed yet, and that is committed before a record is handled, so that a restart
    ///     goes on from there; nil: at the oldest, and nothing is committed for it.
    public init(
        _ common: CommonSettings, _ service: Service, topics: [String], group: String, batch: Int, owner: (any PartitionOwner)? = nil,
        outlet: Outlet? = nil, deadLetterTopic: Int? = nil, beginsAt: Beginning? = nil
    ) {
        self.beginsAt = beginsAt
        self.outlet = outlet
        transactions = outlet?.isTransactional == true ? outlet : nil
        self.deadLetterTopic = deadLetterTopic
        poison = PoisonGuard(common, service)
        retention = RetentionWatch(service)
        counts = PartitionCounts(service, topics: topics)
        self.service = service
        self.owner = owner
        self.common = common
        self.topics = topics
        self.group = group
        maximum = batch
        processed = service.metrics.counter("events_processed_total", "Records that were handled and whose effects are durable.")
        retries = service.metrics.counter("vyuha_batch_retries_total", "Batches handled again because Kafka or Redis was away.")
        rebalances = service.metrics.counter("vyuha_rebalances_total", "Changes of this consumer's partitions.")
        partitions = service.metrics.gauge("vyuha_assigned_partitions", "Partitions that this consumer reads now.")
    }

    /// Runs until the service is asked to stop; then commits, leaves the group and returns.
    /// - Parameter handle: makes every effect of the batch durable. Called on this thread only.
    public func run(_ handle: (borrowing RecordBatch) throws -> Void) throws {
        let kafka = service.logging(common.kafka)
        guard try KafkaAdmin(kafka).waitUntilReachable(service) else { return }
        service.life.obstacle = "waiting for partitions"
        try transactions?.prepareTransactions()
        let consumer = try KafkaConsumer(kafka, group: group, instanceID: common.instanceID) { [unowned self] consumer, event in
            rebalanced(consumer, event)
        }
        try checkCounts(consumer)
        guard !service.life.isStopping else { return consumer.close() }
        try consumer.subscribe(topics)
        var batch = RecordBatch()
        while !service.life.isStopping {
            service.life.turned()
            try poll(consumer, into: &batch, timeout: Self.pollTimeout)
            let began = Clock.monotonicSeconds
            #if VYUHA_BROKEN_COMMIT_FIRST
                // Wrong on purpose, so that `make crash-test` can show that it would notice: offsets first, effects later, as much later as
                // with a slow broker; a quick one's millisecond is missed by most kills.
                note(BatchSpans(batch, from: floors))
                try commit(consumer, wait: true)
                if !batch.isEmpty { Clock.sleep(milliseconds: 20) }
            #endif
            if let error = notTaken {
                try startOver(consumer, after: error)
                continue
            }
            if !batch.isEmpty { try carryThrough(batch, consumer, handle) }
            try tick(consumer)
            let now = Clock.monotonicSeconds
            if isHeldUp, now - lastFailure > Self.calm { recovered() }
            // One partition at a time, in turn: storing all of them at once would hold up every event for as long as that takes.
            if let owner, now - lastSettled >= owner.interval / Double(max(1, assigned.count)) {
                try settle(consumer, owner)
            } else if now - lastCommit >= Self.commitInterval {
                try commit(consumer, wait: false)
            }
            if now - lastLag >= Self.lagInterval { measureLag(consumer, now) }
            if counts.isDue(now) { try checkCounts(consumer) }
            // A full batch has more behind it already.
            if batch.count >= Self.busy.batch, batch.count < maximum { Clock.sleep(until: began + Self.busy.round) }
        }
        try commit(consumer, wait: true)
        consumer.close()
        if let rebalanceError { throw rebalanceError }
    }

    // MARK: Handling

    /// Makes the batch's effects durable and notes its offsets, or goes back to where the batch can be read again.
    private func carryThrough(
        _ batch: borrowing RecordBatch, _ consumer: KafkaConsumer, _ body: (borrowing RecordBatch) throws -> Void
    ) throws {
        let spans = BatchSpans(batch, from: floors)
        retention.look(spans, consumer)
        do {
            if poison.suspects(spans) {
                try handleOneByOne(batch, consumer, body)
            } else {
                try body(batch)
                try transactions?.commit(noted(spans.offsets), of: consumer)
                note(spans)
            }
            processed.add(batch.count)
            if isHeldUp { recovered() }
        } catch  where deadLetterTopic != nil && Self.isAboutData(error) {
            poison.suspect(spans)
            try startOver(consumer, after: error)
        } catch  where Self.mayPass(error) {
            try startOver(consumer, after: error)
        }
    }

    private func recovered() {
        service.log.info("records are handled again")
        service.life.trouble = nil
        isHeldUp = false
        backoff.reset()
    }

    /// Each record by itself, with what is known about it; one that has broken its handler too often becomes a dead letter instead.
    private func handleOneByOne(
        _ batch: borrowing RecordBatch, _ consumer: KafkaConsumer, _ body: (borrowing RecordBatch) throws -> Void
    ) throws {
        for index in 0..<batch.count {
            service.life.turned()
            let record = batch.only(index)
            let spans = BatchSpans(record, from: floors)
            if let outlet, let deadLetterTopic, poison.isPoison(record) {
                // Below the committed offset it is a dead letter already.
                if !spans.offsets.isEmpty {
                    try outlet.deliverPoison(record, topic: deadLetterTopic, attempts: PoisonGuard.limit, error: poison.error(of: record))
                }
            } else {
                do { try body(record) } catch {
                    poison.broke(record, error)
                    throw error
                }
            }
            try transactions?.commit(spans.offsets, of: consumer)
            note(spans)
            poison.survived(record)
        }
    }

    /// Whether the same call may succeed later without anybody changing the data or the settings.
    private static func mayPass(_ error: any Error) -> Bool {
        switch error {
        case let error as KafkaError: (error.isRetryable || error.requiresAbort) && !error.isFatal
        // A wait that a stop has ended is no failure either.
        case let error as RedisError: error.isRetryable || error.kind == .stopped
        default: false
        }
    }

    /// Whether the handler stumbled over a record: what Kafka and Redis refuse for good (a wrong password, a fenced producer) would hit
    /// every record, except for a result that is too large or not valid on its topic.
    private static func isAboutData(_ error: any Error) -> Bool {
        if let error = error as? KafkaError { return error.refusesRecord && !error.isFatal }
        return !(error is RedisError)
    }

    /// What the owner does without a record, in a transaction of its own.
    private func tick(_ consumer: KafkaConsumer) throws {
        guard let owner else { return }
        do {
            try owner.tick()
            try transactions?.commit([], of: consumer)
        } catch  where Self.mayPass(error) {
            try startOver(consumer, after: error)
        }
    }

    /// Forgets what was not committed (the open transaction, what waits to be sent, the state) and goes back to the committed offsets and to
    /// the state stored of them, as after a crash; before that it waits, longer after each failure in a row.
    private func startOver(_ consumer: KafkaConsumer, after error: any Error) throws {
        if backoff.attempts == 0 { service.log.warning("records are read again, since handling them failed", ["error": "\(error)"]) }
        failed(error)
        while !service.life.isStopping {
            retries.add()
            try consumer.pause(Array(assigned))
            do {
                try outlet?.abandon()
                try commit(consumer, wait: true)
                try wait(consumer, milliseconds: backoff.next())
                let places = Array(assigned)
                owner?.left(places)
                pending.removeAll()
                sent.removeAll()
                settled.removeAll()
                let starts = try take(consumer, places)
                notTaken = nil
                try consumer.seek(starts)
                try consumer.resume(Array(assigned))
                if !assigned.isEmpty { service.life.obstacle = nil }
                return
            } catch  where Self.mayPass(error) || (error as? KafkaError)?.name == "_STATE" {
                // _STATE: a partition that came just now has not begun to be read.
                service.log.warning("reading again waits for a server", ["error": "\(error)"])
                failed(error)
            }
        }
    }

    private func failed(_ error: any Error) {
        lastFailure = Clock.monotonicSeconds
        isHeldUp = true
        service.life.trouble = "\(error)"
    }

    /// A server that is away is waited for: without knowing with how many partitions its state was built, nothing can be read.
    private func checkCounts(_ consumer: KafkaConsumer) throws {
        var backoff = Backoff()
        while !service.life.isStopping {
            service.life.turned()
            do {
                try counts.check(consumer, owner)
                if backoff.attempts > 0 { recovered() }
                return
            } catch  where Self.mayPass(error) {
                if backoff.attempts == 0 { service.log.warning("reading waits for a server", ["error": "\(error)"]) }
                failed(error)
                Clock.sleep(milliseconds: backoff.next())
            }
        }
    }

    /// Polls paused partitions for that long: nothing comes, but the group sees this member alive and rebalances are served.
    private func wait(_ consumer: KafkaConsumer, milliseconds: Int) throws {
        let end = Clock.monotonicNanoseconds + UInt64(milliseconds) * 1_000_000
        var nothing = RecordBatch(byteCapacity: 0, recordCapacity: 0)
        while Clock.monotonicNanoseconds < end, !service.life.isStopping {
            service.life.turned()
            // Records of partitions that come meanwhile are read again from where those begin.
            try poll(consumer, into: &nothing, timeout: min(milliseconds, Self.pollTimeout))
            try consumer.pause(Array(assigned))
        }
    }

    // MARK: Kafka

    private func poll(_ consumer: KafkaConsumer, into batch: inout RecordBatch, timeout: Int) throws {
        do {
            try consumer.poll(into: &batch, maximum: maximum, timeout: timeout)
            if let rebalanceError { throw rebalanceError }
        } catch let error as KafkaError {
            guard error.isRetryable, !error.isFatal else { throw error }
            service.log.warning("Kafka reported a passing error", ["error": "\(error)"])
        }
    }

    /// The batch is done: its offsets are to be committed, or were with its transaction.
    private func note(_ spans: BatchSpans) {
        for place in spans.offsets {
            if transactions == nil { pending[place.topicPartition] = place.offset } else { settled[place.topicPartition] = place.offset }
        }
        if transactions != nil { poison.progressed(spans.offsets) }
    }

    /// With what the owner wants the next one to know.
    private func noted(_ offsets: [PartitionOffset]) -> [PartitionOffset] {
        guard let owner else { return offsets }
        return offsets.map { PartitionOffset($0.topicPartition, $0.offset, metadata: owner.metadata(of: $0.topicPartition, at: $0.offset)) }
    }

    private func commit(_ consumer: KafkaConsumer, wait: Bool) throws {
        lastCommit = Clock.monotonicSeconds
        if wait || consumer.failedCommits != failedCommits {
            // As during a rebalance. Which ones failed is not worth knowing: they are few. One that waits does not rely on those that did not.
            failedCommits = consumer.failedCommits
            pending.merge(sent) { newest, _ in newest }
        }
        guard !pending.isEmpty else { return }
        do {
            let offsets = noted(pending.map { PartitionOffset($0.key, $0.value) })
            try consumer.commit(offsets, wait: wait)
            poison.progressed(offsets)
            if wait { sent.removeAll(keepingCapacity: true) } else { sent.merge(pending) { $1 } }
            if owner != nil { settled.merge(pending) { $1 } }
            pending.removeAll(keepingCapacity: true)
        } catch {
            guard error.isRetryable, !error.isFatal else { throw error }
            // The effects are durable and idempotent; an uncommitted offset only means that they are repeated after a crash.
            service.log.warning("offsets could not be committed and will be tried again", ["error": "\(error)"])
        }
    }

    /// Commits for certain, then lets the owner store its state, which must never cover more than what is committed.
    /// - Parameter leaving: the partitions to store because they leave; nil: the one whose turn it is.
    private func settle(_ consumer: KafkaConsumer, _ owner: any PartitionOwner, leaving: [TopicPartition]? = nil) throws {
        lastSettled = Clock.monotonicSeconds
        if transactions == nil {
            // A commit that was not waited for may have failed, as during a rebalance: everything is committed once more.
            pending.merge(settled) { newest, _ in newest }
            settled.removeAll(keepingCapacity: true)
            try commit(consumer, wait: true)
        }
        guard pending.isEmpty else { return }
        for place in leaving ?? nextTurn().map({ [$0] }) ?? [] {
            guard let offset = settled.removeValue(forKey: place) else { continue }
            try owner.committed(place, offset)
        }
        if leaving != nil { try owner.finishStoring() }
    }

    /// The next partition in order of which something was committed since its state was stored.
    private func nextTurn() -> TopicPartition? {
        let due = settled.keys.sorted { ($0.topic, $0.partition) < ($1.topic, $1.partition) }
        turn = due.first { place in turn.map { ($0.topic, $0.partition) < (place.topic, place.partition) } ?? true } ?? due.first
        return turn
    }

    /// Runs inside a poll, which cannot throw what is not Kafka's: an error is kept and ends the loop right after.
    private func rebalanced(_ consumer: KafkaConsumer, _ event: RebalanceEvent) -> [PartitionOffset] {
        rebalances.add()
        defer { partitions.set(Double(assigned.count)) }
        do {
            switch event {
            case .assigned(let added):
                assigned.formUnion(added)
                service.log.info("partitions assigned", ["added": added.count, "now": assigned.count])
                do {
                    let starts = try take(consumer, added)
                    if notTaken == nil { service.life.obstacle = nil }
                    return starts
                } catch  where Self.mayPass(error) {
                    // A member of a group may not be silent for long: what waits, waits outside of this call.
                    notTaken = error
                }
            case .revoked(let removed):
                if let owner { try settle(consumer, owner, leaving: removed) } else { try commit(consumer, wait: true) }
                leave(removed)
                service.log.info("partitions handed over", ["removed": removed.count, "now": assigned.count])
            case .lost(let removed):
                leave(removed)
                service.log.warning("partitions lost to another member", ["removed": removed.count, "now": assigned.count])
            }
        } catch {
            rebalanceError = error
        }
        return []
    }

    /// - Returns: where to begin reading.
    private func take(_ consumer: KafkaConsumer, _ added: [TopicPartition]) throws -> [PartitionOffset] {
        var committed = try consumer.committed(added, timeout: 10_000)
        if let beginsAt {
            for index in committed.indices where committed[index].offset < 0 {
                let partition = committed[index].topicPartition
                let range = try consumer.watermarks(partition, cached: false)
                committed[index] = PartitionOffset(partition, beginsAt == .newest ? range.high : range.low)
                pending[partition] = committed[index].offset
            }
        }
        poison.took(committed, batch: maximum)
        for place in committed {
            floors[place.topicPartition] = max(place.offset, 0)
            retention.began(place)
        }
        if let owner {
            let starts = try owner.take(committed)
            if beginsAt != nil { try commit(consumer, wait: true) }
            return starts
        }
        return committed.map { PartitionOffset($0.topicPartition, $0.offset >= 0 ? $0.offset : PartitionOffset.beginning) }
    }

    private func leave(_ removed: [TopicPartition]) {
        for partition in removed {
            assigned.remove(partition)
            pending[partition] = nil
            settled[partition] = nil
            sent[partition] = nil
            floors[partition] = nil
            lagGauges[partition]?.set(0)
            retention.left(partition)
        }
        owner?.left(removed)
    }

    private func measureLag(_ consumer: KafkaConsumer, _ now: Double) {
        lastLag = now
        guard let lag = try? consumer.lag() else { return }
        for (partition, records) in lag {
            let gauge =
                lagGauges[partition]
                ?? service.metrics.gauge(
                    "kafka_consumer_lag", "Records between this consumer's position and the end of the partition.",
                    [("topic", partition.topic), ("partition", String(partition.partition))])
            lagGauges[partition] = gauge
            gauge.set(Double(records))
        }
    }
}

extension KafkaAdmin {
    /// Probes the broker until it answers; says once in a while what is being waited for.
    /// - Returns: false when the service was asked to stop meanwhile.
    public func waitUntilReachable(_ service: Service) throws(KafkaError) -> Bool {
        service.life.obstacle = "waiting for Kafka"
        var backoff = Backoff(initial: 50, maximum: 1_000)
        var nextWord = Clock.monotonicSeconds + 1
        while !service.life.isStopping {
            service.life.turned()
            do {
                try waitForBroker(timeout: 1_000)
                return true
            } catch {
                guard error.isRetryable, !error.isFatal else { throw error }
                if Clock.monotonicSeconds >= nextWord {
                    service.log.warning("waiting for Kafka", ["error": "\(error)"])
                    nextWord = Clock.monotonicSeconds + 10
                }
                Clock.sleep(milliseconds: backoff.next())
            }
        }
        return false
    }
}

extension Service {
    /// The settings with librdkafka's own words sent to this service's log.
    public func logging(_ settings: KafkaSettings) -> KafkaSettings {
        var settings = settings
        let (log, life) = (log, life)
        settings.log = { line in
            // Level 5 and up is chatter (syslog(3)); while the service starts, waiting for Kafka has a line of its own.
            guard line.level <= 4, life.obstacle == nil || line.facility == KafkaLogLine.retry else {
                return log.debug("Kafka client", ["facility": line.facility, "text": line.message])
            }
            log.warning("Kafka client", ["facility": line.facility, "text": line.message])
        }
        return settings
    }
}
