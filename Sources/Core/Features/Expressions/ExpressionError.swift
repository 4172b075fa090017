/// A feature's expression cannot be used: where in its text, and a sentence that says what to do.
public struct ExpressionError: Error, Equatable, Sendable, CustomStringConvertible {
    public let message: String
    /// Bytes (UTF-8) from the start of the expression's text to the place of the mistake.
    public let offset: Int
    /// Bytes that the mistake spans; 0 at the end of the text.
    public let length: Int

    public init(message: String, offset: Int, length: Int) {
        self.message = message
        self.offset = offset
        self.length = length
    }

    init(_ message: String, _ place: Place = Place(offset: 0, length: 0)) {
        self.init(message: message, offset: place.offset, length: place.length)
    }

    public var description: String { message }
}

/// A stretch of an expression's text, in bytes.
struct Place: Equatable, Sendable {
    var offset: Int
    var length: Int

    func upTo(_ other: Place) -> Place { Place(offset: offset, length: other.offset + other.length - offset) }
}

/// Words that are no names: they mean themselves in every expression.
enum ReservedNames {
    static let all = ["and", "or", "not", "true", "false", "missing", "pi", "window_start", "window_end"]
    static func contains(_ name: String) -> Bool { all.contains(name) }
}
