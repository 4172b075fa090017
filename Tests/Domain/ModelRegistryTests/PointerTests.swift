import Contracts
import RedisClient
import Testing

@testable import ModelRegistry

@Suite("The pointer to the current model")
struct PointerTests {
    @Test("Promoting moves the pointer and is written down; promoting again changes nothing")
    func promote() throws {
        let fixture = try RegistryFixture()
        try fixture.publish(2)
        try fixture.registry.promote(set: "trip", version: 1, now: 10)
        try fixture.registry.promote(set: "trip", version: 1, now: 11)
        #expect(try fixture.registry.currentVersion(set: "trip") == 1)
        let history = try fixture.registry.history(set: "trip")
        #expect(history.map(\.version) == [1, 2, 1])
        #expect(history.map(\.at) == [1, 2, 10])
        #expect(history.allSatisfy { !$0.isRollback })
    }

    @Test("A version that does not exist can be neither promoted nor read nor deleted")
    func unknown() throws {
        let registry = try RegistryFixture().registry
        for attempt in [
            { try registry.promote(set: "trip", version: 7, now: 0) }, { try registry.delete(set: "trip", version: 7) },
            { _ = try registry.load(set: "trip", version: 7) }, { _ = try registry.metadata(set: "trip", version: 7) },
        ] {
            let error = #expect(throws: RegistryError.self, performing: attempt)
            #expect(error?.kind == .noSuchVersion)
            #expect(error?.message.contains("7") == true)
        }
    }

    /// Steps: `p3` publishes until version 3 exists and promotes it, `r` rolls back, `d2` deletes version 2.
    @Test(
        "Rollback goes to what was promoted before",
        arguments: [
            ("p1 p2 r", 1), ("p1 p2 p3 r r", 1), ("p1 p2 p3 r", 2), ("p1 p2 p3 r p4 r", 2), ("p1 p2 p3 r p4 r r", 1),
            ("p1 p2 p3 d2 r", 1), ("p1 p2 p1 r", 2), ("p1 p2 p1 r r", 1), ("p1 p2 r p2 r", 1), ("p3 p1 r", 3),
        ] as [(String, Int64)])
    func rollback(_ steps: String, _ expected: Int64) throws {
        let fixture = try RegistryFixture()
        try fixture.publish(4, promote: false)
        for step in steps.split(separator: " ") {
            let number = Int64(step.dropFirst()) ?? 0
            switch step.first {
            case "p": try fixture.registry.promote(set: "trip", version: number, now: 0)
            case "d": try fixture.registry.delete(set: "trip", version: number)
            default: #expect(try fixture.registry.rollback(set: "trip", now: 0) == fixture.registry.currentVersion(set: "trip"))
            }
        }
        #expect(try fixture.registry.currentVersion(set: "trip") == expected)
    }

    @Test("With nothing to go back to, rollback is an error and changes nothing")
    func nothing() throws {
        let fixture = try RegistryFixture()
        #expect(throws: RegistryError.self) { try fixture.registry.rollback(set: "trip", now: 0) }
        try fixture.publish(2)
        _ = try fixture.registry.rollback(set: "trip", now: 3)
        let error = #expect(throws: RegistryError.self) { try fixture.registry.rollback(set: "trip", now: 4) }
        #expect(error?.kind == .nothingToRollBack)
        #expect(try fixture.registry.currentVersion(set: "trip") == 1)
        #expect(try fixture.registry.history(set: "trip").map(\.isRollback) == [false, false, true])
    }

    @Test("History is bounded and rollback works on what is left")
    func bounded() throws {
        let fixture = try RegistryFixture()
        try fixture.publish(2, promote: false)
        for round in 0..<300 { try fixture.registry.promote(set: "trip", version: Int64(round % 2 + 1), now: Int64(round)) }
        #expect(try fixture.registry.history(set: "trip").count == 256)
        #expect(try fixture.registry.rollback(set: "trip", now: 0) == 1)
    }

    @Test("The current version cannot be deleted, another one can, and its number is not used again")
    func delete() throws {
        let fixture = try RegistryFixture()
        try fixture.publish(2)
        let error = #expect(throws: RegistryError.self) { try fixture.registry.delete(set: "trip", version: 2) }
        #expect(error?.kind == .refused)
        try fixture.registry.delete(set: "trip", version: 1)
        #expect(try fixture.registry.versions(set: "trip").map(\.version) == [2])
        #expect(
            try fixture.client.command("EXISTS", RedisKeys(useCase: fixture.useCase).modelBytes(set: "trip", version: 1)) == .integer(0))
        #expect(try fixture.registry.publish([3], set: "trip", facts: [:], promote: false, now: 3) == 3)
    }

    @Test("Bytes that changed in Redis are refused with a sentence", arguments: ["SETRANGE", "APPEND", "DEL"])
    func damaged(_ command: String) throws {
        let fixture = try RegistryFixture()
        _ = try fixture.registry.publish([1, 2, 3, 4], set: "trip", facts: [:], promote: true, now: 1)
        let key = RedisKeys(useCase: fixture.useCase).modelBytes(set: "trip", version: 1)
        switch command {
        case "SETRANGE": _ = try fixture.client.command("SETRANGE", key, "2", "x")
        case "APPEND": _ = try fixture.client.command("APPEND", key, "x")
        default: _ = try fixture.client.command("DEL", key)
        }
        let error = #expect(throws: RegistryError.self) { try fixture.registry.load(set: "trip", version: 1) }
        #expect(error?.kind == .damaged)
        #expect(error?.isRetryable == false)
    }
}
