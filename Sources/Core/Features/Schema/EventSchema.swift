import Text

/// A schema contradicts itself; the field and the key in the use-case file that is at fault, and a sentence.
public struct SchemaError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Nil when the schema as a whole is wrong.
    public let field: String?
    /// The key under which the mistake stands in the use-case file, such as `min`, `values` or `entity`.
    public let key: String?
    public let message: String

    public init(field: String?, key: String?, message: String) {
        self.field = field
        self.key = key
        self.message = message
    }

    public var description: String { message }
}

/// What an event of a use case looks like: its fields, which of them names the entity and which tells the time.
///
/// Immutable and checked: a schema that exists is consistent.
public struct EventSchema: Sendable, Equatable {
    /// In the order of the file; a row holds one value for each, in this order.
    public let fields: [EventField]
    public let entityIndex: Int
    public let timeIndex: Int
    public let unknownFields: UnknownFields
    private let indexes: [String: Int]

    /// Most fields that an event may have.
    public static let maximumFields = 1000

    /// - Parameters:
    ///   - entity: The name of the field that keys every record: a string or an integer.
    ///   - time: The name of the field that holds the event time: a timestamp.
    public init(fields: [EventField], entity: String, time: String, unknownFields: UnknownFields = .reject) throws(SchemaError) {
        guard !fields.isEmpty, fields.count <= Self.maximumFields else {
            throw SchemaError(field: nil, key: "fields", message: "An event has between 1 and \(Self.maximumFields) fields.")
        }
        var indexes: [String: Int] = [:]
        for (index, field) in fields.enumerated() {
            try Self.check(field)
            guard indexes.updateValue(index, forKey: field.name) == nil else {
                throw SchemaError(field: field.name, key: nil, message: "The field `\(field.name)` is declared twice.")
            }
        }
        try Self.checkPaths(fields)
        func find(_ name: String, _ key: String, _ types: Set<FieldType>, _ what: String) throws(SchemaError) -> Int {
            guard let index = indexes[name] else {
                let hint = Nearest.sentence(name, in: fields.map(\.name))
                throw SchemaError(field: nil, key: key, message: "`\(key)` names the field `\(name)`, which is not declared.\(hint)")
            }
            let field = fields[index]
            guard types.contains(field.type) else {
                throw SchemaError(
                    field: name, key: "type",
                    message:
                        "The \(what) field `\(name)` is of type \(field.type.rawValue); it must be \(types.contains(.string) ? "string or integer" : "timestamp")."
                )
            }
            guard field.isRequired, field.defaultValue == nil else {
                let key = field.defaultValue == nil ? "required" : "default"
                throw SchemaError(field: name, key: key, message: "The \(what) field `\(name)` must be required and cannot have a default.")
            }
            return index
        }
        entityIndex = try find(entity, "entity", [.string, .integer], "entity")
        timeIndex = try find(time, "time", [.timestamp], "time")
        self.fields = fields
        self.unknownFields = unknownFields
        self.indexes = indexes
    }

    /// The position of a field in `fields` and in a row.
    public func index(of name: String) -> Int? { indexes[name] }

    // MARK: Checks

    private static func check(_ field: EventField) throws(SchemaError) {
        func fail(_ key: String?, _ message: String) -> SchemaError { SchemaError(field: field.name, key: key, message: message) }
        guard isName(field.name) else {
            throw fail(
                nil,
                "`\(field.name)` is not a usable field name: it must be letters, digits and `_`, not begin with a digit, and have at most 100 characters."
            )
        }
        guard !ReservedNames.contains(field.name) else {
            throw fail(
                nil,
                "`\(field.name)` is a word of the expression language and cannot name a field; give the field another name and a `path`.")
        }
        let parts = field.path.split(separator: ".", omittingEmptySubsequences: false)
        guard !parts.contains(where: \.isEmpty) else {
            throw fail("path", "The path `\(field.path)` of the field `\(field.name)` has an empty part.")
        }
        guard parts.count <= 16 else { throw fail("path", "The path `\(field.path)` of the field `\(field.name)` has more than 16 parts.") }
        try checkBounds(field)
        for value in field.values {
            guard matches(value, field.type) else {
                throw fail("values", "The value \(value.text) of the field `\(field.name)` is not of type \(field.type.rawValue).")
            }
        }
        for (index, value) in field.values.enumerated() where field.values[..<index].contains(value) {
            throw fail("values", "The value \(value.text) of the field `\(field.name)` is listed twice.")
        }
        guard field.values.count <= 10_000 else { throw fail("values", "The field `\(field.name)` lists more than 10000 values.") }
        guard field.values.isEmpty || field.type != .timestamp else {
            throw fail("values", "A timestamp such as `\(field.name)` cannot have `values`.")
        }
        if let value = field.defaultValue {
            guard matches(value, field.type) else {
                throw fail("default", "The default \(value.text) of the field `\(field.name)` is not of type \(field.type.rawValue).")
            }
            guard field.values.isEmpty || field.values.contains(value) else {
                throw fail("default", "The default \(value.text) of the field `\(field.name)` is none of its values.")
            }
            if case .number(let number) = value {
                guard Bounds(field).contains(number) else {
                    throw fail("default", "The default \(value.text) of the field `\(field.name)` is outside of its bounds.")
                }
            }
        }
    }

