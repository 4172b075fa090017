/// One member of an object.
public struct JSONMember: Sendable, Equatable {
    public var name: String
    public var value: JSONValue

    public init(_ name: String, _ value: JSONValue) {
        self.name = name
        self.value = value
    }
}

/// A JSON document as a tree, for the control plane: settings, models, reports. Events are read with `JSONFields`.
/// Members keep their order; whole numbers keep their 64 bits.
public enum JSONValue: Sendable, Equatable {
    case null
    case bool(Bool)
    /// A whole number that fits in 64 bits with sign.
    case integer(Int64)
    /// Any other number.
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([JSONMember])
}

extension JSONValue {
    /// The member of this name; nil when this is no object or has no such member.
    public subscript(_ name: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.name == name }?.value
    }

    /// The element at this index; nil when this is no array or is shorter.
    public subscript(_ index: Int) -> JSONValue? {
        guard case .array(let elements) = self, elements.indices.contains(index) else { return nil }
        return elements[index]
    }

    public var string: String? {
        guard case .string(let value) = self else { return nil }
        return value
    }

    /// Any number.
    public var double: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }

    /// Any whole number that fits, also one that is written with a fraction of zero.
    public var integer: Int64? {
        switch self {
        case .integer(let value): value
        case .number(let value): Self.whole(value)
        default: nil
        }
    }

    /// `Int64(exactly:)` without libm's `trunc`, which a pure target would have to link for this alone.
    private static func whole(_ value: Double) -> Int64? {
        guard value >= -0x1p63, value < 0x1p63, Double(Int64(value)) == value else { return nil }
        return Int64(value)
    }

    public var bool: Bool? {
        guard case .bool(let value) = self else { return nil }
        return value
    }

    public var array: [JSONValue]? {
        guard case .array(let elements) = self else { return nil }
        return elements
    }

    public var object: [JSONMember]? {
        guard case .object(let members) = self else { return nil }
        return members
    }

    public var isNull: Bool { self == .null }
}

extension JSONValue: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByStringLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(nilLiteral: ()) { self = .null }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(integerLiteral value: Int64) { self = .integer(value) }
    public init(floatLiteral value: Double) { self = .number(value) }
    public init(stringLiteral value: String) { self = .string(value) }
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    public init(dictionaryLiteral members: (String, JSONValue)...) { self = .object(members.map { JSONMember($0.0, $0.1) }) }
}
