import Features
import YAMLReader

/// `event`: what a record of the stream looks like.
public struct EventSection: Sendable {
    public let schema: EventSchema

    /// The name of the field that keys every record.
    public var entity: String { schema.fields[schema.entityIndex].name }
    /// The name of the field that holds the event time.
    public var time: String { schema.fields[schema.timeIndex].name }
}

extension EventSection {
    init(_ node: YAMLNode) throws(YAMLError) {
        let keys = try node.mapping(["entity", "time", "unknown_fields", "fields"])
        let entity = try keys.required("entity").string()
        let time = try keys.required("time").string()
        let unknown = try keys["unknown_fields"].map { node throws(YAMLError) in
            try node.choice(UnknownFields.allCases.map { ($0.rawValue, $0) })
        }
        let declared = try keys.required("fields").mapping()
        var fields: [EventField] = []
        for entry in declared.entries { fields.append(try Self.field(entry)) }
        do {
            schema = try EventSchema(fields: fields, entity: entity, time: time, unknownFields: unknown ?? .reject)
        } catch {
            throw Self.place(error, keys, declared)
        }
    }

    /// A schema's objection at the value that it is about.
    private static func place(_ error: SchemaError, _ keys: YAMLMapping, _ declared: YAMLMapping) -> YAMLError {
        if let name = error.field, let entry = declared.entries.first(where: { $0.key == name }) {
            if case .mapping(let entries) = entry.value.content, let key = error.key, let value = entries.first(where: { $0.key == key }) {
                return value.value.error(error.message)
            }
            return declared.error(at: name, error.message)
        }
        if let key = error.key, let value = keys[key] { return value.error(error.message) }
        return keys.node.error(error.message)
    }

    private static let types = FieldType.allCases.map { ($0.rawValue, $0) }

    /// `distance: { type: number, min: 0 }`, or in short `distance: number`.
    private static func field(_ entry: YAMLEntry) throws(YAMLError) -> EventField {
        if entry.value.isScalar { return EventField(entry.key, try entry.value.choice(types)) }
        let keys = try entry.value.mapping([
            "type", "path", "required", "default", "min", "max", "above", "below", "values", "unit", "format",
        ])
        let type = try keys.required("type").choice(types)
        var values: [FieldLiteral] = []
        if let list = keys["values"] {
            for node in try list.sequence() { values.append(try literal(node, type)) }
            if values.isEmpty { throw list.error("`values` lists no value; leave it out to allow all.") }
        }
        func bound(_ key: String) throws(YAMLError) -> Double? {
            try keys[key].map { node throws(YAMLError) in try node.double() }
        }
        if let format = keys["format"], type != .timestamp {
            throw format.error("`format` is for timestamps; the field `\(entry.key)` is of type \(type.rawValue).")
        }
        return EventField(
            entry.key, type,
            path: try keys["path"].map { node throws(YAMLError) in try node.nonEmptyString() },
            isRequired: try keys["required"].map { node throws(YAMLError) in try node.bool() } ?? true,
            defaultValue: try keys["default"].map { node throws(YAMLError) in try literal(node, type) },
            minimum: try bound("min"), maximum: try bound("max"), above: try bound("above"), below: try bound("below"), values: values,
            unit: try keys["unit"].map { node throws(YAMLError) in try node.nonEmptyString() },
            format: try keys["format"].map { node throws(YAMLError) in try format(node) } ?? .iso8601)
    }

    private static func literal(_ node: YAMLNode, _ type: FieldType) throws(YAMLError) -> FieldLiteral {
        switch type {
        case .number: .number(try node.double())
        case .integer: .number(Double(try node.integer(-9_007_199_254_740_992...9_007_199_254_740_992)))
        case .string: .string(try node.string())
        case .boolean: .boolean(try node.bool())
        case .timestamp: throw node.error("A timestamp has no default and no list of values.")
        }
    }

    private static func format(_ node: YAMLNode) throws(YAMLError) -> TimestampFormat {
        guard node.isMapping else {
            return try node.choice([
                ("iso8601", .iso8601), ("epoch-seconds", .epochSeconds), ("epoch-milliseconds", .epochMilliseconds),
            ])
        }
        let keys = try node.mapping(["pattern", "zone"])
        let text = try keys.required("pattern")
        let pattern: TimestampPattern
        do {
            pattern = try TimestampPattern(try text.string())
        } catch let error as YAMLError {
            throw error
        } catch let error as SchemaError {
            throw text.error(error.message)
        } catch {
            throw text.error("\(error)")
        }
        guard let zone = keys["zone"] else { return .pattern(pattern, zone: .utc) }
        guard let rules = Zones.find(try zone.string()) else {
            throw zone.error("There is no time zone \(zone.kindName); write a name such as America/New_York, or UTC.")
        }
        return .pattern(pattern, zone: rules)
    }
}

/// Time zones of the system.
enum Zones {
    @Sendable static func find(_ name: String) -> TimeZoneRules? {
        if name == "UTC" { return .utc }
        let isName = name.utf8.allSatisfy { Letters.isLower($0 | 0x20) || Letters.isDigit($0) || "/_+-".utf8.contains($0) }
        guard isName, !name.isEmpty, !name.hasPrefix("/"), name.utf8.count < 100 else { return nil }
        guard let bytes = try? YAMLNode.bytes(of: "/usr/share/zoneinfo/" + name) else { return nil }
        return try? TimeZoneRules(name: name, tzif: bytes)
    }
}
