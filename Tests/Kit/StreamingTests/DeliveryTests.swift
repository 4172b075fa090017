import KafkaClient
import TestSupport
import Testing

@testable import ServiceKit
@testable import Streaming

@Suite struct DeliveryTests {
    private static func read(_ environment: [String: String]) -> (DeliveryGuarantee, String?) {
        var reader = SettingsReader(arguments: [], environment: environment)
        let common = CommonSettings(&reader, useCaseName: "u", defaultPort: 0)
        let delivery = reader.delivery(common)
        do {
            try reader.finish()
            return (delivery, nil)
        } catch {
            return (delivery, error.description)
        }
    }

    @Test("at-least-once is the default; exactly-once asks for a name that stays with the instance")
    func settings() {
        #expect(Self.read([:]) == (.atLeastOnce, nil))
        #expect(Self.read(["VYUHA_DELIVERY": "exactly-once", "VYUHA_INSTANCE_ID": "p-1"]) == (.exactlyOnce, nil))
        #expect(Self.read(["VYUHA_DELIVERY": "exactly-once"]).1?.contains("VYUHA_INSTANCE_ID") == true)
        #expect(Self.read(["VYUHA_DELIVERY": "twice"]).1?.contains("exactly-once") == true)
    }

    @Test("exactly-once, a sink opens a transaction with its first record, and neither commit nor abandon does anything without one")
    func transactions() throws {
        let broker = try EmbeddedBroker(topics: [TopicSpec(name: "t", partitions: 1)])
        var reader = SettingsReader(
            arguments: [],
            environment: ["KAFKA_BOOTSTRAP_SERVERS": broker.bootstrapServers, "VYUHA_KAFKA_FETCH_WAIT_MAX_MS": "2", "VYUHA_INSTANCE_ID": "p-1"])
        let settings = try #require(StreamSettings(&reader, useCaseName: "u", defaultPort: 0))
        let service = Service(
            name: "test", log: Logger(service: "test", level: .error, format: .text), metrics: Metrics(), life: Lifecycle())
        let sink = try RecordSink(settings, service, topics: ["t"], delivery: .exactlyOnce)
        defer { sink.close() }
        let consumer = try KafkaConsumer(settings.kafka, group: "g")
        try sink.prepareTransactions()
        try sink.commit([], of: consumer)
        try sink.abandon()
        try sink.deliver()
        #expect(!sink.isOpen)
        sink.batch.append(topic: 0, partition: 0, key: nil, value: [1])
        try sink.deliver()
        #expect(sink.isOpen)
        #expect(sink.batch.count == 0)
        try sink.commit([], of: consumer)
        #expect(!sink.isOpen)
        sink.batch.append(topic: 0, partition: 0, key: nil, value: [2])
        try sink.deliver()
        try sink.abandon()
        #expect(!sink.isOpen)
        try consumer.assign([PartitionOffset(TopicPartition("t", 0), PartitionOffset.beginning)])
        var batch = RecordBatch()
        #expect(try withDeadline(10) { try consumer.poll(into: &batch, timeout: 50) > 0 })
        #expect(batch.records.first?.offset == 0)
    }
}
