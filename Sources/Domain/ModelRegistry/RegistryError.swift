import RedisClient

/// Why the registry could not do what it was asked, in one sentence.
public struct RegistryError: Error, Sendable, CustomStringConvertible {
    /// The class of an error, for a decision in code.
    public enum Kind: Sendable, Equatable {
        /// Redis is away or refused; see ``RegistryError/isRetryable``.
        case redis
        /// The registry has no such version.
        case noSuchVersion
        /// The stored bytes are not those that were published.
        case damaged
        /// The request cannot be granted: deleting the current version, publishing nothing or too much.
        case refused
        /// No earlier promoted version is left.
        case nothingToRollBack
    }

    public let kind: Kind
    /// One sentence that tells what to do.
    public let message: String
    /// What Redis said, where it was Redis.
    public let underlying: RedisError?

    /// Whether the same call may succeed later without a change.
    public var isRetryable: Bool { underlying?.isRetryable ?? false }
    public var description: String { message }

    init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
        underlying = nil
    }

    init(_ error: RedisError) {
        kind = .redis
        message = error.message
        underlying = error
    }
}
