import Contracts
import KafkaClient
import RedisClient
import TestSupport
import Testing

@testable import ServiceKit
@testable import Streaming

/// Partitions with a small state, through what can happen to the Redis that keeps it.
@Suite struct StatefulPartitionsTests {
    /// Counts the records of each key.
    private final class Tally: PartitionStateful {
        var counts: [UInt8: UInt8] = [:]
        private var changed: Set<UInt8> = []

        func add(_ key: UInt8) {
            counts[key, default: 0] += 1
            changed.insert(key)
        }

        func write(whole: Bool) -> [UInt8] {
            defer { changed = [] }
            return [1] + counts.filter { whole || changed.contains($0.key) }.sorted { $0.key < $1.key }.flatMap { [$0.key, $0.value] }
        }

        struct Foreign: Error {}

        func restore(_ parts: [[UInt8]]) throws {
            for part in parts {
                guard part.first == 1, part.count % 2 == 1 else { throw Foreign() }
                for index in stride(from: 1, to: part.count, by: 2) { counts[part[index]] = part[index + 1] }
            }
        }

        func decisionDue(silence: Int64) -> Decision? { nil }

        struct Decision: RawRepresentable { let rawValue: Int64 }
    }

    private let server: RedisServer
    private let keys = RedisKeys(useCase: "u")
    private let place = TopicPartition("t", 0)

    init() throws { server = try RedisServer(appendOnly: false) }

    private func service() -> Service {
        Service(name: "s", log: Logger(service: "s", level: .error, format: .text), metrics: Metrics(), life: Lifecycle())
    }

    private func partitions(_ service: Service) throws -> StatefulPartitions<Tally> {
        let keys = keys
        return StatefulPartitions(
            service, redis: try RedisSettings(url: server.url), store: { StateStore($0, keys: keys, service: "s") }, interval: 1,
            idleAfter: 1_000_000,
            make: { _ in Tally() }, carryOut: { _, _, _ in })
    }

    /// Applies records with these keys from an offset on, and commits them.
    private func apply(_ keys: [UInt8], from offset: Int64, to partitions: StatefulPartitions<Tally>) throws {
        for (index, key) in keys.enumerated() {
            try partitions.apply(0, at: offset + Int64(index)) { owned, _ in owned.state.add(key) }
        }
        try partitions.committed(place, offset + Int64(keys.count))
        try partitions.finishStoring()
    }

    private func counts(_ partitions: StatefulPartitions<Tally>) -> [UInt8: UInt8] {
        var found: [UInt8: UInt8] = [:]
        partitions.forEach { found = $0.state.counts }
        return found
    }

    @Test("the next owner has the state of the committed offset and begins there")
    func handOver() throws {
        let first = try partitions(service())
        #expect(try first.take([PartitionOffset(place, PartitionOffset.invalid)]) == [PartitionOffset(place, 0)])
        try apply([1, 2, 1], from: 0, to: first)
        try apply([2], from: 3, to: first)
        let next = try partitions(service())
        #expect(try next.take([PartitionOffset(place, 4)]) == [PartitionOffset(place, 4)])
        #expect(counts(next) == [1: 2, 2: 2])
        #expect(try next.apply(0, at: 3) { _, _ in } == false, "what is in the state is not applied again")
    }

    @Test("a Redis that is away, or full, or was emptied, holds up no record; the state is stored when it takes it again")
    func redisTrouble() throws {
        let service = service()
        let owner = try partitions(service)
        _ = try owner.take([PartitionOffset(place, PartitionOffset.invalid)])
        try apply([1], from: 0, to: owner)
        let stored = service.metrics.counter("vyuha_snapshots_total", "")
        #expect(stored.value == 1)

        server.kill()
        try apply([1], from: 1, to: owner)
        #expect(stored.value == 1)
        try server.restart(keepingData: false)
        try apply([1], from: 2, to: owner)
        #expect(stored.value == 2)

        let client = RedisClient(try RedisSettings(url: server.url))
        _ = try client.command("CONFIG", "SET", "maxmemory", "1")
        try apply([2], from: 3, to: owner)
        #expect(stored.value == 2, "a full Redis refuses writes (noeviction)")
        _ = try client.command("CONFIG", "SET", "maxmemory", "0")
        try apply([2], from: 4, to: owner)
        #expect(stored.value == 3)

        _ = try client.command("FLUSHALL")
        try apply([3], from: 5, to: owner)
        let next = try partitions(self.service())
        #expect(try next.take([PartitionOffset(place, 6)]) == [PartitionOffset(place, 6)])
        #expect(counts(next) == [1: 3, 2: 2, 3: 1])
    }

