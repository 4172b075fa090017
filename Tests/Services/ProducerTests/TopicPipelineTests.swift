import Contracts
import Features
import Foundation
import JSON
import KafkaClient
import RedisClient
import ServiceKit
import TestSupport
import Testing
import UseCases

@testable import Producer
@testable import ServiceKit

/// A topic of others as a source.
@Suite("A Kafka topic as a source")
struct TopicPipelineTests {
    /// A broker with a topic of 6 partitions, and ours of 4.
    private final class Run {
        let broker: EmbeddedBroker
        private let common: CommonSettings
        private var lives: [Lifecycle] = []

        init() throws {
            broker = try EmbeddedBroker(
                topics: ["events", "labels", "dead-letter"].map { TopicSpec(name: "pumps.\($0)", partitions: 4) }
                    + [TopicSpec(name: "plant.raw", partitions: 6)])
            var reader = SettingsReader(arguments: [], environment: ["KAFKA_BOOTSTRAP_SERVERS": broker.bootstrapServers])
            common = try #require(CommonSettings(&reader, useCaseName: "pumps", defaultPort: 0))
        }

        deinit { for life in lives { life.stop() } }

        /// A pipeline on a thread of its own.
        func start(_ change: (inout ReadTopic) -> Void = { _ in }) throws -> Lifecycle {
            let life = Lifecycle()
            lives.append(life)
            let service = Service(name: "producer", log: Logger(service: "producer", level: .error, format: .text), metrics: Metrics(), life: life)
            var source = ReadTopic(topic: "plant.raw")
            source.columns = ["fare": "data.fare"]
            change(&source)
            let (common, chosen, schema) = (common, source, try Sample.schema())
            Threads.start("topic") {
                do {
                    try TopicPipeline(
                        chosen, kafka: common.kafka, schema: schema, useCase: "pumps", common: common, service: service,
                        metrics: ProducerMetrics(service.metrics)
                    ).run()
                } catch { Issue.record(error) }
            }
            return life
        }

        func send(_ values: [(key: String?, value: [UInt8]?, headers: [(String, String)])], compression: String = "none") throws {
            let producer = try KafkaProducer(KafkaSettings(bootstrapServers: broker.bootstrapServers), properties: ["compression.codec": compression])
            var batch = OutgoingBatch(topics: ["plant.raw"])
            for (index, value) in values.enumerated() {
                batch.append(topic: 0, partition: Int32(index % 6), key: value.key.map { Array($0.utf8) }, value: value.value)
                for header in value.headers { batch.header(header.0, Array(header.1.utf8)) }
            }
            _ = try producer.send(batch, timeout: 5_000)
            try producer.flush(timeout: 10_000)
        }

        func send(_ fares: Range<Int>, compression: String = "none") throws {
            try send(fares.map { ($0 % 3 == 0 ? nil : "any", Array(TopicPipelineTests.value($0).utf8), []) }, compression: compression)
        }

        func records(_ topic: String, _ count: Int, within seconds: Double = 60) throws -> [Seen] {
            var seen: [Seen] = []
            _ = try withDeadline(seconds) {
                seen = try everything(on: ["pumps." + topic], of: broker)
                return seen.count >= count
            }
            return seen
        }
    }

    private static func value(_ fare: Int) -> String {
        #"{"at":"2026-11-01T10:00:00Z","zone":\#(fare % 7),"data":{"fare":\#(fare),"other":[1]},"n":"n\#(fare)"}"#
    }

