import Contracts
import RedisClient
import Synchronization
import TestSupport
import Testing

@testable import KafkaClient
@testable import ServiceKit
@testable import Streaming

/// What the loop does about bad records, lost records and absent brokers; each on a mock cluster of its own, whose joins take 3 to 5 s.
@Suite struct ConsumerLoopTroubleTests {
    private struct Stumbled: Error {}

    /// A loop on a thread of its own that notes what it handled.
    private final class Run: Sendable {
        let service: Service
        private let counts = Mutex<[String: Int]>([:])
        private let end = Mutex<(isDone: Bool, error: String?)>((false, nil))

        init(
            _ broker: EmbeddedBroker, redis: String? = nil, batch: Int = 100, delivery: DeliveryGuarantee = .atLeastOnce,
            stumblesOver: @escaping @Sendable (String) -> Bool = { _ in false }
        ) throws {
            let (settings, service) = try ConsumerLoopTests.service(broker, redis: redis, instance: delivery == .exactlyOnce ? "one" : nil)
            self.service = service
            Threads.start("loop") { [self] in
                do {
                    let sink = try RecordSink(settings, service, topics: ["dead"], delivery: delivery)
                    defer { sink.close() }
                    let loop = ConsumerLoop(settings, service, topics: ["t"], group: "g", batch: batch, sink: sink, deadLetterTopic: 0)
                    try loop.run { batch in
                        let values = batch.records.map { $0.value.map { String(decoding: batch.bytes[$0].prefix(20), as: UTF8.self) } ?? "" }
                        if values.contains(where: stumblesOver) { throw Stumbled() }
                        counts.withLock { for value in values { $0[value, default: 0] += 1 } }
                    }
                    end.withLock { $0 = (true, nil) }
                } catch {
                    end.withLock { $0 = (true, "\(error)") }
                }
            }
        }

        var handled: [String: Int] { counts.withLock { $0 } }

        /// Ends the loop; what it threw, if anything.
        func stop() -> String? {
            service.life.stop()
            return withDeadline(30) { end.withLock { $0.isDone } } ? end.withLock { $0.error } : "The loop did not end."
        }
    }

    private static func send(_ broker: EmbeddedBroker, _ values: [[UInt8]], partitions: Int32) throws {
        let producer = try KafkaProducer(broker.settings)
        var batch = OutgoingBatch(topics: ["t"])
        for (index, value) in values.enumerated() { batch.append(topic: 0, partition: Int32(index) % partitions, key: nil, value: value) }
        try producer.send(batch)
        try producer.close()
    }

    private static func committed(_ broker: EmbeddedBroker, partitions: Int32) throws -> [Int64] {
        let admin = try KafkaAdmin(broker.settings)
        return try admin.committed(group: "g", (0..<partitions).map { TopicPartition("t", $0) }, timeout: 5_000).map(\.offset)
    }

    @Test("a record that breaks its handler is a dead letter after three tries, and all others are handled")
    func poison() throws {
        let broker = try EmbeddedBroker(topics: [TopicSpec(name: "t", partitions: 2), TopicSpec(name: "dead", partitions: 2)])
        try Self.send(broker, (0..<200).map { Array("\($0)".utf8) }, partitions: 2)
        let tries = Atomic<Int>(0)
        let run = try Run(broker) { value in
            if value == "77" { tries.wrappingAdd(1, ordering: .relaxed) }
            return value == "77"
        }
        #expect(withDeadline(60) { run.handled.count == 199 && run.service.metrics.counter("vyuha_poison_records_total", "").value == 1 })
        #expect(run.stop() == nil)
        // Once or twice within a batch, three times alone.
        #expect((4...6).contains(tries.load(ordering: .relaxed)))
        #expect(try Self.committed(broker, partitions: 2) == [100, 100])

        let reader = try KafkaConsumer(broker.settings, group: "reader")
        try reader.assign((0..<2).map { PartitionOffset(TopicPartition("dead", $0), PartitionOffset.beginning) })
        var letters = RecordBatch()
        #expect(try withDeadline(10) { try reader.poll(into: &letters, timeout: 50) > 0 })
        let letter = try #require(letters.records.first)
        func text(_ range: Range<Int>?) -> String { range.map { String(decoding: letters.bytes[$0], as: UTF8.self) } ?? "" }
        #expect(letters.count == 1)
        #expect(text(letter.value) == "77")
        #expect(text(letters.header("reason", of: letter)) == DeadLetterReason.failedRepeatedly.rawValue)
        #expect(text(letters.header("source-offset", of: letter)) == "38")
    }

