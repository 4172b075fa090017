/// What a document has at one path.
public enum JSONSlotKind: UInt8, Sendable {
    /// No such field.
    case missing
    case null, bool
    /// A whole number that fits in 64 bits with sign.
    case integer
    /// Any other number.
    case number
    case string
    /// An object or an array.
    case container
}

/// The value that a document has at one path, as plain bits.
public struct JSONSlot: Sendable {
    public var kind: JSONSlotKind = .missing
    /// For `.integer` and `.number` the value, for `.bool` 0 or 1, otherwise NaN.
    public var number: Double = .nan
    /// The exact value when `kind` is `.integer`, otherwise 0.
    public var integer: Int64 = 0
    /// For `.string` where its unescaped UTF-8 lies in `JSONFields.text`, otherwise empty.
    public var text: Range<Int> = 0..<0

    public init() {}
}

/// How the reading of one document ended.
public enum JSONReadResult: Sendable, Equatable {
    case ok
    case malformed(JSONReason)
    /// It is JSON, but an array, a string, a number, ...
    case notAnObject
    /// The field of this slot occurs twice, so it has no one value. For a repeated object it is the first slot below it.
    case repeatedField(slot: Int)
}
