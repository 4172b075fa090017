import Contracts
import Foundation
import JSON
import KafkaClient
import TestSupport
import Testing

@Suite struct BadInputTests {
    private static let good = #"{"soldier_id":7,"heart_rate":80,"stamina":90,"timestamp":1732456789.123}"#

    /// What is sent, and the reason and field of the dead letter that must come of it; nil: a feature record.
    private static let cases: [(name: String, key: [UInt8]?, value: [UInt8]?, reason: String?, field: String)] = [
        ("good", text("7"), text(good), nil, ""),
        ("no key", nil, text(good), "bad-key", ""),
        ("empty", text("7"), [], "empty", ""),
        ("tombstone", text("7"), nil, "empty", ""),
        ("cut off", text("7"), text(String(good.dropLast(5))), "malformed", ""),
        ("two values", text("7"), text(good + good), "malformed", ""),
        ("an array", text("7"), text("[" + good + "]"), "not-an-object", ""),
        ("missing field", text("7"), text(#"{"soldier_id":7,"heart_rate":80,"timestamp":1732456789}"#), "missing-field", "stamina"),
        ("misspelt field", text("7"), text(good.replacing("stamina", with: "stamnia")), "missing-field", "stamina,stamnia"),
        ("mistyped field", text("7"), text(good.replacing(":80,", with: ":\"80\",")), "wrong-type", "heart_rate"),
        ("NaN", text("7"), text(good.replacing(":80,", with: ":NaN,")), "malformed", ""),
        ("too large for a double", text("7"), text(good.replacing(":80,", with: ":1e999,")), "malformed", ""),
        ("out of range", text("7"), text(good.replacing(":80,", with: ":-1,")), "out-of-range", "heart_rate"),
        ("absurd time", text("7"), text(good.replacing("1732456789.123", with: "1e15")), "bad-timestamp", "timestamp"),
        ("no time", text("7"), text(#"{"soldier_id":7,"heart_rate":80,"stamina":90}"#), "missing-field", "timestamp"),
        ("key is not UTF-8", [0xFF, 0xFE], text(good), "bad-key", ""),
        ("2 MiB", text("7"), text(good + String(repeating: " ", count: 2 << 20)), "too-large", ""),
    ]

    private static func text(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test("each kind of bad input becomes one dead letter that says where it came from and what was wrong; the rest goes on")
    func deadLetters() throws {
        let topics = Topics(useCase: "battlefield")
        let broker = try EmbeddedBroker(topics: topics.all.map { TopicSpec(name: $0, partitions: 2) })
        let producer = try KafkaProducer(
            KafkaSettings(bootstrapServers: broker.bootstrapServers, properties: ["message.max.bytes": "4000000"]))
        let redis = try RedisServer(appendOnly: false)
        let processor = try ServiceProcess(
            "stream-processor",
            environment: [
                "VYUHA_USE_CASE": useCase("battlefield"), "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrapServers, "VYUHA_KAFKA_FETCH_WAIT_MAX_MS": "2",
                "REDIS_URL": redis.url,
                "VYUHA_PORT": "0",
            ])
        var batch = OutgoingBatch(topics: [topics.events])
        for (index, test) in Self.cases.enumerated() {
            batch.append(topic: 0, partition: Int32(index % 2), key: test.key, value: test.value)
            batch.header("id", "case:\(index)")
        }
        try producer.send(batch)
        try producer.flush(timeout: 10_000)

        let tail = try TopicTail(broker.bootstrapServers, topics: [topics.features, topics.deadLetter], partitions: 2)
        #expect(
            try withDeadline(60) {
                try tail.poll()
                return tail.records.count >= Self.cases.count || !processor.isRunning
            }, "\(processor.output)")
        #expect(tail.records.count == Self.cases.count, "events = features + dead letters")
        for (index, test) in Self.cases.enumerated() {
            let record = try #require(tail.records.first { $0.id == "case:\(index)" }, "\(test.name) vanished")
            #expect(record.partition == Int32(index % 2), "a derived record keeps its input's partition")
            guard let reason = test.reason else {
                #expect(record.topic == topics.features, "\(test.name)")
                #expect(record.json?["features"]?["heart_rate"]?.double == 80)
                continue
            }
            #expect(record.topic == topics.deadLetter, "\(test.name)")
            #expect(record.headers["reason"] == reason, "\(test.name): \(record.headers)")
            #expect(record.headers["field"] == test.field, "\(test.name): \(record.headers)")
            #expect(record.headers["source-topic"] == topics.events)
            #expect(record.headers["source-partition"] == "\(index % 2)")
            #expect(record.headers["source-offset"] == "\(index / 2)")
            let detail = record.headers["detail"] ?? ""
            #expect(detail.hasSuffix(".") || detail.hasSuffix("?"), "\(test.name): \(detail)")
            #expect(record.key == test.key)
            #expect(record.value ?? [] == test.value ?? [], "\(test.name): the original bytes")
        }
        processor.terminate()
        #expect(processor.wait(10) == 0, "\(processor.output)")
    }

    private static let windowed = """
        name: pumps
        event: { entity: pump, time: at, fields: { pump: string, at: { type: timestamp, format: epoch-milliseconds }, x: number } }
        features: { reading: { x: x, jump: difference(x) } }
        detector: { name: robust-z }

        """

    @Test("where features remember an entity, an event without a key is refused on several partitions, and taken on one", arguments: [1, 2])
    func keys(partitions: Int) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "vyuha-keys-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Self.windowed.write(to: folder.appending(path: "usecase.yaml"), atomically: true, encoding: .utf8)
        let topics = Topics(useCase: "pumps")
        let broker = try EmbeddedBroker(topics: topics.all.map { TopicSpec(name: $0, partitions: partitions) })
        let redis = try RedisServer(appendOnly: false)
        let processor = try ServiceProcess(
            "stream-processor",
            environment: [
                "VYUHA_USE_CASE": folder.path, "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrapServers, "VYUHA_KAFKA_FETCH_WAIT_MAX_MS": "2",
                "REDIS_URL": redis.url, "VYUHA_PORT": "0",
            ])
        let producer = try KafkaProducer(broker.settings)
        var batch = OutgoingBatch(topics: [topics.events])
        func add(_ key: String?, id: [UInt8]?) {
            batch.append(topic: 0, partition: 0, key: key.map(Self.text), value: Self.text(#"{"pump":"p1","at":1796087640000,"x":1}"#))
            if let id { batch.header("id", of: id, 0..<id.count) }
        }
        add(nil, id: Self.text("keyless"))
        add("p1", id: Self.text("keyed"))
        add("p1", id: [])
        add("p1", id: Self.text("Pr") + [0xFC] + Self.text("f"))
        try producer.send(batch)
        try producer.flush(timeout: 10_000)

        let tail = try TopicTail(broker.bootstrapServers, topics: [topics.features, topics.deadLetter], partitions: partitions)
        #expect(
            try withDeadline(60) {
                try tail.poll()
                return tail.records.count >= 4 || !processor.isRunning
            }, "\(processor.output)")
        let refused = tail.records.filter { $0.topic == topics.deadLetter }
        #expect(refused.map(\.id) == (partitions == 1 ? [] : ["keyless"]))
        #expect(refused.allSatisfy { $0.headers["reason"] == "bad-key" && $0.headers["detail"]?.contains("no key") == true })
        // An empty id is none, and bytes that are not UTF-8 are the same text everywhere.
        let expected = (partitions == 1 ? ["keyless"] : []) + ["keyed", "pumps.events-0-2", "Pr\u{FFFD}f"]
        let features = tail.records.filter { $0.topic == topics.features }
        #expect(features.map { $0.json?["id"]?.string } == expected)
        #expect(features.map(\.id) == expected)
        processor.terminate()
        #expect(processor.wait(10) == 0, "\(processor.output)")
    }
}
