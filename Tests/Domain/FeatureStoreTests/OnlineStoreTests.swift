import Contracts
import RedisClient
import TestSupport
import Testing

@testable import FeatureStore

/// One redis-server for all tests of this target; each test has a use case of its own.
enum Redis {
    private static let server = Result { try RedisServer(appendOnly: false) }

    static func client() throws -> RedisClient { RedisClient(try RedisSettings(url: server.get().url)) }
}

struct StoreFixture {
    let useCase = "case-\(UInt64.random(in: 0 ... .max))"
    let client: RedisClient

    init() throws { client = try Redis.client() }

    func store(_ features: [String] = ["x", "y"], set: String = "trip", timeToLive: Int = 60_000) -> OnlineStore {
        OnlineStore(client, useCase: useCase, set: set, features: features, timeToLive: timeToLive)
    }
}

extension OnlineStore {
    /// Writes one record as a batch of its own.
    func write(_ entity: String, time: Int64, offset: Int64, _ vector: [Double]) throws -> OnlineWrites {
        var batch = OnlineBatch(features: vector.count)
        batch.add(entity: entity, id: "\(time)/\(offset)", eventTime: time, offset: offset, vector: vector)
        return try write(batch)
    }
}

@Suite("The online feature store")
struct OnlineStoreTests {
    @Test("What is written is read back to the bit, a missing value as missing")
    func roundTrip() throws {
        let store = try StoreFixture().store(["a", "b", "c", "d", "e"])
        let vector = [0.1 + 0.2, -1.5e-300, .nan, 4_503_599_627_370_497.5, -0.0]
        #expect(try store.write("Zürich 🏔", time: -1_234, offset: 7, vector) == OnlineWrites(written: 1, stale: 0))
        let read = try #require(try store.get("Zürich 🏔"))
        #expect(read.id == "-1234/7")
        #expect(read.eventTime == -1_234)
        #expect(read.offset == 7)
        #expect(read.values.map(\.bitPattern).enumerated().allSatisfy { $0 == 2 || $1 == vector[$0].bitPattern })
        #expect(read.values[2].isNaN)
    }

    @Test("A later revision of a window replaces the earlier one, never the reverse, and never a newer window")
    func revisions() throws {
        let store = try StoreFixture().store()
        // Each revision is caused by a later record than the one before; all of one window have its end as their time.
        _ = try store.write("a", time: 60_000, offset: 40, [40, 1])
        #expect(try store.write("a", time: 60_000, offset: 60, [60, 1]).written == 1)
        #expect(try store.write("a", time: 60_000, offset: 40, [40, 1]).stale == 1)
        #expect(try store.get("a")?.values == [60, 1])
        _ = try store.write("a", time: 120_000, offset: 61, [5, 1])
        #expect(try store.write("a", time: 60_000, offset: 62, [61, 1]).stale == 1)
        #expect(try store.get("a")?.values == [5, 1])
        // In one batch too, in any order.
        for order in [[(40, 40.0), (60, 60.0)], [(60, 60.0), (40, 40.0)]] as [[(Int64, Double)]] {
            var batch = OnlineBatch(features: 1)
            for (offset, value) in order { batch.add(entity: "b", id: "w", eventTime: 60_000, offset: offset, vector: [value]) }
            let store = try StoreFixture().store(["n"])
            _ = try store.write(batch)
            #expect(try store.get("b")?.values == [60])
        }
    }

    /// The store holds (100, 10).
    @Test(
        "A record takes effect only if it is newer by (event time, offset)",
        arguments: [
            (101, 11, true), (101, 3, true), (100, 11, true), (100, 10, false), (100, 9, false), (99, 11, false), (99, 9, false),
            (-5, 99, false),
        ] as [(Int64, Int64, Bool)])
    func guarded(_ time: Int64, _ offset: Int64, _ applies: Bool) throws {
        let store = try StoreFixture().store()
        _ = try store.write("a", time: 100, offset: 10, [1, 2])
        let outcome = try store.write("a", time: time, offset: offset, [3, 4])
        #expect(outcome == OnlineWrites(written: applies ? 1 : 0, stale: applies ? 0 : 1))
        #expect(try store.get("a")?.values == (applies ? [3, 4] : [1, 2]))
    }

    @Test("A doubled batch changes nothing, not even the time to live")
    func doubled() throws {
        let fixture = try StoreFixture()
        let store = fixture.store()
        var batch = OnlineBatch(features: 2)
        for offset in 0..<300 {
            batch.add(entity: "e\(offset % 100)", id: "i", eventTime: Int64(offset), offset: Int64(offset), vector: [1, 2])
        }
        #expect(try store.write(batch) == OnlineWrites(written: 100, stale: 200))
        let key = RedisKeys(useCase: fixture.useCase).online(set: "trip", entity: "e7")
        _ = try fixture.client.command("PEXPIRE", key, "5000")
        #expect(try store.write(batch) == OnlineWrites(written: 0, stale: 300))
        let left = try #require(try fixture.client.command("PTTL", key).integer)
        #expect(left <= 5_000)
    }

