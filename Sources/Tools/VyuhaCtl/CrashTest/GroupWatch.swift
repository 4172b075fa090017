import KafkaClient

/// How far the services' groups have come, compared with what the rig has seen in the topics that they read.
struct GroupWatch {
    /// Per topic and partition: offset behind the newest record that was seen.
    typealias Ends = [TopicPartition: Int64]

    private let groups: [(service: String, topic: String, reader: KafkaConsumer)]
    private let partitions: Int
    private(set) var committed: [String: [TopicPartition: Int64]] = [:]

    init(_ facts: RunFacts, _ kafka: KafkaSettings) throws(KafkaError) {
        partitions = facts.partitions
        var groups: [(service: String, topic: String, reader: KafkaConsumer)] = []
        // A consumer that never joins reads a group's offsets as an outside tool does.
        for entry in facts.groups { groups.append((entry.service, entry.topics[0], try KafkaConsumer(kafka, group: entry.group))) }
        self.groups = groups
    }

    /// Asks the broker. While a group is rebalancing it may not answer; the next time will do.
    mutating func ask() {
        for (service, topic, reader) in groups {
            let places = (0..<Int32(partitions)).map { TopicPartition(topic, $0) }
            guard let offsets = try? reader.committed(places, timeout: 1_000) else { continue }
            for offset in offsets { committed[service, default: [:]][offset.topicPartition] = max(offset.offset, 0) }
        }
    }

    /// Whether the service's group has committed everything up to `mark`.
    func isThrough(_ service: String, _ mark: Ends) -> Bool {
        guard let topic = groups.first(where: { $0.service == service })?.topic else { return true }
        let known = committed[service] ?? [:]
        return mark.allSatisfy { $0.key.topic != topic || known[$0.key] ?? 0 >= $0.value }
    }

    /// Records in the topic that the service reads.
    func records(of service: String, _ ends: Ends) -> Int64 {
        guard let topic = groups.first(where: { $0.service == service })?.topic else { return 0 }
        return ends.reduce(0) { $1.key.topic == topic ? $0 + $1.value : $0 }
    }

    func behind(_ mark: Ends) -> [(service: String, records: Int64)] {
        groups.map { group in
            (
                group.service,
                mark.reduce(Int64(0)) { sum, end in
                    end.key.topic == group.topic ? sum + max(0, end.value - (committed[group.service]?[end.key] ?? 0)) : sum
                }
            )
        }
    }

    func close() { for group in groups { group.reader.close() } }
}
