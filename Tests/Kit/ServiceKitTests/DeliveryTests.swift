import KafkaClient
import TestSupport
import Testing

@testable import ServiceKit

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

    @Test("exactly-once, an outlet opens a transaction with its first record, and neither commit nor abandon does anything without one")
    func transactions() throws {
        let broker = try EmbeddedBroker(topics: [TopicSpec(name: "t", partitions: 1)])
        var reader = SettingsReader(
            arguments: [],
            environment: ["KAFKA_BOOTSTRAP_SERVERS": broker.bootstrapServers, "VYUHA_KAFKA_FETCH_WAIT_MAX_MS": "2", "VYUHA_INSTANCE_ID": "p-1"])
        let common = try #require(CommonSettings(&reader, useCaseName: "u", defaultPort: 0))
        let service = Service(
            name: "test", log: Logger(service: "test", level: .error, format: .text), metrics: Metrics(), life: Lifecycle())
        let outlet = try Outlet(common, service, topics: ["t"], delivery: .exactlyOnce)
        defer { outlet.close() }
        let consumer = try KafkaConsumer(common.kafka, group: "g")
        try outlet.prepareTransactions()
        try outlet.commit([], of: consumer)
        try outlet.abandon()
        try outlet.deliver()
        #expect(!outlet.isOpen)
        outlet.batch.append(topic: 0, partition: 0, key: nil, value: [1])
        try outlet.deliver()
        #expect(outlet.isOpen)
        #expect(outlet.batch.count == 0)
        try outlet.commit([], of: consumer)
        #expect(!outlet.isOpen)
        outlet.batch.append(topic: 0, partition: 0, key: nil, value: [2])
        try outlet.deliver()
        try outlet.abandon()
        #expect(!outlet.isOpen)
        try consumer.assign([PartitionOffset(TopicPartition("t", 0), PartitionOffset.beginning)])
        var batch = RecordBatch()
        #expect(try withDeadline(10) { try consumer.poll(into: &batch, timeout: 50) > 0 })
        #expect(batch.records.first?.offset == 0)
    }
}
