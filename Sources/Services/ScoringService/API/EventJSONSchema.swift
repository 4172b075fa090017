import Features
import JSON
import UseCases

/// The use case's event as a JSON Schema ([draft 2020-12](https://json-schema.org/draft/2020-12)): what the decoder accepts, said in the
/// words of the standard. Units stand in `x-unit`.
enum EventJSONSchema {
    /// The document of `/schema`.
    static func document(_ useCase: UseCase) -> JSONValue {
        var members = [
            JSONMember("$schema", "https://json-schema.org/draft/2020-12/schema"),
            JSONMember("$id", .string("urn:vyuha:" + useCase.name + ":event")), JSONMember("title", .string(useCase.title)),
        ]
        if !useCase.summary.isEmpty { members.append(JSONMember("description", .string(useCase.summary))) }
        return .object(members + object(useCase.plan.schema, prefix: ""))
    }

    /// The event's own part, for use inside another document.
    static func event(_ useCase: UseCase) -> JSONValue {
        .object([JSONMember("title", .string(useCase.title))] + object(useCase.plan.schema, prefix: ""))
    }

    /// The fields below a path, nested objects as nested schemas.
    private static func object(_ schema: EventSchema, prefix: String) -> [JSONMember] {
        var properties: [JSONMember] = []
        var required: [JSONValue] = []
        for field in schema.fields where field.path.hasPrefix(prefix) {
            let rest = field.path.dropFirst(prefix.count)
            guard let dot = rest.firstIndex(of: ".") else {
                properties.append(JSONMember(String(rest), self.field(field, isEntity: field == schema.fields[schema.entityIndex])))
                if isRequired(field) { required.append(.string(String(rest))) }
                continue
            }
            let name = String(rest[..<dot])
            guard !properties.contains(where: { $0.name == name }) else { continue }
            let inner = prefix + name + "."
            properties.append(JSONMember(name, .object(object(schema, prefix: inner))))
            if schema.fields.contains(where: { $0.path.hasPrefix(inner) && isRequired($0) }) { required.append(.string(name)) }
        }
        return [
            JSONMember("type", "object"), JSONMember("properties", .object(properties)), JSONMember("required", .array(required)),
            JSONMember("additionalProperties", .bool(schema.unknownFields == .ignore)),
        ]
    }

    private static func isRequired(_ field: EventField) -> Bool { field.isRequired && field.defaultValue == nil }

    private static func field(_ field: EventField, isEntity: Bool) -> JSONValue {
        var members: [JSONMember] = []
        // The decoder takes null for a value that is not given.
        members.append(JSONMember("type", isRequired(field) ? .string(type(of: field)) : [.string(type(of: field)), "null"]))
        if let text = description(field, isEntity: isEntity) { members.append(JSONMember("description", .string(text))) }
        if !field.values.isEmpty {
            members.append(JSONMember("enum", .array(field.values.map(literal) + (isRequired(field) ? [] : [.null]))))
        }
        for (name, bound) in [
            ("minimum", field.minimum), ("maximum", field.maximum), ("exclusiveMinimum", field.above), ("exclusiveMaximum", field.below),
        ] {
            if let bound { members.append(JSONMember(name, .number(bound))) }
        }
        if field.type == .integer, field.values.isEmpty {
            // Whole numbers beyond ±2^53 are not exact in a double.
            if field.minimum == nil, field.above == nil { members.append(JSONMember("minimum", -9_007_199_254_740_992)) }
            if field.maximum == nil, field.below == nil { members.append(JSONMember("maximum", 9_007_199_254_740_992)) }
        }
        if field.type == .timestamp, field.format == .iso8601 { members.append(JSONMember("format", "date-time")) }
        if isEntity, field.type == .string {
            members.append(JSONMember("minLength", 1))
            members.append(JSONMember("maxLength", .integer(Int64(EventDecoder.maximumEntityBytes))))
        }
        if let value = field.defaultValue { members.append(JSONMember("default", literal(value))) }
        if let unit = field.unit { members.append(JSONMember("x-unit", .string(unit))) }
        return .object(members)
    }

    private static func type(of field: EventField) -> String {
        switch field.type {
        case .number: "number"
        case .integer: "integer"
        case .string: "string"
        case .boolean: "boolean"
        case .timestamp:
            switch field.format {
            case .iso8601, .pattern: "string"
            case .epochSeconds, .epochMilliseconds: "number"
            }
        }
    }

    private static func description(_ field: EventField, isEntity: Bool) -> String? {
        var parts: [String] = []
        if isEntity { parts.append("The entity that the event is about.") }
        if field.type == .timestamp {
            switch field.format {
            case .iso8601: parts.append("ISO 8601, such as 2026-11-21T10:17:05Z, from 1900 to 2200.")
            case .epochSeconds: parts.append("Seconds since 1970, fractions allowed.")
            case .epochMilliseconds: parts.append("Milliseconds since 1970.")
            case .pattern(let pattern, _): parts.append("A timestamp of the form \(pattern.text).")
            }
        }
        if let unit = field.unit { parts.append("In \(unit).") }
        return parts.isEmpty ? nil : parts.joined(separator: " ")
    }

    private static func literal(_ value: FieldLiteral) -> JSONValue {
        switch value {
        case .number(let number): .number(number)
        case .string(let text): .string(text)
        case .boolean(let truth): .bool(truth)
        }
    }
}
