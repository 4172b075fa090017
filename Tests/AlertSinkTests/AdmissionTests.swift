import Contracts
import RedisClient
import Testing

@testable import AlertSink

@Suite("Admission: deduplicate, cooldown, outbox")
struct AdmissionTests {
    /// One anomaly of a case: when it was produced, its event's offset, and what must become of it.
    struct Step: Sendable, CustomTestStringConvertible {
        let at: Int64
        let offset: Int64
        let expected: Character
        let id: String?

        init(_ at: Int64, _ offset: Int64, _ expected: Character, id: String? = nil) {
            self.at = at
            self.offset = offset
            self.expected = expected
            self.id = id
        }

        var testDescription: String { "\(at)/\(offset)→\(expected)" }
    }

    static let cases: [(String, [Step])] = [
        ("the first is admitted", [Step(0, 0, "a")]),
        ("a second within the cooldown is suppressed", [Step(0, 0, "a"), Step(59_999, 1, "s")]),
        ("at the end of the cooldown it is admitted", [Step(0, 0, "a"), Step(60_000, 1, "a")]),
        (
            "the cooldown counts from the last alert, not from what it suppressed",
            [Step(0, 0, "a"), Step(30_000, 1, "s"), Step(59_000, 2, "s"), Step(60_500, 3, "a"), Step(90_000, 4, "s")]
        ),
        ("the same record again has no effect", [Step(5, 1, "a"), Step(5, 1, "d"), Step(5, 1, "d")]),
        ("an older record has no effect", [Step(5, 1, "a"), Step(70_000, 9, "a"), Step(65_000, 5, "d"), Step(0, 0, "d")]),
        ("the same time with a greater offset is another anomaly", [Step(5, 1, "a"), Step(5, 2, "s")]),
        ("a suppressed one is not counted twice", [Step(0, 1, "a"), Step(9, 2, "s"), Step(9, 2, "d")]),
        ("the event sent again under its id has no effect", [Step(0, 1, "a", id: "x"), Step(70_000, 2, "d", id: "x")]),
        (
            "after a step back of the producer's clock nothing is lost",
            [Step(1_000_000, 1, "a"), Step(900_000, 2, "a"), Step(900_010, 3, "s"), Step(900_010, 3, "d")]
        ),
        ("a small step back is within the cooldown", [Step(1_000_000, 1, "a"), Step(990_000, 2, "s")]),
        ("in a topic that was made anew nothing is lost", [Step(0, 5_000, "a"), Step(70_000, 0, "a"), Step(70_000, 0, "d")]),
        (
            "large times and offsets keep all their digits",
            [
                Step(1_763_718_000_123, 9_007_199_254_740_000, "a"), Step(1_763_718_000_123, 9_007_199_254_740_000, "d"),
                Step(1_763_718_000_123, 9_007_199_254_740_001, "s"),
            ]
        ),
        ("times before 1970 work", [Step(-100_000, 1, "a"), Step(-99_000, 2, "s"), Step(-40_000, 3, "a")]),
    ]

    @Test("The decision about a sequence of one group's anomalies, singly, in one call, and replayed", arguments: cases)
    func decisions(_ name: String, _ steps: [Step]) throws {
        let anomalies = steps.map { anomaly($0.id ?? "\($0.at)/\($0.offset)", at: $0.at, offset: $0.offset) }
        let singly = try Sink()
        for (step, anomaly) in zip(steps, anomalies) {
            var outcome = Admission.Outcome()
            try singly.admission().admit([anomaly], now: 1, &outcome)
            let letter: Character = outcome.admitted == 1 ? "a" : outcome.suppressed == 1 ? "s" : "d"
            #expect(letter == step.expected, "\(name), \(step)")
        }
        let together = try Sink()
        var outcome = Admission.Outcome()
        try together.admission().admit(anomalies, now: 1, &outcome)
        let expected = Admission.Outcome(
            admitted: steps.count { $0.expected == "a" }, suppressed: steps.count { $0.expected == "s" },
            duplicates: steps.count { $0.expected == "d" })
        #expect(outcome == expected)
        #expect(try together.waiting() == expected.admitted)

        let before = try together.client.command("HGETALL", together.keys.alertState(group: "a"))
        for start in anomalies.indices {
            var again = Admission.Outcome()
            try together.admission().admit(Array(anomalies[start...]), now: 2, &again)
            #expect(again == Admission.Outcome(duplicates: anomalies.count - start), "replayed from \(start)")
        }
        #expect(try together.waiting() == expected.admitted)
        #expect(try together.client.command("HGETALL", together.keys.alertState(group: "a")) == before)
    }

