import Contracts
import Text

/// What is wrong with an event, in words. They allocate, and only for bad events.
extension EventDecoder {
    func report(_ field: String, _ reason: DeadLetterReason, _ message: String) {
        errors.append(FieldError(field: field, reason: reason, message: message))
    }

    func reportMissing(_ index: Int, isNull: Bool) {
        let name = schema.fields[index].name
        report(name, .missingField, isNull ? "`\(name)` is null; it is required." : "`\(name)` is missing; it is required.")
    }

    func reportType(_ index: Int, _ found: String) {
        let field = schema.fields[index]
        let wanted =
            switch field.type {
            case .number: "a number"
            case .integer: "a whole number"
            case .string: "text"
            case .boolean: "true or false"
            case .timestamp: Self.wanted(field.format)
            }
        report(field.name, .wrongType, "`\(field.name)` is \(found); it must be \(wanted).")
    }

    func reportNumber(_ value: Double, _ index: Int) {
        let field = schema.fields[index]
        let unit = field.unit.map { " \($0)" } ?? ""
        let found = "`\(field.name)` is \(plain(value))\(unit)"
        if field.type == .integer, value != value.rounded() {
            report(field.name, .wrongType, "\(found); it must be a whole number.")
        } else if let minimum = field.minimum, value < minimum {
            report(field.name, .outOfRange, "\(found); it must be at least \(plain(minimum)).")
        } else if let above = field.above, value <= above {
            report(field.name, .outOfRange, "\(found); it must be greater than \(plain(above)).")
        } else if let maximum = field.maximum, value > maximum {
            report(field.name, .outOfRange, "\(found); it must be at most \(plain(maximum)).")
        } else if let below = field.below, value >= below {
            report(field.name, .outOfRange, "\(found); it must be less than \(plain(below)).")
        } else if !rules[index].bounds.contains(value) {
            report(field.name, .outOfRange, "\(found); whole numbers beyond ±2^53 are not exact, so declare the field as a string.")
        } else {
            reportEnumeration(found, field)
        }
    }

    func reportText(_ bytes: [UInt8], _ range: Range<Int>?, _ index: Int) {
        let field = schema.fields[index]
        reportEnumeration("`\(field.name)` is \(Self.excerpt(bytes, range ?? 0..<bytes.count))", field)
    }

    private func reportEnumeration(_ found: String, _ field: EventField) {
        let shown = field.values.prefix(8).map(\.text).joined(separator: ", ")
        let rest = field.values.count > 8 ? " or one of \(field.values.count - 8) more" : ""
        report(field.name, .notInEnumeration, "\(found); it must be one of \(shown)\(rest).")
    }

    /// - Parameter hint: in what unit it would be a time.
    func reportTime(_ found: String, _ index: Int, _ hint: String? = nil) {
        let field = schema.fields[index]
        let wanted = Self.wanted(field.format)
        report(
            field.name, .badTimestamp,
            "`\(field.name)` is \(found); it must be \(wanted)" + (hint.map { ": \($0)" } ?? ", and a time that exists in the years 1900 to 2200."))
    }

    private static func wanted(_ format: TimestampFormat) -> String {
        switch format {
        case .iso8601: "an ISO 8601 timestamp such as 2026-11-21T10:17:05Z"
        case .epochSeconds: "a number of seconds since 1970"
        case .epochMilliseconds: "a number of milliseconds since 1970"
        case .pattern(let pattern, _): "a timestamp of the form \(pattern.text)"
        }
    }

    func reportUnknown() {
        let known = schema.fields.map(\.path)
        for path in json.unknown {
            let shown = Self.excerpt(Array(path.utf8), nil)
            report(path, .unknownField, "The schema has no field \(shown).\(Nearest.sentence(path, in: known))")
        }
    }

    /// At most 60 bytes of a text, in quotes.
    static func excerpt(_ bytes: [UInt8], _ range: Range<Int>?) -> String {
        let range = range ?? 0..<bytes.count
        guard range.count > 60 else { return "\"\(String(decoding: bytes[range], as: UTF8.self))\"" }
        return "\"\(String(decoding: bytes[range.prefix(57)], as: UTF8.self))…\""
    }
}
