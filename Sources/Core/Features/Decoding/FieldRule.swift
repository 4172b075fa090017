import Text

/// A field of the schema in the form in which the decoder tests it: plain numbers only, so that reading a rule costs no reference count.
struct FieldRule {
    /// How a timestamp is written; a pattern itself is looked up in the schema.
    enum Clock { case iso8601, seconds, milliseconds, pattern }

    let type: FieldType
    let isRequired: Bool
    let hasValues: Bool
    let clock: Clock
    /// NaN when there is none.
    let defaultValue: Double
    let bounds: Bounds

    init(_ field: EventField) {
        type = field.type
        isRequired = field.isRequired && field.defaultValue == nil
        hasValues = !field.values.isEmpty
        clock =
            switch field.format {
            case .iso8601: .iso8601
            case .epochSeconds: .seconds
            case .epochMilliseconds: .milliseconds
            case .pattern: .pattern
            }
        defaultValue = field.defaultValue.map(Self.number) ?? .nan
        bounds = Bounds(field)
    }

    /// What a literal of the schema is in a row.
    static func number(_ literal: FieldLiteral) -> Double {
        switch literal {
        case .number(let value): value + 0
        case .string(let value): TextHash.number(of: value)
        case .boolean(let value): value ? 1 : 0
        }
    }

    /// Milliseconds of a number in an epoch format, or NaN when it is no usable time.
    @inline(__always)
    func epoch(_ value: Double) -> Double {
        let milliseconds = (clock == .seconds ? value * 1000 : value).rounded()
        // Also refuses NaN.
        guard milliseconds >= Double(CivilTime.earliest), milliseconds < Double(CivilTime.end) else { return .nan }
        if clock == .milliseconds, Self.seconds.contains(abs(value)) { return .nan }
        return milliseconds + 0
    }

    /// As seconds these are times since 1973, as milliseconds days of 1970 to 1973: nobody means the latter.
    private static let seconds = 1e8..<1e11

    /// The unit in which a number that is no usable time would be one, with what to do about it.
    func likelyUnit(_ value: Double) -> String? {
        switch (abs(value), clock) {
        case (Self.seconds, .milliseconds): "did you mean `epoch-seconds`?"
        case (1e11..<1e14, .seconds): "did you mean `epoch-milliseconds`?"
        case (1e14..<1e17, .seconds), (1e14..<1e17, .milliseconds): "these look like microseconds; divide them where they are made."
        case (1e17..<1e20, .seconds), (1e17..<1e20, .milliseconds): "these look like nanoseconds; divide them where they are made."
        default: nil
        }
    }
}
