import KafkaClient
import RedisClient

/// The loop of every consuming service: poll a batch, have its effects made durable, commit.
///
/// - Offsets are committed only after `handle` returned, at most every `commitInterval`, before partitions are handed over, and at the end.
/// - When `handle` throws something that may pass (Kafka or Redis away), the loop pauses its partitions, keeps polling so that the
///   membership lives on, and calls `handle` again with the same batch after a backoff. Effects must therefore be idempotent.
/// - Exactly-once, each batch is one transaction of its outlet, with the offsets inside. When that must be aborted, the loop goes back to the
///   committed offsets and to the state stored of them.
/// - When partitions leave during that wait, the batch is given up: what was not committed is read again, here or elsewhere.
/// - Any other error ends `run`.
public final class ConsumerLoop {
    /// Bounds how long a stop waits for the poll, milliseconds.
    private static let pollTimeout = 100
    /// Seconds between commits: what a crash makes the next owner read again is bounded by this.
    private static let commitInterval = 0.2
    private static let lagInterval = 2.0

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
    /// Exactly-once only.
    private let transactions: Outlet?
    private var lagGauges: [TopicPartition: Gauge] = [:]

    /// Next offset to read, per partition, of what was handled and not yet committed.
    private var pending: [TopicPartition: Int64] = [:]
    private var assigned: Set<TopicPartition> = []
    private var partitionsLeft = false
    /// Committed when the partition came: what is read again below it only rebuilds state.
    private var floors: [TopicPartition: Int64] = [:]
    /// What was committed since the owner was last told.
    private var settled: [TopicPartition: Int64] = [:]
    private var rebalanceError: (any Error)?
    private var lastCommit = Clock.monotonicSeconds
    private var lastSettled = Clock.monotonicSeconds
    private var lastLag = 0.0

    /// - Parameters:
    ///   - group: consumer group, `<use case>.<service>`.
    ///   - batch: most records that one call of `handle` gets.
    ///   - owner: keeps state per partition; nil for a service that has none.
    ///   - outlet: where `handle` sends its records, if they may have to share transactions with the offsets.
    public init(
        _ common: CommonSettings, _ service: Service, topics: [String], group: String, batch: Int, owner: (any PartitionOwner)? = nil,
        outlet: Outlet? = nil
    ) {
        transactions = outlet?.isTransactional == true ? outlet : nil
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
        try consumer.subscribe(topics)
        var batch = RecordBatch()
        while !service.life.isStopping {
            service.life.turned()
            try poll(consumer, into: &batch, timeout: Self.pollTimeout)
            #if VYUHA_BROKEN_COMMIT_FIRST
                // Wrong on purpose, so that `make crash-test` can show that it would notice: offsets first, effects later.
                note(batch)
                try commit(consumer, wait: true)
            #endif
            if !batch.isEmpty, try handleUntilDone(batch, consumer, handle) {
                note(batch)
                processed.add(batch.count)
            }
            try tick(consumer)
            let now = Clock.monotonicSeconds
            if let owner, now - lastSettled >= owner.interval {
                try settle(consumer, owner, isLast: false)
            } else if now - lastCommit >= Self.commitInterval {
                try commit(consumer, wait: false)
            }
            if now - lastLag >= Self.lagInterval { measureLag(consumer, now) }
        }
        try commit(consumer, wait: true)
        consumer.close()
        if let rebalanceError { throw rebalanceError }
    }

    // MARK: Handling

    /// True when the batch's effects are durable; false when it was given up.
    private func handleUntilDone(
        _ batch: borrowing RecordBatch, _ consumer: KafkaConsumer, _ handle: (borrowing RecordBatch) throws -> Void
    ) throws -> Bool {
        var backoff = Backoff()
        while true {
            do {
                try handle(batch)
                try transactions?.commit(offsets(after: batch), of: consumer)
                if backoff.attempts > 0 { try resume(consumer) }
                return true
            } catch  where Self.mayPass(error) {
                if let transactions {
                    try startOver(consumer, transactions, after: error)
                    return false
                }
                if service.life.isStopping { return false }
                if backoff.attempts == 0 {
                    service.log.warning("a batch waits because a server is away", ["error": "\(error)"])
                    try consumer.pause(Array(assigned))
                    partitionsLeft = false
                }
                retries.add()
                try wait(consumer, milliseconds: backoff.next())
                if partitionsLeft {
                    try rewind(consumer, to: batch)
                    return false
                }
                if service.life.isStopping { return false }
            }
        }
    }

    /// Whether the same call may succeed later without anybody changing the data or the settings.
    private static func mayPass(_ error: any Error) -> Bool {
        switch error {
        case let error as KafkaError: (error.isRetryable || error.requiresAbort) && !error.isFatal
        case let error as RedisError: error.isRetryable
        default: false
        }
    }

    /// What the owner does without a record, in a transaction of its own.
    private func tick(_ consumer: KafkaConsumer) throws {
        guard let owner else { return }
        do {
            try owner.tick()
            try transactions?.commit([], of: consumer)
        } catch  where transactions != nil && Self.mayPass(error) {
            if let transactions { try startOver(consumer, transactions, after: error) }
        }
    }

