/// One reply of Redis ([RESP2](https://redis.io/docs/latest/develop/reference/protocol-spec/)), as a plain Swift value.
public enum RedisValue: Sendable, Equatable {
    /// The absent value: a missing key, or an aborted transaction.
    case null
    /// Bytes, binary-safe.
    case string([UInt8])
    /// A signed number of 64 bits.
    case integer(Int64)
    /// A list of replies, nested at most nine deep.
    case array([RedisValue])
    /// A short status such as `OK`.
    case status(String)
    /// An error reply such as `WRONGTYPE …`; thrown by ``RedisClient/command(_:)-(String)``, a value in a pipeline.
    case error(String)
}

extension RedisValue {
    /// True for ``null``.
    public var isNull: Bool { self == .null }

    /// The bytes of a string.
    public var bytes: [UInt8]? {
        if case .string(let bytes) = self { bytes } else { nil }
    }

    /// The text of a string or a status; nil where the bytes are not UTF-8.
    public var text: String? {
        switch self {
        case .string(let bytes): String(validating: bytes, as: UTF8.self)
        case .status(let text): text
        default: nil
        }
    }

    /// An integer, or a string that holds one in decimal, as Redis stores it.
    public var integer: Int64? {
        switch self {
        case .integer(let value): value
        case .string: text.flatMap { Int64($0) }
        default: nil
        }
    }

    /// A number, or a string that holds one, as Redis stores it.
    public var double: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .string: text.flatMap { Double($0) }
        default: nil
        }
    }

    /// The elements of an array.
    public var array: [RedisValue]? {
        if case .array(let values) = self { values } else { nil }
    }

    /// The text of an error reply.
    public var error: String? {
        if case .error(let text) = self { text } else { nil }
    }

    /// An array of alternating names and values, as `HGETALL` and `CONFIG GET` answer; nil for any other shape.
    public var fields: [(name: String, value: [UInt8])]? {
        guard let array, array.count.isMultiple(of: 2) else { return nil }
        var result: [(name: String, value: [UInt8])] = []
        result.reserveCapacity(array.count / 2)
        for index in stride(from: 0, to: array.count, by: 2) {
            guard let name = array[index].text, let value = array[index + 1].bytes else { return nil }
            result.append((name, value))
        }
        return result
    }
}