    @Test("Groups do not suppress each other")
    func groups() throws {
        let sink = try Sink()
        var outcome = Admission.Outcome()
        try sink.admission().admit(
            (0..<300).map { anomaly("\($0)", group: "g\($0 % 100)", at: Int64($0), offset: Int64($0)) }, now: 1, &outcome)
        #expect(outcome == Admission.Outcome(admitted: 100, suppressed: 200, duplicates: 0))
    }

    @Test("Without a cooldown every new anomaly is an alert")
    func noCooldown() throws {
        let sink = try Sink()
        var outcome = Admission.Outcome()
        try sink.admission(cooldown: 0).admit((0..<10).map { anomaly("\($0)", at: 7, offset: Int64($0)) }, now: 1, &outcome)
        #expect(outcome.admitted == 10)
    }

    @Test("Each receiver's outbox gets the record as it came, where it came from, and how many were suppressed before it")
    func entry() throws {
        let sink = try Sink()
        let admission = sink.admission(receivers: ["r", "other"])
        var outcome = Admission.Outcome()
        let first = anomaly("first", at: 0, offset: 0, partition: 5)
        let last = anomaly("last", at: 60_000, offset: 3, partition: 5)
        try admission.admit([first, anomaly("x", at: 1, offset: 1), anomaly("y", at: 2, offset: 2), last], now: 4_711, &outcome)
        for receiver in ["r", "other"] {
            let outbox = Outbox(sink.client, key: sink.keys.alertOutbox(receiver: receiver), owner: "me")
            let entries = try outbox.read(10, wait: 0)
            #expect(entries.map(\.anomaly) == [first.json, last.json])
            #expect(entries.map(\.suppressed) == [0, 2])
            #expect(entries.map(\.admittedAt) == [4_711, 4_711])
            #expect(entries.map(\.source) == [first.source, last.source])
        }
    }

    @Test("A group without anomalies is forgotten in time")
    func expiry() throws {
        let sink = try Sink()
        try sink.admit(1)
        let left = try #require(try sink.client.command("PTTL", sink.keys.alertState(group: "g0")).integer)
        #expect((3_500_000...3_600_000).contains(left))
    }

    @Test("A full outbox stops admission with an error that may pass; nothing is dropped, doubled or overtaken")
    func backpressure() throws {
        let sink = try Sink()
        let admission = sink.admission(limit: 10)
        let anomalies = (0..<25).map { anomaly("n\($0)", group: "g\($0)", at: 1, offset: Int64($0)) }
        let outbox = try sink.outbox()
        var outcome = Admission.Outcome()
        var delivered: [String] = []
        var refusals = 0
        while true {
            do {
                try admission.admit(anomalies, now: 1, &outcome)
                break
            } catch {
                #expect(error.isRetryable)
                refusals += 1
                #expect(try sink.waiting() == 10)
                for entry in try outbox.read(10, wait: 0) {
                    delivered.append(try Anomaly(parsing: entry.anomaly, 0..<entry.anomaly.count).id)
                    try outbox.finish(entry.id)
                }
            }
        }
        delivered += try outbox.read(10, wait: 0).map { try Anomaly(parsing: $0.anomaly, 0..<$0.anomaly.count).id }
        #expect(delivered == anomalies.map(\.id))
        #expect(outcome.admitted == 25)
        #expect(refusals == 2)
    }

    @Test("What is suppressed or seen before needs no room in the outbox")
    func fullButSuppressed() throws {
        let sink = try Sink()
        let admission = sink.admission(limit: 1)
        var outcome = Admission.Outcome()
        try admission.admit(
            [anomaly("x", at: 1, offset: 1), anomaly("y", at: 2, offset: 2), anomaly("x", at: 1, offset: 1)], now: 1, &outcome)
        #expect(outcome == Admission.Outcome(admitted: 1, suppressed: 1, duplicates: 1))
    }
}
