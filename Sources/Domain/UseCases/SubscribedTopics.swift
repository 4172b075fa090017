import Features
import YAMLReader

/// `source: mqtt`: the messages of topics of an MQTT broker.
public struct SubscribedTopics: Sendable, Equatable {
    /// A topic with wildcards. A level in braces, such as `{site}` in `plant/{site}/+/#`, is a wildcard for one level that becomes a field.
    public struct Filter: Sendable, Equatable {
        /// As the broker wants it: `plant/+/+/#`.
        public let text: String
        /// The fields that levels become, by their place from 0.
        public let fields: [Int: String]

        public init(text: String, fields: [Int: String]) {
            self.text = text
            self.fields = fields
        }
    }

    /// `mqtt://host:port`, with TLS `mqtts://host:port`.
    public var server: String
    public var filters: [Filter]
    /// 1: a message is acknowledged once Kafka has it. 0: what comes while nobody listens is lost.
    public var quality = 1
    /// Names the session at the broker; nil: `<use case>.producer`.
    public var clientID: String?
    /// The path of a message's own identity; nil: what the broker calls it.
    public var id: String?
    /// The path of a field in a message, where it is not the schema's.
    public var columns: [String: String] = [:]
    /// The field that a payload is which is a bare value and no JSON object.
    public var value: String?
    /// The field that takes the time at which a message came, in milliseconds since 1970.
    public var arrival: String?
    /// PEM files, relative to the definition's folder.
    public var authorityFile: String?
    public var certificateFile: String?
    public var keyFile: String?
}

extension SubscribedTopics {
    init(_ node: YAMLNode, schema: EventSchema) throws(YAMLError) {
        let keys = try node.mapping([
            "server", "topics", "qos", "client_id", "id", "columns", "value", "arrival", "ca_file", "certificate_file", "key_file",
        ])
        let server = try keys.required("server")
        self.server = try server.nonEmptyString()
        guard self.server.hasPrefix("mqtt://") || self.server.hasPrefix("mqtts://") else {
            throw server.error("`server` is an address such as mqtt://broker:1883 or, with TLS, mqtts://broker:8883.")
        }
        filters = []
        for entry in try keys.required("topics").sequence() { filters.append(try Filter(entry, schema: schema)) }
        guard !filters.isEmpty else { throw node.error("`topics` names no topic.") }
        if let node = keys["qos"] { quality = Int(try node.integer(0...1)) }
        if let node = keys["client_id"] { clientID = try node.nonEmptyString() }
        if let node = keys["id"] { id = try node.nonEmptyString() }
        if let node = keys["columns"] { columns = try FileFormat.columns(node, schema) }
        if let node = keys["value"] { value = try Self.field(node, schema) }
        if let node = keys["arrival"] {
            arrival = try Self.field(node, schema)
            guard let field = schema.fields.first(where: { $0.name == arrival }), field.type == .timestamp, field.format == .epochMilliseconds else {
                throw node.error("`arrival` is a field of the type timestamp with the format epoch-milliseconds.")
            }
        }
        if value != nil, let entry = keys["id"] { throw entry.error("A bare value has no fields; `id` and `value` exclude each other.") }
        if let node = keys["ca_file"] { authorityFile = try node.nonEmptyString() }
        if let node = keys["certificate_file"] { certificateFile = try node.nonEmptyString() }
        if let node = keys["key_file"] { keyFile = try node.nonEmptyString() }
    }

    fileprivate static func field(_ node: YAMLNode, _ schema: EventSchema) throws(YAMLError) -> String {
        let name = try node.nonEmptyString()
        guard schema.fields.contains(where: { $0.name == name }) else { throw node.error("The event has no field `\(name.prefix(60))`.") }
        return name
    }
}

extension SubscribedTopics.Filter {
    fileprivate init(_ node: YAMLNode, schema: EventSchema) throws(YAMLError) {
        var levels = try node.nonEmptyString().split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        var fields: [Int: String] = [:]
        for (place, level) in levels.enumerated() {
            if level.hasPrefix("{"), level.hasSuffix("}") {
                let name = String(level.dropFirst().dropLast())
                guard schema.fields.contains(where: { $0.name == name }) else { throw node.error("The event has no field `\(name.prefix(60))`.") }
                fields[place] = name
                levels[place] = "+"
            } else if level.contains("{") || level.contains("}") {
                throw node.error("A level of a topic is `{field}` as a whole; this one is `\(level.prefix(60))`.")
            } else if level.contains("+") && level != "+" || level.contains("#") && (level != "#" || place < levels.count - 1) {
                throw node.error("The wildcard + stands for a whole level, and # only at the end for all that follow.")
            }
        }
        self.fields = fields
        text = levels.joined(separator: "/")
    }

    /// Whether a topic is one of these (MQTT 3.1.1, 4.7).
    /// - Parameter levels: of the topic.
    public func matches(_ levels: [Substring]) -> Bool {
        let wanted = text.split(separator: "/", omittingEmptySubsequences: false)
        for (place, level) in wanted.enumerated() {
            if level == "#" { return true }
            guard place < levels.count, level == "+" || level == levels[place] else { return false }
        }
        return wanted.count == levels.count
    }
}
