import Contracts
import Foundation
import RedisClient
import Testing

@testable import ModelRegistry

@Suite("Publishing a model")
struct PublishingTests {
    @Test("A published model is read back with its metadata")
    func roundTrip() throws {
        let fixture = try RegistryFixture()
        let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let facts = ["detector": "isolation-forest", "note": "Zürich: 3,5 %\n"]
        let version = try fixture.registry.publish(bytes, set: "trip", facts: facts, promote: true, now: 1_763_718_000_123)
        #expect(version == 1)
        #expect(try fixture.registry.currentVersion(set: "trip") == 1)
        let model = try #require(try fixture.registry.loadCurrent(set: "trip"))
        #expect(model.bytes == bytes)
        #expect(model.metadata.facts == facts)
        #expect(model.metadata.publishedAt == 1_763_718_000_123)
        #expect(model.metadata.byteCount == 100_000)
        #expect(try fixture.registry.current(set: "trip") == model.metadata)
    }

    @Test("An empty registry has no current model, no versions and no history")
    func empty() throws {
        let registry = try RegistryFixture().registry
        #expect(try registry.currentVersion(set: "trip") == nil)
        #expect(try registry.current(set: "trip") == nil)
        #expect(try registry.loadCurrent(set: "trip") == nil)
        #expect(try registry.versions(set: "trip").isEmpty)
        #expect(try registry.history(set: "trip").isEmpty)
    }

    @Test("A version that is not promoted is listed but does not score")
    func notPromoted() throws {
        let fixture = try RegistryFixture()
        try fixture.publish(1)
        #expect(try fixture.registry.publish([9], set: "trip", facts: [:], promote: false, now: 2) == 2)
        #expect(try fixture.registry.currentVersion(set: "trip") == 1)
        #expect(try fixture.registry.versions(set: "trip").map(\.version) == [1, 2])
        #expect(try fixture.registry.load(set: "trip", version: 2).bytes == [9])
    }

    @Test("Feature sets and use cases do not see each other")
    func separation() throws {
        let (one, other) = (try RegistryFixture(), try RegistryFixture())
        try one.publish(1)
        #expect(try one.registry.currentVersion(set: "window") == nil)
        #expect(try other.registry.currentVersion(set: "trip") == nil)
    }

    @Test("A model without bytes or beyond the limit is refused", arguments: [0, ModelRegistry.maximumModelBytes + 1])
    func size(_ count: Int) throws {
        let fixture = try RegistryFixture()
        let error = #expect(throws: RegistryError.self) {
            try fixture.registry.publish(Array(repeating: 0, count: count), set: "trip", facts: [:], promote: true, now: 0)
        }
        #expect(error?.kind == .refused)
        #expect(try fixture.registry.versions(set: "trip").isEmpty)
    }

    @Test("A version cannot be overwritten, even where the counter was set back")
    func immutable() throws {
        let fixture = try RegistryFixture()
        try fixture.publish(1)
        _ = try fixture.client.command("SET", RedisKeys(useCase: fixture.useCase).modelSequence(set: "trip"), "0")
        let error = #expect(throws: RegistryError.self) {
            try fixture.registry.publish([77], set: "trip", facts: [:], promote: true, now: 5)
        }
        #expect(error?.kind == .damaged)
        #expect(try fixture.registry.load(set: "trip", version: 1).bytes == [1])
        #expect(try fixture.registry.history(set: "trip").count == 1)
    }

    @Test("Concurrent publishers get numbers of their own and readers never see half a version")
    func concurrent() async throws {
        let useCase = "case-\(UInt64.random(in: 0 ... .max))"
        let (publishers, each) = (6, 20)
        let numbers = try await withThrowingTaskGroup(of: [Int64].self) { group in
            for publisher in 0..<publishers {
                group.addTask {
                    let registry = ModelRegistry(try Redis.client(), useCase: useCase)
                    return try (0..<each).map { round in
                        let bytes = Array(repeating: UInt8(publisher), count: 1_000 + round)
                        return try registry.publish(bytes, set: "trip", facts: ["by": "\(publisher)"], promote: true, now: Int64(round))
                    }
                }
            }
            group.addTask {
                let registry = ModelRegistry(try Redis.client(), useCase: useCase)
                for _ in 0..<200 {
                    // `load` throws for anything incomplete.
                    guard let model = try registry.loadCurrent(set: "trip") else { continue }
                    #expect(model.metadata.facts["by"] == "\(model.bytes[0])")
                }
                return []
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        #expect(numbers.sorted() == Array(1...Int64(publishers * each)))
        let registry = ModelRegistry(try Redis.client(), useCase: useCase)
        #expect(try registry.versions(set: "trip").map(\.version) == Array(1...Int64(publishers * each)))
        let last = try #require(try registry.history(set: "trip").last)
        #expect(try registry.currentVersion(set: "trip") == last.version)
    }

    @Test("SHA-256 agrees with the published examples")
    func checksum() {
        // FIPS 180-2, appendix B, and the empty message.
        #expect(sha256([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(sha256(Array("abc".utf8)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(
            sha256(Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8))
                == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
        #expect(
            sha256(Array(repeating: UInt8(ascii: "a"), count: 1_000)) == "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3")
    }

    @Test("An absent Redis is a retryable error")
    func away() throws {
        let registry = ModelRegistry(RedisClient(RedisSettings(port: 1)), useCase: "any")
        let error = #expect(throws: RegistryError.self) { try registry.currentVersion(set: "trip") }
        #expect(error?.kind == .redis)
        #expect(error?.isRetryable == true)
    }
}
