import KafkaClient
import ServiceKit

/// Notices that a topic got another number of partitions: an entity's records then go to another partition than its older ones.
struct PartitionCounts {
    private static let interval = 30.0

    private let service: Service
    private let topics: [String]
    private var known: [String: Int] = [:]
    private var lastLook = Clock.monotonicSeconds

    init(_ service: Service, topics: [String]) {
        self.service = service
        self.topics = topics
    }

    /// Asks the broker how many partitions the topics have.
    /// - Throws: what the owner says about another number than that of its state.
    mutating func check(_ consumer: KafkaConsumer, _ owner: (any PartitionOwner)?) throws {
        // Without an answer the next look will do.
        guard let found = try? consumer.topics(timeout: 5_000) else { return }
        for topic in topics {
            guard let count = found[topic], count > 0, known[topic] != count else { continue }
            if let before = known[topic] {
                service.log.warning(
                    "a topic has another number of partitions: entities have moved, and the order of one entity's records is kept from here on only",
                    ["topic": topic, "before": before, "now": count])
            }
            try owner?.check(topic, partitions: count)
            known[topic] = count
        }
    }

    /// Whether it is time to look again.
    mutating func isDue(_ now: Double) -> Bool {
        guard now - lastLook >= Self.interval else { return false }
        lastLook = now
        return true
    }
}
