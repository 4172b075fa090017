import Contracts
import RedisClient
import TestSupport
import Testing

@testable import Streaming

@Suite struct StateStoreTests {
    private let server: RedisServer
    private let client: RedisClient
    private let store: StateStore

    init() throws {
        server = try RedisServer()
        client = RedisClient(try RedisSettings(url: server.url))
        store = StateStore(client, keys: RedisKeys(useCase: "u"), service: "s")
    }

    private static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test("what was stored as a whole and as changes comes back in order, with its offset")
    func roundTrip() throws {
        let (token, nothing, _) = try store.take(3)
        #expect(nothing == nil)
        #expect(try store.save(token, offset: 10, isWhole: true, Self.bytes("whole")) == .stored)
        #expect(try store.save(token, offset: 20, isWhole: false, Self.bytes("change 1")) == .stored)
        #expect(try store.save(token, offset: 30, isWhole: false, []) == .stored)
        let (_, snapshot, problem) = try store.take(3)
        #expect(problem == nil)
        #expect(snapshot == StateStore.Snapshot(offset: 30, parts: [Self.bytes("whole"), Self.bytes("change 1"), []], decisions: []))
        #expect(try store.take(4).snapshot == nil, "another partition is another state")
    }

    @Test("a former owner can no longer write once somebody else has taken the partition")
    func fencing() throws {
        let zombie = try store.take(1).token
        #expect(try store.save(zombie, offset: 10, isWhole: true, [1]) == .stored)
        let owner = try store.take(1).token
        #expect(try store.save(zombie, offset: 99, isWhole: true, [9]) == .fenced)
        #expect(try store.journal(zombie, StateStore.Decision(offset: 99, value: 1)) == .fenced)
        #expect(try store.save(owner, offset: 20, isWhole: false, [2]) == .stored)
        #expect(try store.take(1).snapshot == StateStore.Snapshot(offset: 20, parts: [[1], [2]], decisions: []))
    }

    @Test("decisions of the clock are kept until a snapshot contains them")
    func journal() throws {
        let token = try store.take(1).token
        #expect(try store.journal(token, StateStore.Decision(offset: 5, value: 1_000)) == .stored)
        #expect(try store.take(1).snapshot == StateStore.Snapshot(offset: -1, parts: [], decisions: [StateStore.Decision(offset: 5, value: 1_000)]))
        let next = try store.take(1).token
        #expect(try store.save(next, offset: 6, isWhole: true, [1]) == .stored)
        #expect(try store.journal(next, StateStore.Decision(offset: 8, value: -7)) == .stored)
        #expect(try store.journal(next, StateStore.Decision(offset: 12, value: 9)) == .stored)
        #expect(try store.take(1).snapshot?.decisions == [StateStore.Decision(offset: 8, value: -7), StateStore.Decision(offset: 12, value: 9)])
        let last = try store.take(1).token
        #expect(try store.save(last, offset: 13, isWhole: false, [2]) == .stored)
        #expect(try store.take(1).snapshot?.decisions == [])
    }

    @Test("after Redis was emptied the owner writes on, beginning with a whole state")
    func emptied() throws {
        let token = try store.take(1).token
        #expect(try store.save(token, offset: 10, isWhole: true, [1]) == .stored)
        _ = try client.command("FLUSHALL")
        #expect(try store.save(token, offset: 20, isWhole: false, [2]) == .wantsWhole)
        #expect(try store.save(token, offset: 20, isWhole: true, [1, 2]) == .stored)
        let (next, snapshot, _) = try store.take(1)
        #expect(snapshot == StateStore.Snapshot(offset: 20, parts: [[1, 2]], decisions: []))
        #expect(try store.save(token, offset: 30, isWhole: false, [3]) == .fenced)
        #expect(try store.save(next, offset: 30, isWhole: false, [3]) == .stored)
    }

    @Test("a state of another format, or a damaged one, is not read, and a sentence says why")
    func foreign() throws {
        let keys = RedisKeys(useCase: "u")
        let token = try store.take(1).token
        #expect(try store.save(token, offset: 10, isWhole: true, Array(repeating: 7, count: 100)) == .stored)
        let name = keys.stateSnapshot(service: "s", partition: 1)
        for (field, value) in [("0", [1, 2, 3] as [UInt8]), ("0", Array(repeating: 0xFF, count: 40)), ("format", Self.bytes("999"))] {
            _ = try client.command([Self.bytes("HSET"), Self.bytes(name), Self.bytes(field), value])
            let (_, snapshot, problem) = try store.take(1)
            #expect(snapshot == nil)
            #expect(problem?.contains("rebuilt from Kafka") == true)
        }
    }
}
