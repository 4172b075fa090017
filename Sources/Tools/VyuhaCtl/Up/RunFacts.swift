import Contracts
import Features
import KafkaClient

/// What `up` needs to know of a use case.
struct RunFacts: Sendable {
    enum Training: Sendable, Equatable {
        /// Absolute path.
        case csv(String)
        /// The producer writes it: of a simulation with its own seed and times, or of another format.
        case exported
    }

    /// With the prefix, if there is one: what topics, groups and keys begin with.
    var name: String
    var title: String
    /// Absolute path; what the services are given as their use case.
    var directory: String
    var partitions: Int
    /// Names of the feature sets; each has a model of its own.
    var sets: [String]
    /// The same and silence, as the books keep them apart.
    var flowSets: [FlowSet]
    /// Where sets take only events of a kind: what says which.
    var plan: FeaturePlan?
    /// Milliseconds that features look back: how long a flag behind an episode is still of it.
    var aftermath: Int64 = 60_000
    /// Milliseconds from an event to the end of its last window, and what may be late for it: until then nothing is overdue.
    var longestDelay: Int64 = 0
    /// Default events a second.
    var rate: Double
    /// The source is a file that does not grow: it ends unless it is looped.
    var isFile: Bool
    var training: Training?
    /// A numeric field of the event, and its path in the JSON, for a fixed cut to compare with.
    var baseline: (path: String, field: String, direction: CutDirection)?

    /// Of the names of topics, groups and keys; nil: none.
    var prefix: String?
    /// The name in the definition, which commands take.
    var definitionName: String { prefix.map { String(name.dropFirst($0.utf8.count + 1)) } ?? name }

    static let defaultRate = 500.0

    /// The most partitions on the embedded broker, where each service is one process. The mock cluster looks for an offset by walking from a
    /// partition's oldest batch: at 10,000 events/s, 32 partitions of small batches took a whole core for that, 8 half a core.
    static let embeddedPartitions = 4

    var topics: Topics { Topics(useCase: name) }
    var keys: RedisKeys { RedisKeys(useCase: name) }
    /// How long the topic of events keeps them, milliseconds; nil is the broker's default.
    var retention: Int64?
    var topicSpecs: [TopicSpec] { topicSpecs(partitions: partitions, replication: -1) }

    func topicSpecs(partitions: Int, replication: Int) -> [TopicSpec] {
        topics.all.map { TopicSpec(name: $0, partitions: partitions, replication: replication, config: topicConfig($0)) }
    }

    func topicConfig(_ name: String) -> [String: String] {
        guard name == topics.events, let retention else { return [:] }
        return ["retention.ms": String(retention)]
    }

    /// Consumer groups, and what each reads.
    var groups: [(service: String, group: String, topics: [String])] { Self.groups(of: name) }

    static func groups(of useCase: String) -> [(service: String, group: String, topics: [String])] {
        let topics = Topics(useCase: useCase)
        return [
            ("stream-processor", [topics.events]), ("feature-writer", [topics.features]), ("scoring-service", [topics.features]),
            ("alert-sink", [topics.anomalies]),
        ].map { ($0.0, useCase + "." + $0.0, $0.1) }
    }
}
