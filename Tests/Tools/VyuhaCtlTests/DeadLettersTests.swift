import Contracts
import KafkaClient
import Streaming
import Testing

@testable import VyuhaCtl

@Suite("vyuhactl dead-letters")
struct DeadLettersTests {
    private let broker: EmbeddedBroker
    private let scan: DeadLetterScan

    /// Seven letters on two partitions, and a record that is none.
    init() throws {
        let broker = try EmbeddedBroker(topics: [TopicSpec(name: "pumps.dead-letter", partitions: 2)])
        self.broker = broker
        scan = DeadLetterScan(topic: "pumps.dead-letter", kafka: broker.settings)
        let producer = try KafkaProducer(broker.settings)
        var batch = OutgoingBatch(topics: ["pumps.dead-letter"])
        func add(_ number: Int, _ reason: DeadLetterReason, _ field: String, _ stage: DeadLetter.Stage?, size: Int? = nil) {
            let letter = DeadLetter(
                id: "e\(number)", origin: .record(topic: "pumps.events", partition: 3, offset: Int64(number), timestamp: 5), stage: stage,
                reason: reason, field: field, detail: "Sentence \(number).\u{1B}[31m", service: "stream-processor", originalSize: size)
            batch.append(
                topic: 0, partition: Int32(number % 2), key: Array("p\(number % 3)".utf8), value: Array("{\"n\":\(number)}".utf8),
                timestamp: 1_796_000_000_000 + Int64(number) * 60_000)
            batch.headers(of: letter, id: Array(letter.id.utf8))
        }
        for number in 0..<4 { add(number, .outOfRange, "bar, flow", .processing) }
        for number in 4..<6 { add(number, .badTimestamp, "at", .processing) }
        add(6, .tooLarge, "", .source, size: 900)
        batch.append(topic: 0, partition: 0, key: nil, value: Array("x".utf8))
        _ = try producer.send(batch, timeout: 5_000)
        try producer.flush(timeout: 10_000)
    }

    @Test("the newest come first, a limit says how many there are")
    func list() throws {
        let lines = try DeadLetterReport.list(scan, DeadLetterFilter(), limit: 2).split(separator: "\n")
        #expect(lines.count == 4)
        #expect(lines[1].contains("0:3") && lines[1].contains("too-large") && lines[1].contains("source"))
        #expect(lines[2].contains("1:2") && lines[2].contains("bad-timestamp"))
        #expect(lines[3] == "2 of 7 dead letters.")
        #expect(!lines.joined().contains("\u{1B}"), "a text from the stream does nothing to the terminal")
    }

    @Test("filters: reason, stage, one of several fields, key and time")
    func filters() throws {
        func count(_ change: (inout DeadLetterFilter) -> Void) throws -> Int {
            var filter = DeadLetterFilter()
            change(&filter)
            var count = 0
            _ = try scan.run { if filter.takes($0) { count += 1 } }
            return count
        }
        #expect(try count { $0.reason = .badTimestamp } == 2)
        #expect(try count { $0.stage = .source } == 1)
        #expect(try count { $0.field = "flow" } == 4)
        #expect(try count { $0.field = "flo" } == 0)
        #expect(try count { $0.entity = "p0" } == 3)
        #expect(try count { $0.since = 1_796_000_000_000 + 5 * 60_000 } == 2)
        #expect(try count { $0.until = 1_796_000_000_000 + 60_000 } == 1)
    }

    @Test("counts by stage, reason and field, the most first; what is no letter is counted apart")
    func stats() throws {
        let lines = try DeadLetterReport.stats(scan, DeadLetterFilter()).split(separator: "\n")
        #expect(lines.count == 5)
        #expect(lines[1].contains("out-of-range") && lines[1].contains("bar, flow") && lines[1].contains("  4  "))
        #expect(lines[4] == "7 dead letters. 1 records of the topic are none.")
    }

    @Test("one is shown whole, and one that is not there is named")
    func show() throws {
        let text = try DeadLetterReport.show(scan, "0:3")
        #expect(text.hasPrefix("Sentence 6."))
        #expect(text.contains("pumps.events, partition 3, offset 6") && text.contains("the first 7 of 900 bytes") && text.contains("{\"n\":6}"))
        #expect(throws: CommandError.self) { try DeadLetterReport.show(scan, "0:4") }
    }
}