    @Test("Two writers with overlapping batches end with the newest record of each entity")
    func twoWriters() async throws {
        let useCase = "case-\(UInt64.random(in: 0 ... .max))"
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<4 {
                group.addTask {
                    let store = OnlineStore(try Redis.client(), useCase: useCase, set: "trip", features: ["x"], timeToLive: 60_000)
                    var batch = OnlineBatch(features: 1)
                    for round in 0..<50 {
                        batch.removeAll()
                        let offset = Int64(writer % 2 == 0 ? round : 49 - round)
                        for entity in 0..<20 {
                            batch.add(entity: "\(entity)", id: "", eventTime: offset, offset: offset, vector: [Double(offset)])
                        }
                        _ = try store.write(batch)
                    }
                }
            }
            try await group.waitForAll()
        }
        let store = OnlineStore(try Redis.client(), useCase: useCase, set: "trip", features: ["x"], timeToLive: 60_000)
        #expect(try store.get((0..<20).map(String.init)).allSatisfy { $0?.values == [49] })
    }

    @Test("A value that is missing now, and a feature of an older definition, do not linger")
    func noLeftovers() throws {
        let fixture = try StoreFixture()
        _ = try fixture.store(["x", "old"]).write("a", time: 1, offset: 1, [1, 2])
        let store = fixture.store(["x", "new"])
        #expect(try store.get("a")?.values.last?.isNaN == true)
        _ = try store.write("a", time: 2, offset: 2, [.nan, 5])
        let reply = try fixture.client.command("HGETALL", RedisKeys(useCase: fixture.useCase).online(set: "trip", entity: "a"))
        #expect(Set(try #require(reply.fields).map(\.name)) == ["@time", "@offset", "@partition", "@id", "new"])
    }

    @Test("An entity whose records come from two partitions is named, newer or older, over batches and within one; one that stays is not")
    func twoPartitions() throws {
        let store = try StoreFixture().store()
        func write(_ records: [(entity: String, time: Int64, partition: Int32)]) throws -> (written: Int, named: [String]) {
            var batch = OnlineBatch(features: 2)
            for record in records {
                batch.add(entity: record.entity, id: "i", eventTime: record.time, offset: record.time, partition: record.partition, vector: [1, 2])
            }
            let writes = try store.write(batch)
            return (writes.written, writes.inTwoPartitions.map { String(decoding: $0, as: UTF8.self) })
        }
        #expect(try write([("a", 1, 0), ("b", 1, 1), ("a", 2, 0)]) == (2, []))
        #expect(try write([("a", 3, 0), ("b", 2, 1)]) == (2, []))
        #expect(try write([("a", 4, 2), ("b", 3, 1)]) == (2, ["a"]))
        #expect(try write([("a", 3, 0)]) == (0, ["a"]), "an older record tells it too")
        #expect(try write([("c", 1, 0), ("c", 2, 1), ("c", 3, 0)]) == (1, ["c"]))
        #expect(try write([("a", 5, 2), ("b", 4, 1), ("c", 4, 0)]) == (3, []))
    }

    @Test("An entity is forgotten after its time to live")
    func expiry() throws {
        let store = try StoreFixture().store(timeToLive: 30)
        _ = try store.write("a", time: 1, offset: 1, [1, 2])
        #expect(try withDeadline(5) { try store.get("a") == nil })
        #expect(try store.write("a", time: 0, offset: 0, [1, 2]).written == 1)
    }

    @Test("Many entities are read in their order, unknown ones as nothing")
    func readsMany() throws {
        let store = try StoreFixture().store()
        _ = try store.write("a", time: 1, offset: 1, [1, 2])
        _ = try store.write("b", time: 1, offset: 2, [3, 4])
        #expect(try store.get(["b", "?", "a"]).map { $0?.values } == [[3, 4], nil, [1, 2]])
        #expect(try store.get([]).isEmpty)
    }

    @Test("Entities are counted per feature set")
    func counts() throws {
        let fixture = try StoreFixture()
        let (trip, window) = (fixture.store(), fixture.store(set: "window"))
        for entity in 0..<50 { _ = try trip.write("\(entity)", time: 1, offset: 1, [1, 2]) }
        _ = try window.write("only", time: 1, offset: 1, [1, 2])
        #expect(try trip.countEntities() == 50)
        #expect(try window.entities(limit: 10) == ["only"])
    }

    @Test("A key of another type is an error and not a silent loss")
    func wrongType() throws {
        let fixture = try StoreFixture()
        _ = try fixture.client.command("SET", RedisKeys(useCase: fixture.useCase).online(set: "trip", entity: "a"), "text")
        let store = fixture.store()
        #expect(throws: RedisError.self) { try store.write("a", time: 1, offset: 1, [1, 2]) }
        #expect(throws: RedisError.self) { try store.get("a") }
    }
}

@Suite("The online feature store when Redis goes away")
struct OnlineStoreOutageTests {
    @Test("A batch that failed is written by a repeat after the server came back")
    func outage() throws {
        let server = try RedisServer()
        let store = OnlineStore(
            RedisClient(try RedisSettings(url: server.url)), useCase: "case", set: "trip", features: ["x"], timeToLive: 60_000)
        var batch = OnlineBatch(features: 1)
        for entity in 0..<10 { batch.add(entity: "\(entity)", id: "", eventTime: 1, offset: 1, vector: [1]) }
        #expect(try store.write(batch).written == 10)
        server.kill()
        let error = #expect(throws: RedisError.self) { try store.write(batch) }
        #expect(error?.isRetryable == true)
        try server.restart(keepingData: false)
        #expect(try store.write(batch).written == 10)
        #expect(try store.countEntities() == 10)
    }
}
