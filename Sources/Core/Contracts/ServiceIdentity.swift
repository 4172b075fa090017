/// Under which names one service of a use case takes part: its consumer group, where its state lies in Redis, its topics. The same program may run twice
/// beside itself under two identities, as a scorer and its challenger, and neither touches what is the other's.
public struct ServiceIdentity: Sendable, Equatable {
    /// The catalog's name of the service, or one that is its own.
    public let name: String
    public let useCase: String

    /// - Parameter useCase: with its prefix, where it has one.
    public init(_ name: String, useCase: String) {
        self.name = name
        self.useCase = useCase
    }

    /// Consumer group, and the first part of transactional ids.
    public var group: String { useCase + "." + name }
    public var topics: Topics { Topics(useCase: useCase) }
    public var keys: RedisKeys { RedisKeys(useCase: useCase) }
}
