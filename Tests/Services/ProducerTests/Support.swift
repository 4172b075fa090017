import Features
import Foundation
import JSON
import KafkaClient
import ServiceKit
import Simulation
import UseCases

@testable import Producer

/// A folder of a test's own, gone with the last reference.
final class Folder {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "vyuha-producer-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ text: String, as name: String) throws -> String {
        let file = path + "/" + name
        try text.write(toFile: file, atomically: false, encoding: .utf8)
        return file
    }
}

enum Sample {
    /// A small trip: entity `zone`, time `at`.
    static func schema(format: TimestampFormat = .iso8601) throws -> EventSchema {
        try EventSchema(
            fields: [
                EventField("at", .timestamp, format: format), EventField("zone", .integer), EventField("fare", .number),
                EventField("note", .string, isRequired: false),
            ], entity: "zone", time: "at")
    }

    static let trips = """
        at,zone,fare,note,label,ignore,kind
        2019-01-01T00:00:00Z,132,10.5,,0,0,
        2019-01-01T00:00:10Z,007,20,"a ""b"", c",1,0,overcharge
        2019-01-01T00:00:10Z,5
        2019-01-01T00:00:40Z,5,30,,0,1,

        """

    static let truth = FileFormat(file: "trips.csv", label: "label", labelKind: "kind", ignore: "ignore")

    static func battlefield() throws -> EventSchema {
        try EventSchema(
            fields: [
                EventField("soldier_id", .integer), EventField("heart_rate", .number), EventField("stamina", .number),
                EventField("timestamp", .timestamp, format: .epochSeconds),
            ], entity: "soldier_id", time: "timestamp")
    }

    static let simulator = SimulatorSettings(name: "battlefield", start: 1_700_000_000_000)
}

extension EventSource {
    /// The current row's event.
    func json(_ schema: EventSchema) throws -> String {
        var writer = JSONWriter()
        try RowMapper(schema: schema, source: self).write(self, into: &writer)
        return writer.text
    }

    var idText: String { String(decoding: id, as: UTF8.self) }
    var entityText: String { String(decoding: entity, as: UTF8.self) }
}

/// One record as a test looks at it.
struct Seen: Equatable {
    var topic: String
    var id: String
    var key: String?
    var value: String
    var headers: [String: String]
}

/// Everything that is on these topics now, in order of partition and offset.
func everything(on topics: [String], of broker: EmbeddedBroker) throws -> [Seen] {
    let settings = broker.settings
    let admin = try KafkaAdmin(settings)
    let consumer = try KafkaConsumer(settings, group: "test-" + UUID().uuidString)
    defer { consumer.close() }
    var left: Int64 = 0
    var starts: [PartitionOffset] = []
    for topic in topics {
        for partition in 0..<(try admin.partitions(of: topic) ?? 0) {
            let place = TopicPartition(topic, Int32(partition))
            let range = try consumer.watermarks(place, cached: false)
            left += range.high - range.low
            if range.high > range.low { starts.append(PartitionOffset(place, range.low)) }
        }
    }
    try consumer.assign(starts)
    var seen: [Seen] = []
    var batch = RecordBatch()
    let deadline = Date().addingTimeInterval(20)
    while Int64(seen.count) < left, Date() < deadline {
        try consumer.poll(into: &batch, maximum: 1_000, timeout: 50)
        func text(_ range: Range<Int>) -> String { String(decoding: batch.bytes[range], as: UTF8.self) }
        for record in batch.records {
            var headers: [String: String] = [:]
            for header in batch.headers[record.headers] { headers[text(header.name)] = header.value.map(text) }
            seen.append(
                Seen(
                    topic: batch.topics[record.topic], id: headers["id"] ?? "", key: record.key.map(text),
                    value: record.value.map(text) ?? "", headers: headers))
        }
    }
    return seen
}

func makeBroker(_ useCase: String, partitions: Int = 4) throws -> EmbeddedBroker {
    try EmbeddedBroker(topics: ["events", "labels", "dead-letter"].map { TopicSpec(name: "\(useCase).\($0)", partitions: partitions) })
}
