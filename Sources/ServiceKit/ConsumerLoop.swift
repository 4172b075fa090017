import KafkaClient
import RedisClient

/// The loop of every consuming service: poll a batch, have its effects made durable, commit.
///
/// - Offsets are committed only after `handle` returned, at most every `commitInterval`, before partitions are handed over, and at the end.
/// - When `handle` throws something that may pass (Kafka or Redis away), the loop pauses its partitions, keeps polling so that the
///   membership lives on, and calls `handle` again with the same batch after a backoff. Effects must therefore be idempotent.
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
    private var lagGauges: [TopicPartition: Gauge] = [:]

    /// Next offset to read, per partition, of what was handled and not yet committed.
    private var pending: [TopicPartition: Int64] = [:]
    private var assigned: Set<TopicPartition> = []
    private var partitionsLeft = false
    private var lastCommit = Clock.monotonicSeconds
    private var lastLag = 0.0

    /// - Parameters:
    ///   - group: consumer group, `<use case>.<service>`.
    ///   - batch: most records that one call of `handle` gets.
    public init(_ common: CommonSettings, _ service: Service, topics: [String], group: String, batch: Int) {
        self.service = service
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
        let consumer = try KafkaConsumer(kafka, group: group, instanceID: common.instanceID) { [unowned self] consumer, event in
            rebalanced(consumer, event)
            return []
        }
        try consumer.subscribe(topics)
        var batch = RecordBatch()
        while !service.life.isStopping {
            service.life.turned()
            try poll(consumer, into: &batch, timeout: Self.pollTimeout)
            if !batch.isEmpty, try handleUntilDone(batch, consumer, handle) {
                note(batch)
                processed.add(batch.count)
            }
            let now = Clock.monotonicSeconds
            if now - lastCommit >= Self.commitInterval { try commit(consumer, wait: false) }
            if now - lastLag >= Self.lagInterval { measureLag(consumer, now) }
        }
        try commit(consumer, wait: true)
        consumer.close()
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
                if backoff.attempts > 0 { try resume(consumer) }
                return true
            } catch  where Self.mayPass(error) {
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
        case let error as KafkaError: error.isRetryable && !error.isFatal
        case let error as RedisError: error.isRetryable
        default: false
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
        } catch {
            guard error.isRetryable, !error.isFatal else { throw error }
            service.log.warning("Kafka reported a passing error", ["error": "\(error)"])
        }
    }

    private func note(_ batch: borrowing RecordBatch) {
        for record in batch.records {
            // Offsets of a partition grow within a batch, so the last assignment wins.
            pending[TopicPartition(batch.topics[record.topic], record.partition)] = record.offset + 1
        }
    }

    private func commit(_ consumer: KafkaConsumer, wait: Bool) throws {
        lastCommit = Clock.monotonicSeconds
        guard !pending.isEmpty else { return }
        do {
            try consumer.commit(pending.map { PartitionOffset($0.key, $0.value) }, wait: wait)
            pending.removeAll(keepingCapacity: true)
        } catch {
            guard error.isRetryable, !error.isFatal else { throw error }
            // The effects are durable and idempotent; an uncommitted offset only means that they are repeated after a crash.
            service.log.warning("offsets could not be committed and will be tried again", ["error": "\(error)"])
        }
    }

    private func rebalanced(_ consumer: KafkaConsumer, _ event: RebalanceEvent) {
        rebalances.add()
        switch event {
        case .assigned(let added):
            assigned.formUnion(added)
            service.life.obstacle = nil
            service.log.info("partitions assigned", ["added": added.count, "now": assigned.count])
        case .revoked(let removed):
            partitionsLeft = true
            do { try commit(consumer, wait: true) } catch { service.log.warning("the commit before a hand-over failed", ["error": "\(error)"]) }
            leave(removed)
            service.log.info("partitions handed over", ["removed": removed.count, "now": assigned.count])
        case .lost(let removed):
            partitionsLeft = true
            leave(removed)
            service.log.warning("partitions lost to another member", ["removed": removed.count, "now": assigned.count])
        }
        partitions.set(Double(assigned.count))
    }

    private func leave(_ removed: [TopicPartition]) {
        for partition in removed {
            assigned.remove(partition)
            pending[partition] = nil
            lagGauges[partition]?.set(0)
        }
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