    @Test("records of any key, compressed or not, become events that are keyed by their entity, each once, over two members and their change")
    func events() throws {
        let run = try Run()
        for (index, codec) in ["none", "gzip", "snappy", "lz4", "zstd"].enumerated() {
            try run.send(index * 60..<index * 60 + 60, compression: codec)
        }
        let first = try run.start()
        #expect(try run.records("events", 300).count == 300)
        // Another one takes a part, then everything.
        _ = try run.start()
        try run.send(300..<600)
        #expect(try run.records("events", 600).count == 600)
        first.stop()
        try run.send(600..<900)
        let seen = try run.records("events", 900)
        #expect(seen.count == 900)
        #expect(Set(seen.map(\.id)).count == 900)
        #expect(Set(seen.map(\.value)).count == 900)
        for record in seen { #expect(record.key == JSONValueOf(record.value, "zone")) }
        #expect(seen.contains { $0.id == "plant.raw:0:0" && $0.value == #"{"at":"2026-11-01T10:00:00Z","zone":0,"fare":0}"# })
    }

    private func JSONValueOf(_ text: String, _ name: String) -> String? { (try? JSONValue.parse(text))?[name]?.integer.map { "\($0)" } }

    @Test("an id comes from a field or a header where the use case says so, else from the place")
    func ids() throws {
        let run = try Run()
        try run.send([(nil, Array(Self.value(1).utf8), [("ce_id", "h1")]), (nil, Array(Self.value(2).utf8), [])])
        let first = try run.start { $0.id = "n" }
        #expect(try Set(run.records("events", 2).map(\.id)) == ["plant.raw:n1", "plant.raw:n2"])
        first.stop()
        _ = try run.start {
            $0.idHeader = "ce_id"
            $0.group = "another"
        }
        #expect(try Set(run.records("events", 4).map(\.id)).isSuperset(of: ["plant.raw:h1", "plant.raw:1:0"]))
    }

    @Test("tombstones are passed over; what is no plain JSON is a dead letter that names what it is, and the others come")
    func foreign() throws {
        let run = try Run()
        let framed: [UInt8] = [0, 0, 0, 0, 42, 2, 0x0A]
        try run.send([
            ("k", nil, []), ("k", framed, []), ("k", [], []), ("k", [0, 0, 0, 1, 1] + Array(#"{"a":1}"#.utf8), []),
            ("k", [0x0A, 0x03, 0x08, 0x01], []),
            ("k", Array(#"{"at":NaN}"#.utf8), []), ("k", Array(Self.value(5).utf8), []),
        ])
        _ = try run.start()
        #expect(try run.records("events", 1).map(\.value) == [#"{"at":"2026-11-01T10:00:00Z","zone":5,"fare":5}"#])
        let letters = try run.records("dead-letter", 5)
        #expect(letters.count == 5)
        func detail(_ partition: Int, _ offset: Int = 0) -> String {
            letters.first { $0.headers["source-partition"] == "\(partition)" && $0.headers["source-offset"] == "\(offset)" }?.headers["detail"] ?? ""
        }
        #expect(detail(1).contains("Schema Registry") && detail(1).contains("42") && detail(1).contains("Avro or Protobuf"))
        #expect(detail(2).contains("no bytes"))
        #expect(detail(3).contains("JSON Schema"))
        #expect(detail(4).contains("Protobuf"))
        #expect(detail(5).contains("NaN is no JSON value, at byte 6"))
        #expect(letters.allSatisfy { $0.headers["source-topic"] == "plant.raw" })
    }

    @Test("from: latest begins behind what is there, and a restart leaves nothing out")
    func latest() throws {
        let run = try Run()
        try run.send(0..<12)
        let first = try run.start { $0.from = .latest }
        try #require(withDeadline(30) { first.obstacle == nil })
        try run.send(12..<24)
        #expect(try run.records("events", 12).count == 12)
        first.stop()
        try run.send(24..<36)
        _ = try run.start { $0.from = .latest }
        let fares = try run.records("events", 24).compactMap { JSONValueOf($0.value, "fare").flatMap { Int($0) } }
        #expect(fares.sorted() == Array(12..<36))
    }

    @Test("what a crash left delivered and not committed is left out when it is read again, whatever the ids", arguments: [false, true])
    func crash(hasOwnIDs: Bool) throws {
        let run = try Run()
        func change(_ source: inout ReadTopic) { if hasOwnIDs { source.id = "n" } }
        try run.send(0..<300)
        let first = try run.start(change)
        #expect(try run.records("events", 300).count == 300)
        first.stop()
        // As a crash leaves it: delivered, a part of it not committed; what no topic holds any more cannot be delivered again.
        let places = (0..<6).map { TopicPartition("plant.raw", Int32($0)) }
        let admin = try KafkaAdmin(run.broker.settings)
        try #require(withDeadline(30) { try admin.committed(group: "pumps.producer", places).allSatisfy { $0.offset == 50 } })
        let committed = try admin.committed(group: "pumps.producer", places)
        #expect(committed.allSatisfy { $0.metadata?.hasPrefix("ends ") == true })
        try run.send([(nil, [0xFF], [])] + (301..<306).map { (nil, Array(Self.value($0).utf8), []) })
        let second = try run.start(change)
        #expect(try run.records("events", 305).count == 305)
        #expect(try run.records("dead-letter", 1).count == 1)
        second.stop()
        try #require(withDeadline(30) { try admin.committed(group: "pumps.producer", places).allSatisfy { $0.offset == 51 } })
        let consumer = try KafkaConsumer(run.broker.settings, group: "back")
        try consumer.commit(committed, wait: true)
        consumer.close()
        func back(_ source: inout ReadTopic) {
            change(&source)
            source.group = "back"
        }
        let third = try run.start(back)
        try run.send(306..<312)
        #expect(try run.records("events", 311).count == 311)
        #expect(try run.records("dead-letter", 1).count == 1)
        // It is committed past what was known, and a fourth finds nothing to leave out.
        third.stop()
        try #require(withDeadline(30) { try admin.committed(group: "back", places).allSatisfy { $0.offset == 52 } })
        _ = try run.start(back)
        try run.send(312..<318)
        #expect(try run.records("events", 317).count == 317)
    }

    @Test("the ends of topics are a text and back; what finds no room there is read from its beginning")
    func ends() {
        let ends = TopicEnds([[0, 35, 36, .max], []])
        #expect(ends.text == "ends 0,z,10,1y2p0ij32e8e7;")
        #expect(TopicEnds(text: ends.text) == ends)
        #expect(TopicEnds(text: "41") == nil)
        let long = TopicEnds([Array(repeating: .max, count: 1_000), [7]])
        #expect(long.text.utf8.count <= 4_096)
        #expect(TopicEnds(text: long.text)?.offset(0, 10) == .max)
        #expect(TopicEnds(text: long.text)?.offset(0, 999) == 0)
        #expect(TopicEnds(text: long.text)?.offset(1, 0) == 7)
        #expect(TopicEnds([[5, 9]]).earlier(TopicEnds([[7, 3]])) == TopicEnds([[5, 3]]))
    }
}