    @Test("a state that is gone, foreign, damaged, or ahead of the committed offset is rebuilt from the oldest record, silently up to there")
    func rebuild() throws {
        let client = RedisClient(try RedisSettings(url: server.url))
        let snapshot = keys.stateSnapshot(service: "s", partition: 0)
        func begin(committed: Int64) throws -> (start: [PartitionOffset], state: [UInt8: UInt8], rebuilds: Int) {
            let service = service()
            let owner = try partitions(service)
            let start = try owner.take([PartitionOffset(place, committed)])
            let counts = counts(owner)
            for offset in start[0].offset..<committed { try owner.apply(0, at: offset) { #expect($1) } }
            try owner.apply(0, at: committed) { #expect(!$1) }
            return (start, counts, service.metrics.counter("vyuha_state_rebuilds_total", "").value)
        }
        let owner = try partitions(service())
        _ = try owner.take([PartitionOffset(place, PartitionOffset.invalid)])
        try apply([1, 1], from: 0, to: owner)
        #expect(try begin(committed: 2) == ([PartitionOffset(place, 2)], [1: 2], 0))
        #expect(try begin(committed: 1) == ([PartitionOffset(place, 0)], [:], 1), "ahead of the committed offset")
        _ = try client.command("HSET", snapshot, "format", "2")
        #expect(try begin(committed: 2) == ([PartitionOffset(place, 0)], [:], 1), "another version's layout")
        _ = try client.command("HSET", snapshot, "format", "1", "0", "not what this service writes")
        #expect(try begin(committed: 2) == ([PartitionOffset(place, 0)], [:], 1), "damaged")
        let token = try StateStore(client, keys: keys, service: "s").take(0).token
        _ = try StateStore(client, keys: keys, service: "s").save(token, offset: 2, isWhole: true, [9, 9, 9])
        #expect(try begin(committed: 2) == ([PartitionOffset(place, 0)], [:], 1), "whole, but of another kind of state")
        _ = try client.command("FLUSHALL")
        #expect(try begin(committed: 2) == ([PartitionOffset(place, 0)], [:], 1), "gone")
    }

    @Test("what happens while a snapshot is on its way is in the next one")
    func onItsWay() throws {
        let first = try partitions(service())
        _ = try first.take([PartitionOffset(place, 0)])
        for offset in 0..<50 as Range<Int64> {
            try first.apply(0, at: offset) { owned, _ in owned.state.add(UInt8(offset % 7)) }
            // Not waited for.
            try first.committed(place, offset + 1)
        }
        try first.finishStoring()
        let second = try partitions(service())
        #expect(try second.take([PartitionOffset(place, 50)])[0].offset == 50)
        #expect(counts(second) == counts(first))
        #expect(counts(second).values.reduce(0, +) == 50)
    }

    @Test("a decision of the clock stays on record when a snapshot without it is on its way")
    func decision() throws {
        let first = try partitions(service())
        _ = try first.take([PartitionOffset(place, 0)])
        var decided: OwnedPartition<Tally>?
        try first.apply(0, at: 0) { owned, _ in
            owned.state.add(1)
            decided = owned
        }
        let owned = try #require(decided)
        // The writer has to connect first, so a decision that does not wait would be there before the snapshot.
        try first.committed(place, 1)
        #expect(try first.decide(owned, Tally.Decision(rawValue: 12_345)))
        try first.finishStoring()
        let store = StateStore(RedisClient(try RedisSettings(url: server.url)), keys: keys, service: "s")
        let snapshot = try #require(try store.take(0).snapshot)
        #expect(snapshot.offset == 1)
        #expect(snapshot.decisions == [StateStore.Decision(offset: 1, value: 12_345)])
    }

    @Test("state that was built with another number of partitions is refused, with a sentence that names both and what to do")
    func partitionsChanged() throws {
        let owner = try partitions(service())
        try owner.check("t", partitions: 4)
        try owner.check("t", partitions: 4)
        try partitions(service()).check("other", partitions: 8)
        let error = #expect(throws: PartitionsChanged.self) { try self.partitions(self.service()).check("t", partitions: 8) }
        #expect(error?.description.contains("has 8 partitions, but the state of s was built with 4") == true)
        #expect(error?.description.contains("vyuhactl reset") == true)
    }
}
