import Glibc
import KafkaClient
import RedisClient
import ServiceKit
import UseCases

/// `vyuhactl reset`: forgets everything about one use case. Its services must be stopped.
///
/// Topics are deleted and made again with as many partitions (other topic settings return to the broker's defaults). Where the broker
/// does not allow that, the groups of the services are moved to the end, so that what is there is never read. Then every Redis key under
/// the use case's prefix goes: online features, models, alert state, the producer's position. Nothing of another use case or prefix is touched.
enum ResetCommand {
    static func run(_ arguments: [String]) throws {
        let settings = Service.readSettings(
            "vyuhactl reset", "Forgets a use case: deletes the records of its topics and all its Redis keys. Stop its services first.",
            arguments: arguments, switches: ["--yes"], ResetSettings.init)
        let facts = settings.facts
        let admin = try KafkaAdmin(settings.kafka)
        let existing = try admin.topics(timeout: 10_000).filter { facts.topics.all.contains($0.key) }
        let redis = RedisClient(settings.redis)
        let keys = try KeyScan.count(redis, pattern: facts.keys.prefix + "*", limit: 100_000)
        if !settings.isSure {
            try ask(facts, topics: existing.count, keys: StatusView.grouped(keys.count) + (keys.isMore ? "+" : ""))
        }
        try forgetRecords(facts, admin, existing)
        let removed = try KeyScan.remove(redis, pattern: facts.keys.prefix + "*")
        print("Redis: \(StatusView.grouped(removed)) keys removed.")
    }

    /// The use case's name must be typed; a mere "y" is typed too easily.
    private static func ask(_ facts: RunFacts, topics: Int, keys: String) throws {
        guard isatty(0) == 1 else {
            throw CommandError("This deletes data and there is no terminal to ask on. Give --yes if you mean it.")
        }
        print("This deletes all records of \(topics) topics and \(keys) Redis keys of \(facts.name), its models among them.")
        print("Type the use case's name to go on: ", terminator: "")
        fflush(nil)
        guard readLine() == facts.name else { throw CommandError("Nothing was changed.") }
    }

    private static func forgetRecords(_ facts: RunFacts, _ admin: KafkaAdmin, _ existing: [String: Int]) throws {
        guard !existing.isEmpty else { return print("Kafka: no topic of \(facts.name) exists.") }
        do {
            try admin.deleteTopics(existing.keys.sorted(), timeout: 30_000)
        } catch {
            print("Kafka: topics cannot be deleted here (\(error.message)); moving the services' groups to the end instead.")
            return try moveToEnd(facts, admin, existing)
        }
        try recreate(
            existing.map { TopicSpec(name: $0.key, partitions: $0.value, config: facts.topicConfig($0.key)) }.sorted { $0.name < $1.name },
            admin)
        print("Kafka: \(existing.count) topics deleted and made again.")
    }

    /// A broker deletes in the background, and refuses the name until it is done.
    private static func recreate(_ specs: [TopicSpec], _ admin: KafkaAdmin) throws {
        let deadline = Clock.monotonicSeconds + 30
        while true {
            do {
                return try admin.createTopics(specs, timeout: 30_000)
            } catch {
                guard Clock.monotonicSeconds < deadline else {
                    throw CommandError("The topics were deleted but could not be made again: \(error.message) Run: vyuhactl topics create")
                }
                Clock.sleep(milliseconds: 250)
            }
        }
    }

    private static func moveToEnd(_ facts: RunFacts, _ admin: KafkaAdmin, _ existing: [String: Int]) throws {
        for entry in facts.groups {
            var ends: [PartitionOffset] = []
            for topic in entry.topics {
                for partition in 0..<Int32(existing[topic] ?? 0) {
                    let place = TopicPartition(topic, partition)
                    ends.append(PartitionOffset(place, try admin.watermarks(place, timeout: 5_000).high))
                }
            }
            guard !ends.isEmpty else { continue }
            try admin.setOffsets(group: entry.group, ends, timeout: 10_000)
            print("Kafka: group \(entry.group) moved to the end.")
        }
    }
}

private struct ResetSettings {
    let facts: RunFacts
    let kafka: KafkaSettings
    let redis: RedisSettings
    let isSure: Bool

    init?(_ reader: inout SettingsReader) {
        let useCase = reader.useCase()
        kafka = reader.kafka()
        let redis = CommonSettings.redis(&reader)
        isSure = reader.toggle("--yes", "Do not ask.")
        guard let useCase, let redis else { return nil }
        facts = RunFacts(useCase)
        self.redis = redis
    }
}