    private static func checkBounds(_ field: EventField) throws(SchemaError) {
        let bounds = [("min", field.minimum), ("max", field.maximum), ("above", field.above), ("below", field.below)]
        for (key, bound) in bounds {
            guard let bound else { continue }
            guard field.type == .number || field.type == .integer else {
                throw SchemaError(
                    field: field.name, key: key,
                    message: "`\(key)` is for numbers; the field `\(field.name)` is of type \(field.type.rawValue).")
            }
            guard bound.isFinite else {
                throw SchemaError(field: field.name, key: key, message: "`\(key)` of the field `\(field.name)` must be a finite number.")
            }
        }
        guard field.minimum == nil || field.above == nil else {
            throw SchemaError(field: field.name, key: "above", message: "The field `\(field.name)` has both `min` and `above`; keep one.")
        }
        guard field.maximum == nil || field.below == nil else {
            throw SchemaError(field: field.name, key: "below", message: "The field `\(field.name)` has both `max` and `below`; keep one.")
        }
        if let low = field.minimum ?? field.above, let high = field.maximum ?? field.below {
            let isOpen = field.above != nil || field.below != nil
            guard low < high || (low == high && !isOpen) else {
                throw SchemaError(
                    field: field.name, key: field.maximum == nil ? "below" : "max",
                    message: "The bounds of the field `\(field.name)` leave no value: \(plain(low)) to \(plain(high)).")
            }
        }
    }

    /// No path twice, and none inside of another: `meta` cannot be a value and an object at once.
    private static func checkPaths(_ fields: [EventField]) throws(SchemaError) {
        var owners: [String: String] = [:]
        for field in fields {
            if let other = owners.updateValue(field.name, forKey: field.path) {
                throw SchemaError(
                    field: field.name, key: "path", message: "The fields `\(other)` and `\(field.name)` have the same path `\(field.path)`."
                )
            }
        }
        for field in fields {
            var prefix = Substring(field.path)
            while let dot = prefix.lastIndex(of: ".") {
                prefix = prefix[..<dot]
                if let other = owners[String(prefix)] {
                    throw SchemaError(
                        field: field.name, key: "path",
                        message:
                            "The path `\(field.path)` of the field `\(field.name)` lies inside the field `\(other)`, which is a plain value."
                    )
                }
            }
        }
    }

    private static func matches(_ value: FieldLiteral, _ type: FieldType) -> Bool {
        switch (value, type) {
        case (.number(let number), .number): number.isFinite
        case (.number(let number), .integer): number == number.rounded() && abs(number) <= Bounds.exactIntegers
        case (.string, .string), (.boolean, .boolean): true
        default: false
        }
    }

    /// Letters, digits and `_`, not beginning with a digit: what an expression can refer to.
    static func isName(_ text: String) -> Bool {
        let bytes = text.utf8
        guard let first = bytes.first, bytes.count <= 100 else { return false }
        return Lexer.isNameStart(first) && bytes.allSatisfy(Lexer.isNamePart)
    }
}

/// The bounds of a number field in the form in which they are tested: two comparisons with closed ends.
struct Bounds: Sendable {
    /// Largest magnitude up to which every whole number is its own `Double`.
    static let exactIntegers: Double = 9_007_199_254_740_992

    let low: Double
    let high: Double

    init(_ field: EventField) {
        // An exclusive bound is the inclusive one next to it: the numbers of a `Double` are discrete.
        var low = field.minimum ?? field.above?.nextUp ?? -.greatestFiniteMagnitude
        var high = field.maximum ?? field.below?.nextDown ?? .greatestFiniteMagnitude
        if field.type == .integer {
            low = max(low, -Self.exactIntegers)
            high = min(high, Self.exactIntegers)
        }
        self.low = low
        self.high = high
    }

    @inline(__always)
    func contains(_ value: Double) -> Bool { value >= low && value <= high }
}
