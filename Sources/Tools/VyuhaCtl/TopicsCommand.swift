import KafkaClient
import ServiceKit
import UseCases

/// `vyuhactl topics create | list`.
enum TopicsCommand {
    static func run(_ arguments: [String]) throws {
        var arguments = arguments
        let actions = [
            (name: "create", summary: "Creates the topics of a use case; those that exist with the same partitions are left as they are."),
            (name: "list", summary: "Lists the topics of a use case with their partitions and records."),
        ]
        let action = Action.take("topics", actions, from: &arguments)
        let summary = actions.first { $0.name == action }?.summary ?? ""
        let settings = Service.readSettings("vyuhactl topics \(action)", summary, arguments: arguments) { reader in
            TopicsSettings(&reader, isCreate: action == "create")
        }
        if action == "create" { try create(settings) } else { try list(settings) }
    }

    private static func create(_ settings: TopicsSettings) throws {
        let admin = try KafkaAdmin(settings.kafka)
        let specs = settings.facts.topicSpecs(partitions: settings.partitions, replication: settings.replication)
        let before = try admin.topics(timeout: 10_000)
        try admin.createTopics(specs, timeout: 30_000)
        for spec in specs { print("\(spec.name)  \(spec.partitions) partitions  \(before[spec.name] == nil ? "created" : "was there")") }
    }

    private static func list(_ settings: TopicsSettings) throws {
        let admin = try KafkaAdmin(settings.kafka)
        let existing = try admin.topics(expecting: settings.facts.topics.all)
        var table = TextTable(["topic", "partitions", "records"])
        for topic in settings.facts.topics.all {
            guard let partitions = existing[topic] else {
                table.add([topic, "missing"])
                continue
            }
            table.add([topic, "\(partitions)", StatusView.grouped(try admin.records(in: topic, partitions: partitions))])
        }
        print(table.text)
    }
}

private struct TopicsSettings {
    let facts: RunFacts
    let kafka: KafkaSettings
    let partitions: Int
    /// -1: the broker's default.
    let replication: Int

    init?(_ reader: inout SettingsReader, isCreate: Bool) {
        let useCase = reader.useCase()
        kafka = reader.kafka()
        var asked: Int?
        var replication = -1
        if isCreate {
            asked = reader.optionalInteger("--partitions", in: 1...1_024, "Partitions of each topic; without it what the use case says.")
            replication =
                reader.optionalInteger("--replication", in: 1...100, "Copies of each partition; without it the broker's default.") ?? -1
        }
        guard let useCase else { return nil }
        facts = RunFacts(useCase)
        partitions = asked ?? facts.partitions
        self.replication = replication
    }
}

extension KafkaAdmin {
    /// Records that a topic holds now: one question per partition.
    func records(in topic: String, partitions: Int) throws(KafkaError) -> Int {
        var sum = 0
        for partition in 0..<Int32(partitions) {
            let marks = try watermarks(TopicPartition(topic, partition), timeout: 5_000)
            sum += Int(max(0, marks.high - marks.low))
        }
        return sum
    }

    /// The sum of a topic's end offsets: grows by one with every record.
    func end(of topic: String, partitions: Int) throws(KafkaError) -> Int64 {
        var sum: Int64 = 0
        for partition in 0..<Int32(partitions) { sum += try watermarks(TopicPartition(topic, partition), timeout: 5_000).high }
        return sum
    }
}
