import Alerting
import Contracts
import JSON
import KafkaClient
import TestSupport
import Testing

@testable import AlertSink

/// Against librdkafka's mock cluster; partitions are assigned by hand, since joining a group takes it seconds.
@Suite("Alerts on the topic")
struct TopicReceiverTests {
    private let broker: EmbeddedBroker
    private let settings: KafkaSettings

    init() throws {
        broker = try EmbeddedBroker(topics: [TopicSpec(name: "uc.alerts", partitions: 4)])
        settings = broker.settings
    }

    private static func entry(_ id: String, partition: Int32 = 2) -> OutboxEntry {
        OutboxEntry(
            id: "\(id)-0", alert: (try? message(id, group: "zone").json) ?? [], anomaly: anomalyJSON(id: id, group: "zone"), admittedAt: 9,
            source: Sighting.Source(partition: partition, offset: 4, timestamp: 5))
    }

    private static func alert(_ entry: OutboxEntry) throws -> AlertRecord {
        try AlertRecord(parsing: entry.alert)
    }

    /// The ids on partition 2, in order, once there are `count` of them or the deadline has passed.
    private func ids(_ count: Int) throws -> [String] {
        let consumer = try KafkaConsumer(settings, group: "test")
        defer { consumer.close() }
        try consumer.assign([PartitionOffset(TopicPartition("uc.alerts", 2), PartitionOffset.beginning)])
        var batch = RecordBatch()
        var ids: [String] = []
        _ = try withDeadline(10) {
            try consumer.poll(into: &batch, maximum: 100, timeout: 100)
            for record in batch.records {
                #expect(record.key.map { String(decoding: batch.bytes[$0], as: UTF8.self) } == "zone")
                let header = try #require(batch.header("id", of: record))
                let json = try JSONValue.parse(batch.bytes, try #require(record.value))
                #expect(json["suppressed"]?.integer == 1)
                #expect(json["id"]?.string == String(decoding: batch.bytes[header], as: UTF8.self))
                ids.append(json["id"]?.string ?? "")
            }
            return ids.count >= count
        }
        return ids
    }

    @Test("An alert is on the broker when delivery returns: keyed by entity, with its id, in the anomaly's partition")
    func delivers() throws {
        let receiver = try TopicReceiver(settings, topic: "uc.alerts")
        defer { receiver.close() }
        for id in ["a", "b", "c"] { try receiver.deliver(Self.alert(Self.entry(id)), Self.entry(id), shouldContinue: { true }) }
        #expect(try ids(3) == ["a", "b", "c"])
    }

    @Test("While the broker is away delivery fails, and afterwards the alert is there once")
    func outage() throws {
        let receiver = try TopicReceiver(settings, topic: "uc.alerts")
        defer { receiver.close() }
        let (first, second) = (Self.entry("first"), Self.entry("second"))
        try receiver.deliver(Self.alert(first), first, shouldContinue: { true })
        broker.setDown()
        var asked = 0
        let failure = #expect(throws: DeliveryFailure.self) {
            try receiver.deliver(
                Self.alert(second), second,
                shouldContinue: {
                    asked += 1
                    return asked < 3
                })
        }
        #expect(failure?.kind == .stopped)
        broker.setUp()
        var isDelivered = false
        #expect(
            withDeadline(20) {
                do {
                    try receiver.deliver(try Self.alert(second), second, shouldContinue: { true })
                    isDelivered = true
                } catch {}
                return isDelivered
            })
        #expect(try ids(2) == ["first", "second"])
    }
}
