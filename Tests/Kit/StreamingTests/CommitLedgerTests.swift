import KafkaClient
import Testing

@testable import Streaming

/// The ledger beside a broker that is three numbers per partition: every history of a few steps is tried.
@Suite struct CommitLedgerTests {
    private enum Step: CaseIterable {
        case assign, revoke
        /// The next record's effects are durable.
        case handle
        /// A commit that nobody waits for is sent; the broker then takes it, or it fails.
        case send, land, fail
        /// A commit that is waited for: it succeeds, or the answer is that it did not.
        case wait, refuse
        case store
    }

    /// One consumer and its broker.
    private struct World {
        var ledger = CommitLedger()
        /// What the next owner of a partition would be told.
        var broker: [TopicPartition: Int64] = [:]
        /// On their way, in order.
        var sent: [[PartitionOffset]] = []
        /// Effects of the records below are durable.
        var handled: [TopicPartition: Int64] = [:]
        var owned: Set<TopicPartition> = []

        /// Takes a step and says what is wrong with the outcome; nil: nothing.
        mutating func take(_ step: Step, _ partition: TopicPartition) -> String? {
            let before = broker
            switch step {
            case .assign:
                guard !owned.contains(partition) else { return nil }
                owned.insert(partition)
                handled[partition] = broker[partition] ?? 0
                ledger.assign(partition, at: broker[partition] ?? 0)
            case .revoke:
                owned.remove(partition)
                ledger.revoke(partition)
                // The broker does not take a commit of a former generation.
                sent = sent.map { $0.filter { $0.topicPartition != partition } }
            case .handle:
                guard owned.contains(partition) else { return nil }
                handled[partition, default: 0] += 1
                ledger.isDurable(partition, below: handled[partition] ?? 0)
            case .send:
                let due = ledger.due(.requested)
                if due.isEmpty { return nil }
                sent.append(due)
                ledger.commit(due, .requested)
            case .land:
                guard !sent.isEmpty else { return nil }
                apply(sent.removeFirst())
            case .fail:
                guard !sent.isEmpty else { return nil }
                sent.removeFirst()
                ledger.requestsFailed()
                let (again, unknown) = (ledger.due(.requested), ledger.due(.known))
                if again.count != unknown.count || !unknown.allSatisfy({ again.contains($0) }) { return "what failed is not sent again" }
            case .wait:
                return commitAll()
            case .refuse:
                if ledger.due(.known).contains(where: { !owned.contains($0.topicPartition) }) { return "a commit for a partition that is not ours" }
            case .store:
                guard ledger.due(.known).isEmpty, let next = ledger.nextToStore() else { return nil }
                guard let offset = ledger.store(next) else { return "the next one to store has nothing to store" }
                if offset != broker[next] { return "state stored at \(offset), committed \(broker[next] ?? -1)" }
                if ledger.store(next) != nil { return "the same state stored twice" }
            }
            for (partition, offset) in broker {
                if offset < before[partition] ?? 0 { return "\(partition) went back from \(before[partition] ?? 0) to \(offset)" }
            }
            for certainty in [CommitLedger.Certainty.requested, .known] {
                for place in ledger.due(certainty) {
                    if !owned.contains(place.topicPartition) { return "a commit for a partition that is not ours" }
                    if place.offset > handled[place.topicPartition] ?? 0 { return "\(place.offset) is to be committed and not durable" }
                }
            }
            for partition in owned {
                guard let progress = ledger[partition] else { return "an owned partition is not known" }
                let isInOrder =
                    progress.start <= progress.stored && progress.stored <= progress.committed && progress.committed <= progress.requested
                    && progress.requested <= progress.durable
                if !isInOrder { return "\(progress)" }
                if progress.committed > broker[partition] ?? 0 { return "\(progress.committed) counts as committed and is not" }
            }
            return nil
        }

