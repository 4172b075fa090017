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
    private static let pollTimeout = 100
    private static let commitInterval = 0.2
    private static let lagInterval = 2.0

    private let service: Service
    private let consumer: KafkaConsumer
    private let broker: String
    private let topics: [String]
    private let maximum: Int
    private let processed: Counter
    private let retries: Counter
    private let rebalances: Counter
    private var lagGauges: [TopicPartition: Gauge] = [:]

    private var pending: [TopicPartition: Int64] = [:]
    private var lastCommit = Clock.monotonicSeconds
    private var lastLag = 0.0
    private var assignmentChanged = false

    /// - Parameters:
    ///   - group: consumer group, `<use case>.<service>`.
    ///   - batch: most records that one call of `handle` gets.
    public init(_ common: CommonSettings, _ service: Service, topics: [String], group: String, batch: Int) throws(KafkaError) {
        self.service = service
        self.topics = topics
        maximum = batch
        broker = common.kafka.bootstrapServers
        processed = service.metrics.counter("events_processed_total", "Records that were handled and whose effects are durable.")
        retries = service.metrics.counter("vyuha_batch_retries_total", "Batches handled again because Kafka or Redis was away.")
        rebalances = service.metrics.counter("vyuha_rebalances_total", "Changes of this consumer's partitions.")
        consumer = try KafkaConsumer(common.kafka, group: group, instanceID: common.instanceID)
    }
}
