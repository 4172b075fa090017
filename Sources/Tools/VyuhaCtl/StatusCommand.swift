import JSON
import KafkaClient
import ModelRegistry
import RedisClient
import ServiceKit
import UseCases

/// `vyuhactl status`: one look at a running suite from outside.
enum StatusCommand {
    /// More entities than this are not counted.
    private static let entityLimit = 100_000

    static func run(_ arguments: [String]) throws {
        let settings = Service.readSettings(
            "vyuhactl status", "Shows lag, rates, current models and entities of a use case.", arguments: arguments, switches: ["--json"],
            StatusSettings.init)
        let status = try look(settings)
        print(settings.isJSON ? status.json.pretty : status.text)
    }

    private static func look(_ settings: StatusSettings) throws -> SuiteStatus {
        let facts = settings.facts
        let admin = try KafkaAdmin(settings.kafka)
        let existing = try admin.topics(expecting: facts.topics.all)
        let redis = RedisClient(settings.redis)

        func ends() throws -> [String: Int64] {
            var result: [String: Int64] = [:]
            for topic in facts.topics.all { if let count = existing[topic] { result[topic] = try admin.end(of: topic, partitions: count) } }
            return result
        }
        let (first, firstAt) = (try ends(), Clock.monotonicSeconds)
        Clock.sleep(milliseconds: 1_000)
        let (second, secondAt) = (try ends(), Clock.monotonicSeconds)

        var status = SuiteStatus(useCase: facts.name)
        for topic in facts.topics.all {
            guard let end = second[topic], let before = first[topic] else { continue }
            status.topics.append(.init(name: topic, records: end, rate: Double(end - before) / (secondAt - firstAt)))
        }
        for entry in facts.groups where entry.topics.allSatisfy({ existing[$0] != nil }) {
            let lag = try admin.lag(group: entry.group, topics: entry.topics, timeout: 10_000)
            status.lag.append(.init(name: entry.service, behind: lag.values.reduce(0, +)))
        }
        let registry = ModelRegistry(redis, useCase: facts.name)
        for set in facts.sets {
            let model = try registry.current(set: set)
            let entities = try KeyScan.count(redis, pattern: facts.keys.onlinePattern(set: set), limit: entityLimit)
            status.sets.append(
                .init(
                    name: set, version: model?.version, detector: model?.facts["detector"],
                    age: model.map { Double(Clock.milliseconds - $0.publishedAt) / 1000 }, entities: entities.count, isMore: entities.isMore
                ))
        }
        return status
    }
}

private struct StatusSettings {
    let facts: RunFacts
    let kafka: KafkaSettings
    let redis: RedisSettings
    let isJSON: Bool

    init?(_ reader: inout SettingsReader) {
        let useCase = reader.useCase()
        kafka = reader.kafka()
        let redis = CommonSettings.redis(&reader)
        isJSON = reader.toggle("--json", "Print JSON for programs.")
        guard let useCase, let redis else { return nil }
        facts = RunFacts(useCase)
        self.redis = redis
    }
}

/// What `status` tells; pure.
struct SuiteStatus {
    struct TopicStatus {
        var name: String
        /// Sum of the end offsets.
        var records: Int64
        /// A second.
        var rate: Double
    }
    struct GroupLag {
        var name: String
        var behind: Int64
    }
    struct SetStatus {
        var name: String
        var version: Int64?
        var detector: String?
        /// Seconds since the model was stored.
        var age: Double?
        /// In the online store, and whether counting stopped at the limit.
        var entities: Int
        var isMore: Bool
    }

    var useCase: String
    var topics: [TopicStatus] = []
    var lag: [GroupLag] = []
    var sets: [SetStatus] = []

    var text: String {
        var parts: [String] = []
        var table = TextTable(["topic", "records", "per second"])
        for topic in topics { table.add([topic.name, StatusView.grouped(Int(topic.records)), StatusView.rate(topic.rate)]) }
        parts.append(
            topics.isEmpty
                ? "No topic of \(useCase) exists. Create them with: vyuhactl topics create --use-case \(useCase.split(separator: ".").last ?? "")"
                : table.text)
        if !lag.isEmpty {
            table = TextTable(["service", "records behind"])
            for group in lag { table.add([group.name, StatusView.grouped(Int(group.behind))]) }
            parts.append(table.text)
        }
        table = TextTable(["feature set", "model", "detector", "age", "entities"], leftColumns: [0, 2])
        for set in sets {
            table.add([
                set.name, set.version.map { "\($0)" } ?? "none", set.detector ?? "-", set.age.map { StatusView.time($0) } ?? "-",
                StatusView.grouped(set.entities) + (set.isMore ? "+" : ""),
            ])
        }
        parts.append(table.text)
        return parts.joined(separator: "\n\n")
    }

    var json: JSONValue {
        .object([
            JSONMember("use_case", .string(useCase)),
            JSONMember(
                "topics",
                .array(
                    topics.map {
                        .object([
                            JSONMember("name", .string($0.name)), JSONMember("records", .integer($0.records)),
                            JSONMember("records_per_second", .number($0.rate)),
                        ])
                    })),
            JSONMember(
                "lag", .array(lag.map { .object([JSONMember("service", .string($0.name)), JSONMember("records", .integer($0.behind))]) })),
            JSONMember(
                "feature_sets",
                .array(
                    sets.map {
                        .object([
                            JSONMember("name", .string($0.name)), JSONMember("model_version", $0.version.map { .integer($0) } ?? .null),
                            JSONMember("detector", $0.detector.map { .string($0) } ?? .null),
                            JSONMember("model_age_seconds", $0.age.map { .number($0) } ?? .null),
                            JSONMember("entities", .integer(Int64($0.entities))), JSONMember("entities_is_lower_bound", .bool($0.isMore)),
                        ])
                    })),
        ])
    }
}
