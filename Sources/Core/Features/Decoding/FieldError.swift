import Contracts

/// One thing that is wrong with an event: which field, which class of mistake, and a sentence that names both.
public struct FieldError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The field's name in the schema; the path of an unknown field; empty when the record as a whole is wrong.
    public let field: String
    public let reason: DeadLetterReason
    public let message: String

    public init(field: String, reason: DeadLetterReason, message: String) {
        self.field = field
        self.reason = reason
        self.message = message
    }

    public var description: String { message }
}
