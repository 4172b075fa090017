import Contracts
import Foundation
import JSON
import KafkaClient
import ServiceKit
import Testing

@testable import VyuhaCtl

/// The observer against librdkafka's mock cluster.
@Suite("The observer")
struct ObserverTests {
    @Test("reads all topics without a group, keeps the books, and records every line")
    func books() throws {
        let facts = RunFacts(
            name: "books", title: "", directory: "/", partitions: 3, sets: ["s"], flowSets: [FlowSet("s", isPerEvent: true)], rate: 1, isFile: true,
            training: nil,
            baseline: (path: "meta.pulse", field: "pulse", direction: .up))
        let broker = try EmbeddedBroker(topics: facts.topicSpecs)
        defer { broker.close() }
        let kafka = broker.settings
        let folder = try TemporaryFolder()
        defer { folder.remove() }

        let observer = Observer(facts, kafka: kafka, start: .beginning, recordDirectory: folder.path)
        observer.begin()
        try produce(facts, kafka)
        #expect(reached(observer) { $0.counts[.alerts] == 1 && $0.counts[.events] == 6 && $0.counts[.deadLetters] == 1 && $0.behind == 0 })
        observer.stop()
        #expect(reached(observer) { _ in observer.finished != nil })
        let account = try #require(observer.finished)

        #expect(account.counts[.features] == 5)
        #expect(account.counts[.scores] == 5)
        #expect(account.doubled[.scores] == 1)
        #expect(account.counts[.anomalies] == 1)
        #expect(account.unsettled == 0)
        #expect(observer.view.unreadable == 1)
        #expect(observer.view.alerts.map(\.title) == ["Zone 1"])
        #expect(Detection(account).recall == 1)
        #expect(account.table.entry(of: IdentityHash.of("e:1"))?.field == 101)
        // An event without an id is named by its place.
        #expect(account.table.entry(of: IdentityHash.of("books.events-2-1"))?.marks.contains(.event) == true)

        // The same figures come of what was recorded.
        let seen = Judgement(account, observer.quality, baseline: facts.baseline)
        let recorded = try RecordedRun(facts, folder: folder.path)
        #expect(recorded.judgement(facts).members == seen.members)
        #expect(recorded.judgement(facts).lines == seen.lines)
        #expect(seen.lines.contains { $0.contains("1 of 1 found") } && seen.detection.judged == 5 && seen.baseline != nil)
        #expect(recorded.unreadable == 1)
        #expect(recorded.account.counts[.events] == account.counts[.events])
        #expect(throws: CommandError.self) { try RecordedRun(facts, folder: folder.path + "/elsewhere") }

        let scores = try lines(folder.file("books.scores.jsonl"))
        #expect(scores.count == 7)
        #expect(scores[0]["value"]?["id"]?.string == "e:0")
        #expect(scores[0]["key"]?.string == "k")
        #expect(scores.contains { $0["value_base64"]?.string == Base64.encode(Array("not json".utf8)[...]) })
        #expect(try lines(folder.file("books.events.jsonl")).contains { $0["headers"]?["id"]?.string == "e:0" })
        let dead = try lines(folder.file("books.dead-letter.jsonl"))
        #expect(dead[0]["key_base64"]?.string == Base64.encode([0xff]))
        #expect(dead[0]["value"]?.isNull == true)
    }

    private func produce(_ facts: RunFacts, _ kafka: KafkaSettings) throws {
        let topics = facts.topics
        var batch = OutgoingBatch(topics: topics.all)
        func send(_ topic: String, _ value: String, id: String? = nil, bytes: [UInt8]? = nil, partition: Int32 = 0) throws {
            let index = try #require(topics.all.firstIndex(of: topic))
            batch.append(topic: index, partition: partition, key: Array("k".utf8), value: Array(value.utf8))
            if let id { batch.header("id", id) }
            if let bytes { batch.header("id", of: bytes, 0..<bytes.count) }
        }
        for number in 0..<3 {
            try send(topics.events, #"{"meta":{"pulse":\#(100 + number)}}"#, id: "e:\(number)", partition: Int32(number % 3))
        }
        try send(topics.events, #"{"no":"id"}"#, partition: 2)
        // An empty id is none, and one that is not UTF-8 is the text that the services make of it.
        try send(topics.events, #"{"no":"id"}"#, bytes: [], partition: 2)
        try send(topics.events, #"{"no":"id"}"#, bytes: Array("Pr".utf8) + [0xFC] + Array("f-7".utf8), partition: 2)
        for id in ["e:0", "e:1", "books.events-2-1", "books.events-2-2", "Pr\u{FFFD}f-7"] { try send(topics.features, #"{"id":"\#(id)","set":"s"}"#) }
        for id in ["e:0", "e:1", "e:1", "books.events-2-1", "books.events-2-2", "Pr\u{FFFD}f-7"] {
            let judged = #""score":0.9,"is_anomaly":\#(id == "e:1"),"entity":"k","event_time":5000"#
            try send(topics.scores, #"{"id":"\#(id)","set":"s",\#(judged)}"#, partition: 0)
        }
        try send(topics.scores, "not json")
        try send(topics.anomalies, #"{"id":"e:1","set":"s"}"#)
        try send(topics.alerts, #"{"id":"e:1","title":"Zone 1","text":"t","alerted_at":5}"#)
        try send(topics.labels, #"{"id":"e:1","label":1,"ignore":false,"entity":"k","event_time":5000,"kind":"odd"}"#)
        let dead = try #require(topics.all.firstIndex(of: topics.deadLetter))
        batch.append(topic: dead, partition: 1, key: [0xff], value: nil)
        batch.header("id", "e:2")
        let producer = try KafkaProducer(kafka)
        try producer.send(batch)
        try producer.flush(timeout: 10_000)
        try producer.close()
    }

    private func reached(_ observer: Observer, _ condition: (ObserverView) -> Bool) -> Bool {
        let deadline = Clock.monotonicSeconds + 10
        while Clock.monotonicSeconds < deadline {
            if condition(observer.view) { return true }
            Clock.sleep(milliseconds: 2)
        }
        return false
    }

    private func lines(_ path: String) throws -> [JSONValue] {
        let text = try String(contentsOfFile: path, encoding: .utf8)
        return try text.split(separator: "\n").map { try JSONValue.parse(String($0)) }
    }
}