    /// Aborts the transaction and goes back to the committed offsets and to the state stored of them, as after a crash.
    private func startOver(_ consumer: KafkaConsumer, _ transactions: Outlet, after error: any Error) throws {
        service.log.warning("a transaction is aborted and its records are read again", ["error": "\(error)"])
        var backoff = Backoff()
        while !service.life.isStopping {
            retries.add()
            do {
                try transactions.abort()
                let places = Array(assigned)
                owner?.left(places)
                settled.removeAll()
                var starts = try take(consumer, places)
                if owner == nil {
                    starts = try consumer.committed(places, timeout: 10_000).map {
                        PartitionOffset($0.topicPartition, $0.offset >= 0 ? $0.offset : PartitionOffset.beginning)
                    }
                }
                return try consumer.seek(starts)
            } catch  where Self.mayPass(error) {
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
            try poll(consumer, into: &nothing, timeout: min(milliseconds, Self.pollTimeout))
            if !nothing.isEmpty { try rewind(consumer, to: nothing) }
        }
    }

    private func resume(_ consumer: KafkaConsumer) throws {
        try consumer.resume(Array(assigned))
        service.log.info("the batch went through")
    }

    /// Reads the batch's records again from those partitions that are still ours.
    private func rewind(_ consumer: KafkaConsumer, to batch: borrowing RecordBatch) throws {
        var first: [TopicPartition: Int64] = [:]
        for record in batch.records {
            let partition = TopicPartition(batch.topics[record.topic], record.partition)
            guard assigned.contains(partition) else { continue }
            first[partition] = min(first[partition] ?? .max, record.offset)
        }
        try consumer.seek(first.map { PartitionOffset($0.key, $0.value) })
        try consumer.resume(Array(assigned))
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
    private func note(_ batch: borrowing RecordBatch) {
        for place in offsets(after: batch) {
            if transactions == nil { pending[place.topicPartition] = place.offset } else { settled[place.topicPartition] = place.offset }
        }
    }

    /// Next offset to read of each partition in the batch. What only rebuilt state was committed before.
    private func offsets(after batch: borrowing RecordBatch) -> [PartitionOffset] {
        var next: [TopicPartition: Int64] = [:]
        let records = batch.records
        for index in records.indices {
            let record = records[index]
            // Offsets of a partition grow within a batch, so only the last of neighbours counts, and the last of all wins.
            if index + 1 < records.count, records[index + 1].partition == record.partition, records[index + 1].topic == record.topic { continue }
            let partition = TopicPartition(batch.topics[record.topic], record.partition)
            if record.offset >= floors[partition] ?? 0 { next[partition] = record.offset + 1 }
        }
        return next.map { PartitionOffset($0.key, $0.value) }
    }

    private func commit(_ consumer: KafkaConsumer, wait: Bool) throws {
        lastCommit = Clock.monotonicSeconds
        guard !pending.isEmpty else { return }
        do {
            try consumer.commit(pending.map { PartitionOffset($0.key, $0.value) }, wait: wait)
            if owner != nil { settled.merge(pending) { $1 } }
            pending.removeAll(keepingCapacity: true)
        } catch {
            guard error.isRetryable, !error.isFatal else { throw error }
            // The effects are durable and idempotent; an uncommitted offset only means that they are repeated after a crash.
            service.log.warning("offsets could not be committed and will be tried again", ["error": "\(error)"])
        }
    }

    /// Commits for certain, then lets the owner store its state, which must never cover more than what is committed.
    private func settle(_ consumer: KafkaConsumer, _ owner: any PartitionOwner, isLast: Bool) throws {
        lastSettled = Clock.monotonicSeconds
        if transactions == nil {
            // A commit that was not waited for may have failed, as during a rebalance: everything is committed once more.
            pending.merge(settled) { newest, _ in newest }
            settled.removeAll(keepingCapacity: true)
            try commit(consumer, wait: true)
        }
        guard pending.isEmpty, !settled.isEmpty else { return }
        try owner.committed(settled, isLast: isLast)
        settled.removeAll(keepingCapacity: true)
    }

    /// Runs inside a poll, which cannot throw what is not Kafka's: an error is kept and ends the loop right after.
    private func rebalanced(_ consumer: KafkaConsumer, _ event: RebalanceEvent) -> [PartitionOffset] {
        rebalances.add()
        defer { partitions.set(Double(assigned.count)) }
        do {
            switch event {
            case .assigned(let added):
                let starts = try take(consumer, added)
                assigned.formUnion(added)
                service.life.obstacle = nil
                service.log.info("partitions assigned", ["added": added.count, "now": assigned.count])
                return starts
            case .revoked(let removed):
                partitionsLeft = true
                if let owner { try settle(consumer, owner, isLast: true) } else { try commit(consumer, wait: true) }
                leave(removed)
                service.log.info("partitions handed over", ["removed": removed.count, "now": assigned.count])
            case .lost(let removed):
                partitionsLeft = true
                leave(removed)
                service.log.warning("partitions lost to another member", ["removed": removed.count, "now": assigned.count])
            }
        } catch {
            rebalanceError = error
        }
        return []
    }

    private func take(_ consumer: KafkaConsumer, _ added: [TopicPartition]) throws -> [PartitionOffset] {
        guard let owner else { return [] }
        let committed = try consumer.committed(added, timeout: 10_000)
        for partition in committed { floors[partition.topicPartition] = max(partition.offset, 0) }
        return try owner.take(committed)
    }

    private func leave(_ removed: [TopicPartition]) {
        for partition in removed {
            assigned.remove(partition)
            pending[partition] = nil
            settled[partition] = nil
            floors[partition] = nil
            lagGauges[partition]?.set(0)
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
            guard line.level <= 4, life.obstacle == nil else { return log.debug("Kafka client", ["facility": line.facility, "text": line.message]) }
            log.warning("Kafka client", ["facility": line.facility, "text": line.message])
        }
        return settings
    }
}
