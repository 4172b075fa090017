import Features
import YAMLReader

/// `source: kafka`: the records of any topic, JSON objects.
public struct ReadTopic: Sendable, Equatable {
    /// Where a partition begins of which the group has read nothing yet.
    public enum Start: String, Sendable, CaseIterable { case earliest, latest }

    public var topic: String
    public var from = Start.earliest
    /// The path of a record's own identity; nil: its partition and offset.
    public var id: String?
    /// The header with the record's own identity.
    public var idHeader: String?
    /// The path of a field in a record, where it is not the schema's.
    public var columns: [String: String] = [:]
    /// The consumer group; nil: `<use case>.producer`.
    public var group: String?
    /// Other brokers than those that the events go to; nil: the same.
    public var brokers: String?
    /// librdkafka's properties for these brokers, such as `security.protocol`. Passwords belong into the environment.
    public var settings: [String: String] = [:]

    public init(topic: String) { self.topic = topic }
}

extension ReadTopic {
    init(_ node: YAMLNode, schema: EventSchema) throws(YAMLError) {
        let keys = try node.mapping(["topic", "from", "id", "id_header", "columns", "group", "brokers", "settings"])
        self.init(topic: try keys.required("topic").nonEmptyString())
        if let node = keys["from"] {
            let text = try node.nonEmptyString()
            guard let start = Start(rawValue: text) else { throw node.error("`from` is earliest or latest, but has `\(text.prefix(40))`.") }
            from = start
        }
        if let node = keys["id"] { id = try node.nonEmptyString() }
        if let node = keys["id_header"] { idHeader = try node.nonEmptyString() }
        if id != nil, let entry = keys["id_header"] { throw entry.error("`id` and `id_header` exclude each other; keep one.") }
        if let node = keys["columns"] { columns = try FileFormat.columns(node, schema) }
        if let node = keys["group"] { group = try node.nonEmptyString() }
        if let node = keys["brokers"] { brokers = try node.nonEmptyString() }
        if let node = keys["settings"] {
            for entry in try node.mapping().entries { settings[entry.key] = try entry.value.string() }
            if let entry = try node.mapping().entries.first(where: { $0.key.contains("password") || $0.key.contains("secret") }) {
                throw node.error("`\(entry.key)` is a secret; give it in the environment, as VYUHA_SOURCE_KAFKA_SASL_PASSWORD or …_FILE.")
            }
        }
    }
}
