import Foundation
import KafkaClient
import TestSupport
import Testing
import UseCases

@testable import VyuhaCtl

/// `vyuhactl usecase infer` from where live events are.
@Suite("vyuhactl usecase infer, from servers")
struct InferServersTests {
    private func definition(_ sample: Sample) throws -> (text: String, useCase: UseCase) {
        let text = try DefinitionProposal(sample, name: SampleReader.useCaseName(of: sample.origin)).text
        return (text, try UseCase.parse(text, file: "usecase.yaml"))
    }

    private static func reading(_ row: Int) -> String {
        #"{"reading_id":"r\#(row)","meta":{"pump":"p\#(row % 3)"},"timestamp":"2026-11-01T10:00:\#(row < 10 ? "0" : "")\#(row)Z","bar":\#(row)}"#
    }

    @Test("the newest records of a topic; what is no JSON is passed over, and a topic of nothing else is refused")
    func topic() throws {
        let broker = try EmbeddedBroker(topics: ["plant.raw", "avro", "empty"].map { TopicSpec(name: $0, partitions: 3) })
        let producer = try KafkaProducer(KafkaSettings(bootstrapServers: broker.bootstrapServers))
        var batch = OutgoingBatch(topics: ["plant.raw", "avro"])
        for row in 0..<60 { batch.append(topic: 0, partition: Int32(row % 3), key: nil, value: Array(Self.reading(row).utf8)) }
        batch.append(topic: 0, partition: 0, key: nil, value: nil as [UInt8]?)
        batch.append(topic: 0, partition: 1, key: nil, value: [0, 0, 0, 0, 1, 2])
        batch.append(topic: 1, partition: 1, key: nil, value: [0, 0, 0, 0, 1, 2])
        _ = try producer.send(batch, timeout: 5_000)
        try producer.flush(timeout: 10_000)
        let sample = try SampleReader.read(topic: "plant.raw", of: broker.settings, rows: 1_000)
        #expect(sample.rows == 60 && sample.wrong == 1)
        let (text, useCase) = try definition(sample)
        guard case .kafka(let source)? = useCase.source?.kind else {
            Issue.record("The source is no topic:\n\(text)")
            return
        }
        #expect(source.topic == "plant.raw")
        #expect(useCase.event.entity == "pump" && useCase.event.time == "timestamp")
        #expect(useCase.event.schema.fields.first { $0.name == "pump" }?.path == "meta.pump")
        #expect(try SampleReader.read(topic: "plant.raw", of: broker.settings, rows: 9).rows <= 9)
        #expect(throws: CommandError.self) { try SampleReader.read(topic: "avro", of: broker.settings, rows: 9) }
        #expect(throws: CommandError.self) { try SampleReader.read(topic: "empty", of: broker.settings, rows: 9) }
    }

    @Test("an answer of an API: the list in it, and its next page", .disabled(if: Nginx.isMissing, "nginx is not installed."))
    func api() throws {
        let list = (0..<40).map(Self.reading).joined(separator: ",")
        let page = #"{"meta":{"next":"/readings?page=2","tags":["a"]},"data":{"items":[\#(list)]}}"#
        let server = try Nginx.serve(pages: ["1": page, "bare": "[\(list)]", "none": #"{"data":[1,2]}"#], fails: false)
        func url(_ page: String) -> String { "http://127.0.0.1:\(server.port)/readings?page=\(page)" }
        #expect(withDeadline(20) { (try? SampleReader.read(api: url("1"), token: "a-token-of-the-test", rows: 9)) != nil })
        let (text, useCase) = try definition(try SampleReader.read(api: url("1"), token: "a-token-of-the-test", rows: 1_000))
        guard case .http(let source)? = useCase.source?.kind else {
            Issue.record("The source is no API:\n\(text)")
            return
        }
        #expect(source.url == url("1"))
        #expect(text.contains("records: \"data.items\"") && text.contains("pagination: { next: \"meta.next\" }"))
        #expect(text.contains("id: \"reading_id\""))
        #expect(try SampleReader.read(api: url("bare"), token: "a-token-of-the-test", rows: 7).rows == 7)
        #expect(throws: CommandError.self) { try SampleReader.read(api: url("none"), token: "a-token-of-the-test", rows: 9) }
    }

    @Test("a table: what grows is the watermark, what tells rows apart the key", .disabled(if: Postgres.isMissing, "PostgreSQL is not installed."))
    func table() throws {
        let server = try Postgres.start()
        try #require(try withDeadline(60) { try Postgres.run("SELECT 1", on: server) == 0 })
        let made = try Postgres.run(
            """
            CREATE SCHEMA plant;
            CREATE TABLE plant.readings (id serial, pump text, at timestamptz, "Pressure (bar)" numeric, updated_at timestamptz DEFAULT now());
            INSERT INTO plant.readings (pump, at, "Pressure (bar)")
            SELECT 'p' || n % 3, timestamptz '2026-11-01 10:00:00+00' + n * interval '1 s', n / 2.0 FROM generate_series(1, 60) n;
            """, on: server)
        try #require(made == 0)
        let sample = try SampleReader.read(table: "plant.readings", at: Postgres.address(of: server) + " password=drumlin", rows: 1_000)
        let (text, useCase) = try definition(sample)
        guard case .postgresql(let source)? = useCase.source?.kind else {
            Issue.record("The source is no table:\n\(text)")
            return
        }
        #expect(source.table == "plant.readings" && source.watermark == "updated_at" && source.key == "id")
        #expect(source.columns == ["Pressure__bar_": "Pressure (bar)"])
        #expect(useCase.event.entity == "pump")
        #expect(!text.contains("drumlin"))
        #expect(useCase.features.first?.features.map(\.name).contains("Pressure__bar_") == true)
    }
}
