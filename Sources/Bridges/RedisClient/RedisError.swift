/// What went wrong between this process and Redis, in one sentence.
///
/// A retryable error in the middle of a pipeline says nothing about which commands were applied: the server may have
/// executed all, some or none of them. Whoever repeats must make the effects idempotent (a guard by event time and offset,
/// a set instead of an increment).
public struct RedisError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The class of an error, for a decision in code; ``message`` is for people.
    public enum Kind: Sendable, Equatable {
        /// The URL or another setting is wrong.
        case settings
        /// No connection could be made.
        case unreachable
        /// The server refused the user, the password or the database number.
        case authentication
        /// No byte moved for the command timeout.
        case timeout
        /// The connection broke while in use.
        case connectionLost
        /// The peer does not speak the Redis protocol.
        case protocolViolation
        /// A reply was larger than ``RedisSettings/maximumReplyBytes``.
        case replyTooLarge
        /// The server answered with an error.
        case server
        /// The caller's `shouldContinue` ended the waiting.
        case stopped
        /// This process used the client wrongly, for example with a wrong number of arguments in a pipeline.
        case misuse
    }

    /// The class of the error.
    public let kind: Kind
    /// One sentence that names the server or the setting, never a password.
    public let message: String
    /// Whether a later repeat may succeed without any change of settings or code.
    public let isRetryable: Bool

    /// ``message``.
    public var description: String { message }

    init(_ kind: Kind, _ message: String, retryable: Bool) {
        self.kind = kind
        self.message = message
        self.isRetryable = retryable
    }

    /// The error for an error reply such as `WRONGTYPE Operation against a key …`.
    public init(reply: String) {
        let code = RedisError.code(of: reply)
        let sentence = RedisError.advice[code] ?? "Redis answered with an error"
        self.init(.server, "\(sentence): \(reply)", retryable: RedisError.passing.contains(code))
    }

    /// The reply's first word. Before version 7 a script's reply has the code of the command that failed in its middle:
    /// `ERR Error running script (call to f_…): @user_script:1: -OOM command not allowed …`.
    private static func code(of reply: String) -> String {
        var words = reply.split(separator: " ", omittingEmptySubsequences: true)[...]
        if reply.hasPrefix("ERR Error running script"), let inner = words.firstIndex(where: { $0.hasPrefix("-") }) { words = words[inner...] }
        return words.first.map { String($0.drop { $0 == "-" }) } ?? ""
    }

    /// What an operator can do about a state that does not end by itself.
    private static let advice = [
        "OOM": "Redis is full and takes no writes; give it more memory (`maxmemory`), or delete what is no longer needed",
        "MISCONF": "Redis cannot write to its disk and takes no writes; free space there",
    ]

    /// Error codes of states that end by themselves or by an operator's hand: loading after a restart, a long script, a
    /// failover, a full memory or disk.
    private static let passing: Set<String> = [
        "LOADING", "BUSY", "TRYAGAIN", "MASTERDOWN", "CLUSTERDOWN", "NOREPLICAS", "READONLY", "OOM", "MISCONF",
    ]
}
