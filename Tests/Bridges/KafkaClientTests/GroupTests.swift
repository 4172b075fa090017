import Testing

@testable import KafkaClient

@Suite("Consumer groups")
struct GroupTests {
    /// What one member was told; used on the thread of its test alone.
    final class Member {
        var owned: Set<TopicPartition> = []
        var events: [RebalanceEvent] = []
        var numbers: [Int] = []
        var batch = RecordBatch()

        func handle(_ event: RebalanceEvent) {
            events.append(event)
            switch event {
            case .assigned(let partitions): owned.formUnion(partitions)
            case .revoked(let partitions), .lost(let partitions): owned.subtract(partitions)
            }
        }

        func poll(_ consumer: KafkaConsumer) throws {
            do throws(KafkaError) {
                try consumer.poll(into: &batch, timeout: 20)
            } catch {
                guard error.isRetryable else { throw error }
                return
            }
            for record in batch.records { #expect(owned.contains(TopicPartition(batch.topics[record.topic], record.partition))) }
            numbers += batch.numbers
        }
    }

    @Test("two members share the partitions and one takes over what the other leaves", arguments: ["cooperative-sticky", "range"])
    func rebalance(strategy: String) async throws {
        try await onThread { try Self.share(strategy) }
    }

    private static func share(_ strategy: String) throws {
        let cluster = try Cluster(("t", 4))
        let properties = ["partition.assignment.strategy": strategy]
        let all = Set((0..<4).map { TopicPartition("t", $0) })
        let first = Member()
        let second = Member()
        let one = try KafkaConsumer(cluster.settings, group: "g", properties: properties) { _, event in
            first.handle(event)
            return []
        }
        let two = try KafkaConsumer(cluster.settings, group: "g", properties: properties) { _, event in
            second.handle(event)
            return []
        }
        try one.subscribe(["t"])
        try two.subscribe(["t"])
        #expect(
            try until(30_000) {
                try first.poll(one)
                try second.poll(two)
                return first.owned.count == 2 && second.owned.count == 2
            })
        #expect(first.owned.isDisjoint(with: second.owned))
        #expect(first.owned.union(second.owned) == all)
        two.close()
        #expect(second.owned.isEmpty)
        #expect(second.events.last.map { if case .revoked = $0 { true } else { false } } == true)
        // The embedded broker takes ten seconds more to end a cooperative rebalance.
        if strategy == "range" {
            #expect(
                try until(30_000) {
                    try first.poll(one)
                    return first.owned == all
                })
        }
        one.close()
        #expect(first.owned.isEmpty)
    }

    @Test("the handler chooses where an assigned partition starts, and can commit in the handler for a revoked one")
    func startOffsets() async throws {
        try await onThread { try Self.chooseStart() }
    }

    private static func chooseStart() throws {
        let cluster = try Cluster(("t", 1))
        try cluster.fill("t", with: 0..<10)
        let member = Member()
        let partition = TopicPartition("t", 0)
        let consumer = try KafkaConsumer(cluster.settings, group: "g") { consumer, event in
            member.handle(event)
            if case .revoked = event { #expect(failure { try consumer.commit([PartitionOffset(partition, 10)], wait: true) } == nil) }
            return [PartitionOffset(partition, 6)]
        }
        try consumer.subscribe(["t"])
        #expect(
            try until(30_000) {
                try member.poll(consumer)
                return member.numbers.count >= 4
            })
        #expect(member.numbers == Array(6..<10))
        consumer.close()
        let admin = try KafkaAdmin(cluster.settings)
        #expect(try admin.committed(group: "g", [partition]).map(\.offset) == [10])
    }

    @Test("members that leave in the middle of their first join end nothing but themselves")
    func leaveWhileJoining() throws {
        let cluster = try Cluster(("storm", 4))
        let consumers = try (0..<12).map { _ in try KafkaConsumer(cluster.settings, group: "storm") }
        for consumer in consumers { try consumer.subscribe(["storm"]) }
        let began = milliseconds()
        var batch = RecordBatch()
        // A join takes the mock cluster three seconds, and a change of members as long again.
        for (place, consumer) in consumers.enumerated() {
            while milliseconds() - began < 2_800 + 60 * place { try consumer.poll(into: &batch, timeout: 5) }
            consumer.close()
        }
    }
}