    @Test(
        "a dead letter that the topic refuses for its size is cut and says so; the partition goes on and the loop does not end",
        arguments: [(1, DeliveryGuarantee.atLeastOnce), (4, .atLeastOnce), (3, .exactlyOnce)])
    func largeLetter(refusals: Int, delivery: DeliveryGuarantee) throws {
        let broker = try EmbeddedBroker(topics: [TopicSpec(name: "t", partitions: 1), TopicSpec(name: "dead", partitions: 1)])
        let large = Array("large ".utf8) + [UInt8](repeating: 120, count: 399_994)
        try Self.send(broker, [Array("a".utf8), large, Array("b".utf8)], partitions: 1)
        // Nothing is produced from now on but the letter.
        broker.refuseAsTooLarge(requests: refusals)
        let run = try Run(broker, delivery: delivery) { $0.hasPrefix("large") }
        #expect(withDeadline(60) { run.handled.count == 2 })
        #expect(run.stop() == nil)
        // The mock cluster does not store the offsets of a transaction.
        if delivery == .atLeastOnce { #expect(try Self.committed(broker, partitions: 1) == [3]) }
        let reader = try KafkaConsumer(broker.settings, group: "reader")
        try reader.assign([PartitionOffset(TopicPartition("dead", 0), PartitionOffset.beginning)])
        var letters = RecordBatch()
        #expect(try withDeadline(10) { try reader.poll(into: &letters, timeout: 50) > 0 })
        let letter = try #require(letters.records.first)
        func text(_ range: Range<Int>?) -> String { range.map { String(decoding: letters.bytes[$0], as: UTF8.self) } ?? "" }
        #expect(text(letters.header("original-size", of: letter)) == "400000")
        // A transaction that had to be aborted for another reason too, as a rebalance on a busy machine, has used a refusal up without a cut.
        let cuts = delivery == .exactlyOnce ? 1...refusals : refusals...refusals
        #expect(cuts.contains { letter.value?.count == 400_000 >> $0 })
        #expect(text(letter.value).hasPrefix("large xxx"))
        #expect(text(letters.header("source-offset", of: letter)) == "1")
        #expect(text(letters.header("detail", of: letter)).contains("Stumbled"))
    }

    @Test("records that retention deleted before they were read are counted, and reading goes on with the oldest that is left")
    func retention() throws {
        let broker = try EmbeddedBroker(topics: [TopicSpec(name: "t", partitions: 1), TopicSpec(name: "dead", partitions: 1)])
        let kafka = broker.settings
        // The mock cluster keeps about 5 MB of a partition.
        try Self.send(broker, (0..<200).map { Array("\($0) ".utf8) + [UInt8](repeating: 120, count: 100_000) }, partitions: 1)
        let partition = TopicPartition("t", 0)
        let reader = try KafkaConsumer(kafka, group: "g")
        let oldest = try reader.watermarks(partition, cached: false).low
        try #require(oldest > 10)
        try reader.commit([PartitionOffset(partition, 5)], wait: true)
        reader.close()
        let run = try Run(broker)
        #expect(withDeadline(60) { run.handled.values.reduce(0, +) == 200 - Int(oldest) })
        #expect(run.service.metrics.counter("vyuha_expired_records_total", "").value == Int(oldest) - 5)
        #expect(run.stop() == nil)
        #expect(try Self.committed(broker, partitions: 1) == [200])
    }

    @Test("a broker that goes away and comes back costs nothing but time")
    func brokerAway() throws {
        let broker = try EmbeddedBroker(topics: [TopicSpec(name: "t", partitions: 4), TopicSpec(name: "dead", partitions: 4)])
        try Self.send(broker, (0..<400).map { Array("a\($0)".utf8) }, partitions: 4)
        let run = try Run(broker, batch: 10)
        #expect(withDeadline(60) { run.handled.count == 400 })
        broker.setDown()
        #expect(withDeadline(10) { run.service.life.secondsSinceTurn ?? 9 < 1 }, "the loop turns while the broker is away")
        broker.setUp()
        try Self.send(broker, (0..<400).map { Array("b\($0)".utf8) }, partitions: 4)
        #expect(withDeadline(60) { run.handled.count == 800 })
        #expect(run.stop() == nil)
        #expect(try Self.committed(broker, partitions: 4) == [200, 200, 200, 200])
    }

    @Test("members that come and go all the time lose no record", .timeLimit(.minutes(4)))
    func rebalanceStorm() throws {
        let broker = try EmbeddedBroker(topics: [TopicSpec(name: "t", partitions: 8), TopicSpec(name: "dead", partitions: 8)])
        let steady = try Run(broker)
        var sent = 0
        var seen: Set<String> = []
        for round in 0..<2 {
            let guests = [try Run(broker), try Run(broker)]
            try Self.send(broker, (sent..<sent + 200).map { Array("\($0)".utf8) }, partitions: 8)
            sent += 200
            #expect(
                withDeadline(60) {
                    guests.forEach { seen.formUnion($0.handled.keys) }
                    return seen.union(steady.handled.keys).count == sent
                }, "round \(round)")
            for guest in guests { #expect(guest.stop() == nil) }
            for guest in guests { seen.formUnion(guest.handled.keys) }
        }
        #expect(withDeadline(60) { seen.union(steady.handled.keys).count == sent })
        // The mock cluster refuses commits until the last guest's leave is dealt with.
        #expect(withDeadline(60) { (try? Self.committed(broker, partitions: 8)) == [Int64](repeating: 50, count: 8) })
        #expect(steady.stop() == nil)
    }
}

/// The counts that outlive a process which its record ends.
@Suite struct PoisonGuardTests {
    private let server: RedisServer
    private let broker: EmbeddedBroker

