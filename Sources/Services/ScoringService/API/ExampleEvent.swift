import Features
import JSON
import ServiceKit
import UseCases

/// An event that the schema accepts, for documents and forms.
enum ExampleEvent {
    static func of(_ useCase: UseCase) -> JSONValue {
        var event = JSONValue.object([])
        for field in useCase.plan.schema.fields {
            event = put(value(field), at: field.path.split(separator: ".").map(String.init)[...], in: event)
        }
        return event
    }

    private static func put(_ value: JSONValue, at path: ArraySlice<String>, in object: JSONValue) -> JSONValue {
        guard let name = path.first else { return value }
        var members = object.object ?? []
        let inner = put(value, at: path.dropFirst(), in: object[name] ?? .object([]))
        if let index = members.firstIndex(where: { $0.name == name }) {
            members[index].value = inner
        } else {
            members.append(JSONMember(name, inner))
        }
        return .object(members)
    }

    private static func value(_ field: EventField) -> JSONValue {
        switch field.defaultValue ?? field.values.first {
        case .number(let value): return .number(value)
        case .string(let value): return .string(value)
        case .boolean(let value): return .bool(value)
        case nil: break
        }
        // A moment of 2026-01-01; a pattern is left to the reader.
        let moment: Int64 = 1_767_268_800_000
        switch field.type {
        case .string: return .string(field.name + "-1")
        case .boolean: return true
        case .timestamp:
            switch field.format {
            case .iso8601: return .string(Clock.iso8601(milliseconds: moment))
            case .epochSeconds: return .integer(moment / 1000)
            case .epochMilliseconds: return .integer(moment)
            case .pattern(let pattern, _): return .string(pattern.text)
            }
        case .number, .integer: return .number(number(field))
        }
    }

    /// Within the bounds, and not on one of them where there is room.
    private static func number(_ field: EventField) -> Double {
        let low = field.minimum ?? field.above
        let high = field.maximum ?? field.below
        guard let low else { return high.map { min($0 - 1, 10) } ?? 10 }
        guard let high else { return max(low + 1, 10) }
        // Near the lower end but above zero: limits are wide, usual values rarely in their middle.
        let guess = max(low, 0) + (high - max(low, 0)) / 32
        let value = high > 0 ? guess : low + (high - low) / 2
        let rounded = value.rounded()
        let isInside = rounded > low && rounded < high
        return field.type == .integer || isInside ? max(rounded, low) : value
    }
}
