/// What a field of an event holds.
public enum FieldType: String, Sendable, CaseIterable {
    /// Any finite number.
    case number
    /// A whole number within ±2^53, where a `Double` is exact.
    case integer
    case string
    case boolean
    /// A point in time, see `TimestampFormat`.
    case timestamp
}

/// A value written in a schema: a default, or a member of an enumeration.
public enum FieldLiteral: Sendable, Equatable {
    case number(Double)
    case string(String)
    case boolean(Bool)

    var text: String {
        switch self {
        case .number(let value): plain(value)
        case .string(let value): "\"\(value)\""
        case .boolean(let value): value ? "true" : "false"
        }
    }
}

/// How a timestamp is written in an event.
public enum TimestampFormat: Sendable, Equatable {
    /// Text, see `ISO8601`.
    case iso8601
    /// A number of seconds since 1970, with a fraction if need be; rounded to milliseconds.
    case epochSeconds
    /// A number of milliseconds since 1970; rounded to whole ones.
    case epochMilliseconds
    /// Text of a given pattern; the zone counts where the text names no offset.
    case pattern(TimestampPattern, zone: TimeZoneRules)
}

/// What to do with a field that the schema does not name.
public enum UnknownFields: String, Sendable, CaseIterable { case reject, ignore }

/// One field of an event, as the use case declares it. `EventSchema.init` checks it.
public struct EventField: Sendable, Equatable {
    /// The name that expressions use.
    public var name: String
    public var type: FieldType
    /// Where it stands in a JSON event: names joined by dots. The name unless given.
    public var path: String
    /// Whether an event without it (or with null) is wrong. Without it and without a default the value is missing.
    public var isRequired: Bool
    /// Takes the place of a missing value; a field with a default is never wrong for being absent.
    public var defaultValue: FieldLiteral?
    /// Lowest allowed value, itself allowed.
    public var minimum: Double?
    /// Highest allowed value, itself allowed.
    public var maximum: Double?
    /// Values must be greater than this.
    public var above: Double?
    /// Values must be less than this.
    public var below: Double?
    /// The only allowed values; empty allows all.
    public var values: [FieldLiteral]
    /// Such as `mile` or `beats/min`: for people and for the model's metadata.
    public var unit: String?
    /// For timestamps only.
    public var format: TimestampFormat

    public init(
        _ name: String, _ type: FieldType, path: String? = nil, isRequired: Bool = true, defaultValue: FieldLiteral? = nil,
        minimum: Double? = nil, maximum: Double? = nil, above: Double? = nil, below: Double? = nil, values: [FieldLiteral] = [],
        unit: String? = nil, format: TimestampFormat = .iso8601
    ) {
        self.name = name
        self.type = type
        self.path = path ?? name
        self.isRequired = isRequired
        self.defaultValue = defaultValue
        self.minimum = minimum
        self.maximum = maximum
        self.above = above
        self.below = below
        self.values = values
        self.unit = unit
        self.format = format
    }
}

/// A number as a person would write it: whole ones without ".0".
func plain(_ value: Double) -> String {
    value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : String(value)
}
