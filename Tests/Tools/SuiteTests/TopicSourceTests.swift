import Foundation
import KafkaClient
import TestSupport
import Testing

/// A Kafka topic as a source, read by producers that are killed, join and leave while it is written.
@Suite struct TopicSourceTests {
    private static let definition = """
        name: pumps
        partitions: 4
        event:
          entity: pump
          time: at
          fields:
            pump: { type: string }
            at:   { type: timestamp, format: epoch-milliseconds }
            bar:  { type: number }
        features:
          reading: { bar: bar }
        source:
          kafka: { topic: plant.raw, from: earliest }
        detector: { name: robust-z }
        """

    @Test("producers that are killed, join and leave send each record of the topic once")
    func each() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "vyuha-topic-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Self.definition.write(to: folder.appending(path: "usecase.yaml"), atomically: true, encoding: .utf8)
        let broker = try EmbeddedBroker(
            topics: ["events", "labels", "dead-letter"].map { TopicSpec(name: "pumps.\($0)", partitions: 4) }
                + [TopicSpec(name: "plant.raw", partitions: 6)])
        let redis = try RedisServer(appendOnly: false)
        let tail = try TopicTail(broker.bootstrapServers, topics: ["pumps.events", "pumps.dead-letter"], partitions: 4)
        let writer = try KafkaProducer(KafkaSettings(bootstrapServers: broker.bootstrapServers))
        var sent = 0

        func start() throws -> ServiceProcess {
            try ServiceProcess(
                "producer", ["--use-case", folder.path],
                environment: [
                    "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrapServers, "VYUHA_KAFKA_FETCH_WAIT_MAX_MS": "2", "REDIS_URL": redis.url,
                    "VYUHA_PORT": "0", "VYUHA_HOST": "127.0.0.1", "VYUHA_KAFKA_SESSION_TIMEOUT_MS": "3000",
                    "VYUHA_KAFKA_HEARTBEAT_INTERVAL_MS": "300",
                ])
        }
        /// Writes on until as many more records are events, in small steps, so that a kill meets records under way.
        func write(until more: Int) throws {
            let goal = tail.records.count + more
            let isReached = try withDeadline(60) {
                var batch = OutgoingBatch(topics: ["plant.raw"])
                for _ in 0..<50 where sent < 100_000 {
                    batch.append(
                        topic: 0, key: nil, value: Array(#"{"pump":"p\#(sent % 11)","at":\#(1_796_000_000_000 + sent),"bar":\#(sent)}"#.utf8))
                    sent += 1
                }
                _ = try writer.send(batch, timeout: 5_000)
                try writer.flush(timeout: 5_000)
                try tail.poll()
                return tail.records.count >= goal
            }
            try #require(isReached, "\(tail.records.count) of \(goal)")
        }

        let first = try start()
        try write(until: 400)
        kill(first.pid, SIGKILL)
        let second = try start()
        let third = try start()
        try write(until: 400)
        kill(second.pid, SIGKILL)
        try write(until: 400)
        let fourth = try start()
        try write(until: 400)
        third.terminate()
        #expect(third.wait(15) == 0, "\(third.output)")
        kill(fourth.pid, SIGKILL)
        let last = try start()
        #expect(
            try withDeadline(60) {
                try tail.poll(); return tail.records.count >= sent
            })
        last.terminate()
        #expect(last.wait(15) == 0, "\(last.output)")
        try tail.poll()
        let bars = tail.records.compactMap { $0.json?["bar"]?.integer }
        #expect(bars.count == sent)
        #expect(Set(bars).count == sent)
        #expect(Set(tail.records.map(\.topic)) == ["pumps.events"])
    }
}
