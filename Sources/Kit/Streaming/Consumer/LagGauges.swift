import KafkaClient
import ServiceKit

/// `kafka_consumer_lag` of the partitions that a consumer owns.
struct LagGauges {
    private let metrics: Metrics
    private var gauges: [TopicPartition: Gauge] = [:]

    init(_ metrics: Metrics) { self.metrics = metrics }

    mutating func measure(_ consumer: KafkaConsumer) {
        guard let lag = try? consumer.lag() else { return }
        for (partition, records) in lag {
            let gauge =
                gauges[partition]
                ?? metrics.gauge(
                    "kafka_consumer_lag", "Records between this consumer's position and the end of the partition.",
                    [("topic", partition.topic), ("partition", String(partition.partition))])
            gauges[partition] = gauge
            gauge.set(Double(records))
        }
    }

    func left(_ partition: TopicPartition) { gauges[partition]?.set(0) }
}
