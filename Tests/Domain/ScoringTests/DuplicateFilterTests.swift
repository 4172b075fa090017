import Contracts
import Detectors
import Testing
import Text

@testable import Scoring

/// What owners of one partition put on `<uc>.features`, one after the other and, when one is frozen, at the same time.
private struct Topic {
    struct Record: Equatable {
        var offset: Int64
        var sequence: Int64
        var producedAt: Int64 { offset / 3 }
    }

    private struct Owner {
        var next: Int64
        /// Of a former owner: it sends what it had fetched, and nothing behind it.
        var last = Int64.max
    }

    private(set) var records: [Record] = []
    private var owners = [Owner(next: 0)]
    private var committed: Int64 = 0

    /// Each event has one to three records; a crash cuts them anywhere.
    mutating func step(_ random: inout some RandomNumberGenerator) {
        let isCrash = Int.random(in: 0..<12, using: &random) == 0
        let index = owners.indices.randomElement(using: &random) ?? 0
        for _ in 0..<Int.random(in: 1...4, using: &random) where owners[index].next < owners[index].last {
            let offset = owners[index].next
            let count = offset % 3 + 1
            let sent = isCrash ? Int64.random(in: 0...count, using: &random) : count
            records += (0..<sent).map { Record(offset: offset, sequence: $0) }
            if isCrash { break }
            owners[index].next += 1
        }
        if isCrash {
            // The last one is the owner; the others were frozen and are gone for good now.
            if index == owners.count - 1 { owners[index] = Owner(next: committed) } else { owners.remove(at: index) }
        } else if Int.random(in: 0..<5, using: &random) == 0, let owner = owners.last {
            committed = owner.next
        } else if Int.random(in: 0..<20, using: &random) == 0, let owner = owners.last {
            owners[owners.count - 1].last = owner.next + Int64.random(in: 0...9, using: &random)
            owners.append(Owner(next: committed))
        }
    }
}

@Suite("The duplicate filter")
struct DuplicateFilterTests {
    @Test("whoever crashes or wakes up late, each record counts once and in order", arguments: 0..<200)
    func anyOrder(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var topic = Topic()
        for _ in 0..<400 { topic.step(&random) }
        var seen = DuplicateFilter()
        var taken: [Topic.Record] = []
        for record in topic.records {
            if !seen.contains(offset: record.offset, sequence: record.sequence, producedAt: record.producedAt) { taken.append(record) }
            if Int.random(in: 0..<30, using: &random) == 0 { seen = try copy(of: seen) }
        }
        let last = try #require(topic.records.map(\.offset).max())
        let all = (0...last).flatMap { offset in (0...offset % 3).map { Topic.Record(offset: offset, sequence: $0) } }
        #expect(taken == Array(all.prefix(taken.count)))
        #expect(topic.records.allSatisfy(taken.contains))
    }

    @Test("decisions of the clock at one offset all count, until the event there does")
    func clock() {
        var seen = DuplicateFilter()
        let places: [(Int64, Int64)] = [(6, 0), (6, 1), (7, -1), (7, -1), (7, 0), (7, -1), (7, 0), (8, -1), (8, 0)]
        let known = places.map { seen.contains(offset: $0.0, sequence: $0.1, producedAt: $0.1 < 0 ? 1_000 : $0.0) }
        #expect(known == [false, false, false, false, false, true, true, false, false])
    }

    @Test("a topic that was made again counts anew, and what is sent again of it does not")
    func newTopic() {
        var seen = DuplicateFilter()
        func known(_ offsets: [Int64], producedFrom start: Int64) -> [Bool] {
            offsets.map { seen.contains(offset: $0, sequence: 0, producedAt: start + $0) }
        }
        #expect(known(Array(0..<1_000), producedFrom: 5_000).allSatisfy { !$0 })
        #expect(known([400, 999], producedFrom: 5_000) == [true, true])
        #expect(known(Array(0..<10), producedFrom: 9_000).allSatisfy { !$0 })
        #expect(known([7, 9, 10], producedFrom: 9_000) == [true, true, false])
    }

    private func copy(of seen: DuplicateFilter) throws -> DuplicateFilter {
        var writer = StateWriter()
        seen.write(into: &writer)
        var reader = StateReader(writer.bytes)
        var copy = DuplicateFilter()
        try copy.read(from: &reader)
        try reader.finish()
        return copy
    }
}