    init() throws {
        server = try RedisServer(appendOnly: false)
        broker = try EmbeddedBroker()
    }

    /// As a process that was just started has it.
    private func fresh() throws -> PoisonGuard {
        let (settings, service) = try ConsumerLoopTests.service(broker, redis: server.url)
        return PoisonGuard(settings.common, service)
    }

    private static let partition = TopicPartition("t", 1)
    private static func batch(_ offset: Int64) -> RecordBatch {
        RecordBatch.of("t", partition: 1, offset: offset, value: [1])
    }
    private static func spans(_ offset: Int64) -> BatchSpans { BatchSpans(batch(offset), from: CommitLedger()) }

    @Test("a process that dies at the same offset again and again tries its records one by one, the deadly one three times, then never again")
    func deadlyRecord() throws {
        // Three lives that end in a batch.
        for _ in 0..<3 {
            let life = try fresh()
            life.took([PartitionOffset(Self.partition, 40)], batch: 100)
            #expect(!life.suspects(Self.spans(40)))
        }
        // From now on one by one: 40 is handled, 41 is deadly.
        for _ in 0..<3 {
            let life = try fresh()
            life.took([PartitionOffset(Self.partition, 40)], batch: 100)
            #expect(life.suspects(Self.spans(40)))
            #expect(!life.isPoison(Self.batch(40)))
            life.survived(Self.batch(40))
            #expect(!life.isPoison(Self.batch(41)))
        }
        let last = try fresh()
        last.took([PartitionOffset(Self.partition, 40)], batch: 100)
        #expect(!last.isPoison(Self.batch(40)))
        last.survived(Self.batch(40))
        #expect(last.isPoison(Self.batch(41)))
        last.survived(Self.batch(41))
        last.progressed([PartitionOffset(Self.partition, 42)])
        // A later life that reads it again to rebuild its state knows it, and suspects nothing else.
        let later = try fresh()
        later.took([PartitionOffset(Self.partition, 900)], batch: 100)
        #expect(!later.suspects(Self.spans(900)))
        #expect(later.suspects(Self.spans(41)))
        #expect(later.isPoison(Self.batch(41)))
    }

    @Test("a partition that commits is not suspected, however often it changes hands")
    func progress() throws {
        for life in 0..<6 {
            let now = try fresh()
            now.took([PartitionOffset(Self.partition, Int64(life * 10))], batch: 100)
            #expect(!now.suspects(Self.spans(Int64(life * 10))))
        }
        for _ in 0..<6 {
            let now = try fresh()
            now.took([PartitionOffset(Self.partition, 70)], batch: 100)
            now.progressed([PartitionOffset(Self.partition, 71)])
            #expect(!now.suspects(Self.spans(70)))
        }
    }

    @Test("without Redis the tries of this process are counted")
    func withoutRedis() throws {
        let (settings, service) = try ConsumerLoopTests.service(broker)
        let now = PoisonGuard(settings.common, service)
        now.took([PartitionOffset(Self.partition, 0)], batch: 10)
        now.suspect(Self.spans(0))
        #expect(now.suspects(Self.spans(0)))
        for _ in 0..<3 { #expect(!now.isPoison(Self.batch(0))) }
        #expect(now.isPoison(Self.batch(0)))
    }
}
