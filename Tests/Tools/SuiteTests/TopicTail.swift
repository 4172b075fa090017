import JSON
import KafkaClient

/// Reads topics from the beginning, all partitions, as a test sees them: everything kept.
final class TopicTail {
    struct Record {
        let topic: String
        let partition: Int32
        let key: [UInt8]?
        let value: [UInt8]?
        let headers: [String: String]

        var json: JSONValue? { value.flatMap { try? JSONValue.parse($0) } }
        var id: String? { json?["id"]?.string ?? headers["id"] }
    }

    private let consumer: KafkaConsumer
    private var batch = RecordBatch()
    private(set) var records: [Record] = []

    init(_ bootstrapServers: String, topics: [String], partitions: Int) throws {
        consumer = try KafkaConsumer(
            KafkaSettings(bootstrapServers: bootstrapServers, properties: EmbeddedBroker.clientProperties), group: "test-tail")
        try consumer.assign(
            topics.flatMap { topic in (0..<partitions).map { PartitionOffset(TopicPartition(topic, Int32($0)), PartitionOffset.beginning) } })
    }

    /// Takes what has arrived.
    func poll() throws {
        try consumer.poll(into: &batch, maximum: 1000, timeout: 20)
        for record in batch.records {
            var headers: [String: String] = [:]
            for header in batch.headers[record.headers] {
                headers[String(decoding: batch.bytes[header.name], as: UTF8.self)] = header.value.map {
                    String(decoding: batch.bytes[$0], as: UTF8.self)
                }
            }
            records.append(
                Record(
                    topic: batch.topics[record.topic], partition: record.partition, key: record.key.map { Array(batch.bytes[$0]) },
                    value: record.value.map { Array(batch.bytes[$0]) }, headers: headers))
        }
    }

    func records(of topic: String) -> [Record] { records.filter { $0.topic == topic } }
}
