import RedisClient
import TestSupport

@testable import ModelRegistry

/// One redis-server for all tests of this target; each test has a use case of its own.
enum Redis {
    private static let server = Result { try RedisServer(appendOnly: false) }

    static func client() throws -> RedisClient { RedisClient(try RedisSettings(url: server.get().url)) }
}

struct RegistryFixture {
    let useCase = "case-\(UInt64.random(in: 0 ... .max))"
    let client: RedisClient
    let registry: ModelRegistry

    init() throws {
        client = try Redis.client()
        registry = ModelRegistry(client, useCase: useCase)
    }

    /// Publishes `count` versions, each promoted, with one byte each: its number.
    func publish(_ count: Int, promote: Bool = true) throws {
        for number in 1...count { _ = try registry.publish([UInt8(number)], set: "trip", facts: [:], promote: promote, now: Int64(number)) }
    }
}