        /// Commits what is due for certain; afterwards nothing that is durable may be left out.
        mutating func commitAll() -> String? {
            // Requests of one connection are answered in order.
            for commit in sent { apply(commit) }
            sent = []
            let due = ledger.due(.known)
            apply(due)
            ledger.commit(due, .known)
            for partition in owned where broker[partition] ?? 0 != handled[partition] {
                return "handled up to \(handled[partition] ?? 0), committed up to \(broker[partition] ?? 0)"
            }
            return nil
        }

        private mutating func apply(_ commit: [PartitionOffset]) {
            for place in commit { broker[place.topicPartition] = place.offset }
        }
    }

    private static let partitions = [TopicPartition("t", 0), TopicPartition("t", 1)]

    /// Walks all histories of at most `depth` steps from a world on.
    /// - Returns: how many there were; the first wrong one is an issue.
    private func walk(_ world: World, _ steps: [(Step, TopicPartition)], depth: Int, _ history: [Step] = []) -> Int? {
        var count = 1
        var end = world
        if let problem = end.commitAll() {
            Issue.record("\(history), commit: \(problem)")
            return nil
        }
        guard depth > 0 else { return count }
        for (step, partition) in steps {
            var next = world
            if let problem = next.take(step, partition) {
                Issue.record("\(history + [step]) on \(partition.partition): \(problem)")
                return nil
            }
            guard let more = walk(next, steps, depth: depth - 1, history + [step]) else { return nil }
            count += more
        }
        return count
    }

    @Test("no history of five steps commits what is not durable, goes back, forgets what is durable, or stores state ahead of the commit")
    func onePartition() {
        #expect(walk(World(), Step.allCases.map { ($0, Self.partitions[0]) }, depth: 5) == (0...5).reduce(0) { $0 + Self.power(9, $1) })
    }

    @Test("the same with a partition that is owned and half done, and steps of two partitions mixed")
    func twoPartitions() {
        var world = World()
        for (step, partition) in [(Step.assign, 0), (.handle, 0), (.send, 0), (.assign, 1), (.handle, 1)] {
            #expect(world.take(step, Self.partitions[partition]) == nil)
        }
        let own = [Step.assign, .revoke, .handle].flatMap { step in Self.partitions.map { (step, $0) } }
        let common = [Step.send, .land, .fail, .wait, .store].map { ($0, Self.partitions[0]) }
        #expect(walk(world, own + common, depth: 4) == (0...4).reduce(0) { $0 + Self.power(11, $1) })
    }

    private static func power(_ base: Int, _ exponent: Int) -> Int { (0..<exponent).reduce(1) { product, _ in product * base } }

    @Test("a beginning that is still to be committed is due although nothing was handled")
    func beginning() {
        var ledger = CommitLedger()
        ledger.assign(Self.partitions[0], at: 40, isCommitted: false)
        ledger.assign(Self.partitions[1], at: 40)
        #expect(ledger.due(.known) == [PartitionOffset(Self.partitions[0], 40)])
        ledger.commit(ledger.due(.known), .known)
        #expect(ledger.due(.known).isEmpty)
    }

    @Test("partitions are stored in turn, those of which nothing new is committed are passed over")
    func turns() {
        var ledger = CommitLedger()
        let four = (0..<Int32(4)).map { TopicPartition("t", $0) }
        for partition in four { ledger.assign(partition, at: 0) }
        func commit(_ partitions: [Int], _ offset: Int64) {
            for index in partitions { ledger.isDurable(four[index], below: offset) }
            ledger.commit(ledger.due(.known), .known)
        }
        var stored: [Int32] = []
        func store() {
            guard let next = ledger.nextToStore() else { return }
            #expect(ledger.store(next) != nil)
            stored.append(next.partition)
        }
        commit([0, 1, 3], 1)
        store()
        store()
        commit([0, 1, 2, 3], 2)
        for _ in 0..<5 { store() }
        #expect(stored == [0, 1, 2, 3, 0, 1])
    }
}
