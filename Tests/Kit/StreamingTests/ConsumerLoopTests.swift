import KafkaClient
import RedisClient
import Synchronization
import TestSupport
import Testing

@testable import ServiceKit
@testable import Streaming

/// The loop against librdkafka's mock cluster; a join takes it 3 to 5 s, so cases share what they can.
@Suite struct ConsumerLoopTests {
    @Test("a batch that fails for a while is handled again, nothing is lost, and what was handled is committed at the end")
    func retriesAndCommits() throws {
        let broker = try EmbeddedBroker(topics: [TopicSpec(name: "t", partitions: 4)])
        let kafka = broker.settings
        let producer = try KafkaProducer(kafka)
        var batch = OutgoingBatch(topics: ["t"])
        for number in 0..<1_000 {
            batch.append(topic: 0, partition: Int32(number % 4), key: nil, value: Array("\(number)".utf8))
        }
        try producer.send(batch)
        try producer.flush(timeout: 10_000)

        let (settings, service) = try Self.service(broker)
        // A port where nobody listens gives the error that a Redis which is away gives.
        let nobody = RedisSettings(port: try freePort())
        let handled = Mutex<[String: Int]>([:])
        let failures = Mutex(3)
        let done = Mutex(false)
        Threads.start("loop") {
            let loop = ConsumerLoop(settings, service, topics: ["t"], group: "g", batch: 100)
            do {
                try loop.run { batch in
                    let fails = failures.withLock { left in
                        left -= 1
                        return left >= 0
                    }
                    if fails { try RedisClient(nobody).connect(within: 1) }
                    for record in batch.records {
                        let value = record.value.map { String(decoding: batch.bytes[$0], as: UTF8.self) } ?? ""
                        handled.withLock { $0[value, default: 0] += 1 }
                    }
                }
            } catch { Issue.record(error) }
            done.withLock { $0 = true }
        }
        #expect(withDeadline(30) { handled.withLock { $0.count } == 1_000 })
        service.life.stop()
        #expect(withDeadline(10) { done.withLock { $0 } })
        #expect(handled.withLock { $0.values.allSatisfy { $0 == 1 } })
        #expect(service.metrics.counter("vyuha_batch_retries_total", "").value == 3)
        let partitions = (0..<4).map { TopicPartition("t", $0) }
        let committed = try KafkaAdmin(kafka).committed(group: "g", partitions, timeout: 5_000)
        #expect(committed.map(\.offset) == [250, 250, 250, 250])
    }

    @Test("the state of partitions is stored one at a time, in turn, and whatever leaves is stored when it leaves")
    func storesInTurn() throws {
        let broker = try EmbeddedBroker(topics: [TopicSpec(name: "t", partitions: 4)])
        let producer = try KafkaProducer(broker.settings)
        let (settings, service) = try Self.service(broker)
        let owner = TurnOwner()
        let done = Mutex(false)
        Threads.start("loop") {
            let loop = ConsumerLoop(settings, service, topics: ["t"], group: "g", batch: 100, owner: owner)
            do { try loop.run { _ in } } catch { Issue.record(error) }
            done.withLock { $0 = true }
        }
        var batch = OutgoingBatch(topics: ["t"])
        #expect(
            withDeadline(60) {
                // Every partition always has something new.
                batch.removeAll()
                for partition in 0..<Int32(4) { batch.append(topic: 0, partition: partition, key: nil, value: [1]) }
                do { try producer.send(batch) } catch { Issue.record(error) }
                return owner.stored.withLock { stored in (0..<4).allSatisfy { place in stored.count { $0.partition == place } >= 3 } }
            })
        service.life.stop()
        #expect(withDeadline(60) { done.withLock { $0 } })
        let stored = owner.stored.withLock { $0 }
        // The last words of each partition cover all of it.
        let admin = try KafkaAdmin(broker.settings)
        for place in try admin.committed(group: "g", (0..<4).map { TopicPartition("t", $0) }, timeout: 5_000) {
            #expect(stored.last { $0.partition == place.topicPartition.partition }?.offset == place.offset)
        }
    }

    /// Notes which partition was stored when; `@unchecked` because the loop's thread and the test's only share the mutex.
    private final class TurnOwner: PartitionOwner, @unchecked Sendable {
        let stored = Mutex<[(partition: Int32, offset: Int64)]>([])
        let interval = 0.2

        func check(_ topic: String, partitions: Int) {}
        func take(_ committed: [PartitionOffset]) -> [PartitionOffset] {
            committed.map { PartitionOffset($0.topicPartition, max(0, $0.offset)) }
        }
        func metadata(of partition: TopicPartition, at offset: Int64) -> String? { nil }
        func committed(_ partition: TopicPartition, _ offset: Int64) { stored.withLock { $0.append((partition.partition, offset)) } }
        func finishStoring() {}
        func left(_ partitions: [TopicPartition]) {}
        func tick() {}
    }

    @Test("an error that will not pass ends the loop and is told")
    func permanentError() throws {
        struct Broken: Error {}
        let broker = try EmbeddedBroker(topics: [TopicSpec(name: "t", partitions: 1)])
        let producer = try KafkaProducer(broker.settings)
        var batch = OutgoingBatch(topics: ["t"])
        batch.append(topic: 0, partition: 0, key: nil, value: [1])
        try producer.send(batch)
        try producer.flush(timeout: 10_000)
        let (settings, service) = try Self.service(broker)
        let loop = ConsumerLoop(settings, service, topics: ["t"], group: "g", batch: 100)
        #expect(throws: Broken.self) { try loop.run { _ in throw Broken() } }
    }

    /// - Parameter redis: nil: a port where nobody listens.
    static func service(_ broker: EmbeddedBroker, redis: String? = nil, instance: String? = nil) throws -> (StreamSettings, Service) {
        var reader = SettingsReader(
            arguments: [],
            environment: [
                "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrapServers, "VYUHA_KAFKA_FETCH_WAIT_MAX_MS": "2",
                "REDIS_URL": try redis ?? "redis://127.0.0.1:\(freePort())",
                "VYUHA_INSTANCE_ID": instance ?? "",
            ])
        let settings = try #require(StreamSettings(&reader, useCaseName: "u", defaultPort: 0))
        let service = Service(
            name: "test", log: Logger(service: "test", level: .error, format: .text), metrics: Metrics(), life: Lifecycle())
        return (settings, service)
    }
}
