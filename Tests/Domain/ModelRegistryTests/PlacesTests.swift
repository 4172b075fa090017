import Contracts
import RedisClient
import Testing

@testable import ModelRegistry

@Suite("Challenger, generations and time to live")
struct PlacesTests {
    @Test("A challenger is a pointer beside the current version; promoting it leaves its place empty")
    func challenger() throws {
        let fixture = try RegistryFixture()
        try fixture.publish(1)
        _ = try fixture.registry.publish([2], set: "trip", facts: [:], promote: false, now: 2)
        #expect(try fixture.registry.challengerVersion(set: "trip") == nil)
        try fixture.registry.challenge(set: "trip", version: 2, now: 3)
        #expect(try fixture.registry.challengerVersion(set: "trip") == 2)
        #expect(try fixture.registry.currentVersion(set: "trip") == 1)
        #expect(throws: RegistryError.self) { try fixture.registry.challenge(set: "trip", version: 1, now: 4) }
        #expect(throws: RegistryError.self) { try fixture.registry.challenge(set: "trip", version: 9, now: 4) }
        try fixture.registry.promote(set: "trip", version: 2, now: 5)
        #expect(try fixture.registry.challengerVersion(set: "trip") == nil)
        try fixture.registry.challenge(set: "trip", version: 1, now: 6)
        try fixture.registry.challenge(set: "trip", version: nil, now: 7)
        #expect(try fixture.registry.challengerVersion(set: "trip") == nil)
        try fixture.registry.challenge(set: "trip", version: 1, now: 8)
        try fixture.registry.delete(set: "trip", version: 1)
        #expect(try fixture.registry.challengerVersion(set: "trip") == nil)
    }

    @Test("One generation names the versions of all sets, now and as they were")
    func generations() throws {
        let fixture = try RegistryFixture()
        let registry = fixture.registry
        #expect(try registry.generation() == 0)
        #expect(try registry.lineUp(sets: ["a", "b"]).versions == [nil, nil])
        for set in ["a", "b", "a"] { _ = try registry.publish([1], set: set, facts: [:], promote: true, now: 1) }
        _ = try registry.publish([2], set: "b", facts: [:], promote: false, now: 1)
        #expect(try registry.generation() == 3)
        _ = try registry.rollback(set: "a", now: 2)
        try registry.promote(set: "b", version: 2, now: 3)
        let expected: [[Int64?]] = [[nil, nil], [1, nil], [1, 1], [2, 1], [1, 1], [1, 2]]
        for (generation, versions) in expected.enumerated() {
            let found = try registry.lineUp(sets: ["a", "b"], at: Int64(generation))
            #expect(found.versions == versions, "generation \(generation)")
        }
        #expect(try registry.lineUp(sets: ["a", "b"]).generation == 5)
    }

    @Test("A version without a place has a time to live, one with a place has none, and what is gone is neither listed nor promoted")
    func retention() throws {
        let fixture = try RegistryFixture()
        let registry = ModelRegistry(fixture.client, useCase: fixture.useCase, retention: 60_000)
        for number in 1...3 as ClosedRange<UInt8> { _ = try registry.publish([number], set: "trip", facts: [:], promote: true, now: 1) }
        let keys = RedisKeys(useCase: fixture.useCase)
        func lives(_ version: Int64) throws -> [Int64] {
            try [keys.modelBytes(set: "trip", version: version), keys.modelMetadata(set: "trip", version: version)].map {
                try fixture.client.command("PTTL", $0).integer ?? -9
            }
        }
        #expect(try lives(3) == [-1, -1])
        #expect(try lives(2).allSatisfy { (1...60_000).contains($0) })
        try registry.challenge(set: "trip", version: 2, now: 2)
        #expect(try lives(2) == [-1, -1])
        #expect(try registry.rollback(set: "trip", now: 3) == 2)
        #expect(try lives(2) == [-1, -1])
        #expect(try lives(3).allSatisfy { (1...60_000).contains($0) })
        // As if its time were over.
        for key in [keys.modelBytes(set: "trip", version: 1), keys.modelMetadata(set: "trip", version: 1)] {
            _ = try fixture.client.command("DEL", key)
        }
        #expect(try registry.versions(set: "trip").map(\.version) == [2, 3])
        #expect(throws: RegistryError.self) { try registry.promote(set: "trip", version: 1, now: 4) }
        #expect(throws: RegistryError.self) { try registry.rollback(set: "trip", now: 5) }
    }
}
