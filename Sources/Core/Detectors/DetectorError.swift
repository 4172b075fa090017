/// What went wrong in fitting, in parameters or in reading a stored state, in one sentence that says what to do.
public struct DetectorError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Whose mistake it is.
    public enum Kind: Sendable, Equatable {
        /// A setting: unknown name, wrong type, out of range.
        case parameter
        /// The training rows: too few, or without any usable number.
        case data
        /// Stored bytes: foreign, damaged, truncated or of a later version.
        case state
    }

    public let kind: Kind
    public let message: String

    public init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    public var description: String { message }
}
