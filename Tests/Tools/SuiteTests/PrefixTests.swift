import Contracts
import Foundation
import KafkaClient
import RedisClient
import TestSupport
import Testing

/// Two suites for one definition that share a Kafka and a Redis: what keeps them apart is `VYUHA_PREFIX` alone.
@Suite struct PrefixTests {
    private static let definition = """
        name: pumps
        event: { entity: pump, time: at, fields: { pump: string, at: { type: timestamp, format: epoch-milliseconds }, x: number } }
        features: { reading: { x: x, jump: difference(x) } }
        detector: { name: robust-z }

        """

    private let folder: URL
    private let broker: EmbeddedBroker
    private let redis: RedisServer

    init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "vyuha-prefix-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try Self.definition.write(to: folder.appending(path: "usecase.yaml"), atomically: true, encoding: .utf8)
        broker = try EmbeddedBroker(
            topics: ["team-a.pumps", "team-b.pumps"].flatMap { Topics(useCase: $0).all }.map { TopicSpec(name: $0, partitions: 1) })
        redis = try RedisServer(appendOnly: false)
    }

    private func environment(_ prefix: String) -> [String: String] {
        [
            "VYUHA_USE_CASE": folder.path, "VYUHA_PREFIX": prefix, "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrapServers,
            "VYUHA_KAFKA_FETCH_WAIT_MAX_MS": "2", "REDIS_URL": redis.url, "VYUHA_PORT": "0", "VYUHA_LOG_FORMAT": "json",
        ]
    }

    @Test("topics, groups, state and features of two suites with different prefixes never touch")
    func apart() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let counts = ["team-a": 30, "team-b": 50]
        var services: [ServiceProcess] = []
        for prefix in counts.keys.sorted() {
            for name in ["stream-processor", "feature-writer"] { services.append(try ServiceProcess(name, environment: environment(prefix))) }
        }
        let producer = try KafkaProducer(broker.settings)
        for (prefix, count) in counts {
            var batch = OutgoingBatch(topics: [prefix + ".pumps.events"])
            for number in 0..<count {
                let value = #"{"pump":"\#(prefix)-\#(number % 3)","at":\#(1_796_087_640_000 + number * 1000),"x":\#(number)}"#
                batch.append(topic: 0, partition: 0, key: Array("\(prefix)-\(number % 3)".utf8), value: Array(value.utf8))
            }
            try producer.send(batch)
        }
        try producer.flush(timeout: 10_000)

        let client = RedisClient(try RedisSettings(url: redis.url))
        let admin = try KafkaAdmin(broker.settings)
        let outputs = { services.map(\.output).joined(separator: "\n") }
        for (prefix, count) in counts {
            // Event and derived record have the same partition, so each service's committed offset is the number of records.
            for (service, topic) in [("stream-processor", "events"), ("feature-writer", "features")] {
                let place = TopicPartition("\(prefix).pumps.\(topic)", 0)
                let done = try withDeadline(60) {
                    try admin.committed(group: "\(prefix).pumps.\(service)", [place], timeout: 5_000).first?.offset == Int64(count)
                }
                try #require(done, "\(prefix) \(service): \(outputs())")
            }
            let keys = RedisKeys(useCase: prefix + ".pumps")
            let entities = try client.command("KEYS", keys.onlinePattern(set: "reading")).array?.compactMap(\.text) ?? []
            #expect(Set(entities) == Set((0..<3).map { keys.online(set: "reading", entity: "\(prefix)-\($0)") }))
        }
        let all = try client.command("KEYS", "*").array?.compactMap(\.text) ?? []
        #expect(!all.isEmpty && all.allSatisfy { $0.hasPrefix("vyuha:team-a.pumps:") || $0.hasPrefix("vyuha:team-b.pumps:") }, "\(all)")
        #expect(services[0].output.contains(#""use_case":"team-a.pumps""#))

        for service in services { service.terminate() }
        for service in services { #expect(service.wait(20) == 0, "\(service.output)") }
    }

    @Test(
        "a prefix that is not safe in a topic's name is refused with a sentence",
        arguments: ["Team", "a.b", "-a", "a-", "a b", String(repeating: "x", count: 33)])
    func refused(prefix: String) throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let (status, output) = try ServiceProcess.run(
            "stream-processor", ["--check-config"], environment: environment(prefix), within: 20)
        #expect(status == 64)
        #expect(output.contains("VYUHA_PREFIX: a prefix has 1 to 32 lower-case letters, digits and `-`, none of these at an end"), "\(output)")
    }
}
