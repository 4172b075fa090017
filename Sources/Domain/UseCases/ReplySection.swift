import Features
import JSON
import Text
import YAMLReader

/// `reply`: the members of the answer of `POST /predict`, in order.
public struct ReplySection: Sendable {
    public struct Member: Sendable {
        public let name: String
        /// The name ready to be written with `JSONWriter.key(raw:)`.
        public let key: [UInt8]
        public let value: ReplyValue
    }

    public let members: [Member]
}

/// What a member of the reply says.
public enum ReplyValue: Sendable, Equatable {
    /// `$entity`, as a number where the entity is one.
    case entity
    /// `$score`, 0...1.
    case score
    /// `$is_anomaly`
    case isAnomaly
    /// `$status`: a word of the section `status`.
    case status
    /// `$confidence`, 0...1.
    case confidence
    /// `$event_time`, milliseconds since 1970.
    case eventTime
    /// `$model`: the detector's name.
    case model
    /// `$version` of the model.
    case version
    /// `$anomaly_type`: a name of the section `types`; null where there is none.
    case anomalyType
    /// `$window_start`, milliseconds since 1970: of the newest window that holds the event, by length and slide.
    case windowStart(length: Int64, slide: Int64)
    /// `$window_end`, likewise; not part of the window.
    case windowEnd(length: Int64, slide: Int64)
    /// `$features`: an object of all features.
    case features
    /// `$field.NAME`: a number, boolean or time of the event, by its index in the schema.
    case field(Int)
    /// Anything else: finished JSON.
    case constant([UInt8])
}

extension ReplySection {
    private static let placeholders: [(String, ReplyValue)] = [
        ("$entity", .entity), ("$score", .score), ("$is_anomaly", .isAnomaly), ("$status", .status), ("$confidence", .confidence),
        ("$event_time", .eventTime), ("$model", .model), ("$version", .version), ("$anomaly_type", .anomalyType), ("$features", .features),
    ]

    private static let windowPlaceholders = ["$window_start", "$window_end"]

    init(_ node: YAMLNode?, schema: EventSchema, sets: [FeatureSetInfo]) throws(YAMLError) {
        guard let node else {
            members = [("entity", ReplyValue.entity), ("score", .score), ("is_anomaly", .isAnomaly), ("status", .status)].map {
                Member(name: $0.0, key: JSONWriter.escapedKey($0.0), value: $0.1)
            }
            return
        }
        var members: [Member] = []
        for entry in try node.mapping().entries {
            members.append(
                Member(name: entry.key, key: JSONWriter.escapedKey(entry.key), value: try Self.value(entry.value, schema, sets)))
        }
        guard !members.isEmpty else { throw node.error("`reply` has no members; leave it out for the usual ones.") }
        self.members = members
    }

    private static func value(_ node: YAMLNode, _ schema: EventSchema, _ sets: [FeatureSetInfo]) throws(YAMLError) -> ReplyValue {
        guard case .scalar(let scalar) = node.content else {
            throw node.error("A member of the reply is a placeholder such as $score or a plain value, not \(node.kindName).")
        }
        let text = scalar.text
        guard text.hasPrefix("$") else { return .constant(constant(node, scalar)) }
        // $$ is a plain dollar.
        if text.hasPrefix("$$") { return .constant(JSONValue.string(String(text.dropFirst())).serialized) }
        for (name, value) in placeholders where name == text { return value }
        if windowPlaceholders.contains(text) { return try window(text, node, sets) }
        let fields = schema.fields.map { "$field." + $0.name }
        guard let index = fields.firstIndex(of: text) else {
            let known = placeholders.map(\.0) + windowPlaceholders
            let hint =
                Nearest.name(to: text, in: known + fields).map { "did you mean `\($0)`?" }
                ?? "it is one of \(known.joined(separator: ", ")) and $field.NAME."
            throw node.error("The reply does not know the placeholder `\(text)`; \(hint)")
        }
        guard schema.fields[index].type != .string else {
            throw node.error("`\(text)` is a text, which a reply cannot repeat; it can repeat numbers, booleans and times, and $entity.")
        }
        return .field(index)
    }

    /// The window is that of the first feature set that has one.
    private static func window(_ text: String, _ node: YAMLNode, _ sets: [FeatureSetInfo]) throws(YAMLError) -> ReplyValue {
        for set in sets {
            guard case .window(let length, let slide) = set.scope else { continue }
            return text == "$window_start" ? .windowStart(length: length, slide: slide) : .windowEnd(length: length, slide: slide)
        }
        throw node.error("No feature set has a window, so there is nothing for `\(text)` to say.")
    }

    /// A plain value keeps its kind: `1` is a number, `'1'` a text.
    private static func constant(_ node: YAMLNode, _ scalar: YAMLScalar) -> [UInt8] {
        if node.isNull { return JSONValue.null.serialized }
        if let value = try? node.bool() { return JSONValue.bool(value).serialized }
        if let value = try? node.integer() { return JSONValue.integer(value).serialized }
        if let value = try? node.double() { return JSONValue.number(value).serialized }
        return JSONValue.string(scalar.text).serialized
    }
}
