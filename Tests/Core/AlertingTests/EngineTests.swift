import JSON
import Testing

@testable import Alerting

@Suite("What the stages remember")
struct EngineTests {
    private func timeline() -> AlertTimeline {
        var policy = AlertPolicy()
        policy.groupWait = 0
        return AlertTimeline(AlertEngine(policy), now: midnight)
    }

    @Test("Two anomalies of one entity at one offset, from two feature sets or windows, are two anomalies")
    func sameOffset() {
        var timeline = timeline()
        #expect(timeline.take(sighting("a", midnight, 7, set: "trip", id: "e:7")) != .seenBefore)
        #expect(timeline.take(sighting("a", midnight, 7, set: "recent", id: "e:7")) != .seenBefore)
        #expect(timeline.take(sighting("a", midnight, 7, set: "recent", id: "recent:a:0:10:window")) != .seenBefore)
        #expect(timeline.take(sighting("a", midnight, 7, set: "trip", id: "e:7")) == .seenBefore)
        #expect(timeline.take(sighting("a", midnight, 7, set: "recent", id: "recent:a:0:10:window")) == .seenBefore)
        #expect(timeline.book.groups["a"]?.anomalies == 3)
    }

    @Test("A window that is scored again updates its alert and never doubles it")
    func revisions() {
        var timeline = timeline()
        func window(_ revision: UInt32, offset: Int64, score: Double, start: Int = 0) -> Sighting {
            var sighting = sighting("a", midnight + offset, offset, score: score, set: "minute", id: "minute:a:\(start):60:window")
            (sighting.isWindow, sighting.revision) = (true, revision)
            return sighting
        }
        guard case .raised(let alert) = timeline.take(window(0, offset: 1, score: 0.9)) else {
            Issue.record("no alert")
            return
        }
        #expect(timeline.take(window(1, offset: 2, score: 0.8)) == .joined(alert: alert))
        // The highest revision says how bad it is, also when that is better.
        #expect(timeline.book.groups["a"]?.anomalies == 1 && timeline.book.groups["a"]?.worst == 0.8)
        #expect(timeline.take(window(1, offset: 2, score: 0.8)) == .seenBefore)
        #expect(timeline.take(window(0, offset: 3, score: 0.7, start: 60)) == .joined(alert: alert))
        #expect(timeline.book.groups["a"]?.anomalies == 2 && timeline.book.groups["a"]?.worst == 0.8)
        // A first anomaly may well be a revision: the window was normal before.
        #expect(timeline.take(window(1, offset: 4, score: 0.85, start: 120)) == .joined(alert: alert))
        #expect(timeline.book.groups["a"]?.anomalies == 3)
        // What was told and is over is not begun again by a revision.
        timeline.advance(to: midnight + 86_400_000)
        #expect(timeline.book.groups["a"]?.phase == .quiet)
        let groups = timeline.book.groups
        #expect(timeline.take(window(2, offset: 5, score: 0.9, start: 60)) == .seenBefore)
        #expect(timeline.book.groups == groups)
        guard case .raised(let other) = timeline.take(window(0, offset: 6, score: 0.9, start: 180)) else {
            Issue.record("no second alert")
            return
        }
        #expect(other != alert)
    }

    @Test("What the scorer writes again after a crash has no effect, from wherever it begins", arguments: 0..<20)
    func replay(_ start: Int) {
        var timeline = timeline()
        let all = (0..<20).map { number in
            let set = number % 2 == 0 ? "trip" : "recent"
            return sighting("e\(number % 3)", midnight + Int64(number), Int64(number / 2), set: set)
        }
        for sighting in all { #expect(timeline.take(sighting) != .seenBefore) }
        let groups = timeline.book.groups
        for sighting in all[start...] { #expect(timeline.take(sighting) == .seenBefore) }
        #expect(timeline.book.groups == groups)
    }

    @Test("In a topic that was made anew nothing is taken for a repetition")
    func newTopic() {
        var timeline = timeline()
        timeline.take(sighting("a", midnight, 5_000))
        #expect(timeline.take(sighting("a", midnight + 1_000, 0, id: "n:0")) != .seenBefore)
        #expect(timeline.take(sighting("a", midnight + 1_000, 1, id: "n:1")) != .seenBefore)
        #expect(timeline.take(sighting("a", midnight + 1_000, 1, id: "n:1")) == .seenBefore)
    }

    @Test("A partition's mark survives being written and read")
    func mark() throws {
        var timeline = timeline()
        timeline.take(sighting("a", midnight, 41))
        timeline.take(sighting("b", midnight, 41, id: "x"))
        let mark = try #require(timeline.book.marks[0])
        let read = try #require(SeenMark(text: mark.text))
        #expect(read.offset == 41)
        #expect(read.identities == mark.identities)
        #expect(SeenMark(text: "nonsense") == nil)
    }

    @Test("of a scorer that says the sequence, each record counts once, after a mark of version 0.1.0 too")
    func sequences() throws {
        var timeline = timeline()
        func seen(_ offset: Int64, _ sequence: Int64?, _ set: String = "trip", _ entity: String = "a") -> Bool {
            var sighting = sighting(entity, midnight, offset, set: set, id: "\(entity):\(offset)")
            sighting.sequence = sequence
            return timeline.take(sighting) == .seenBefore
        }
        // As version 0.1.0 stored it, with what it knew of the offset 7.
        #expect(!seen(7, nil, "trip") && !seen(7, nil, "recent") && seen(7, nil, "trip"))
        let stored = try #require(timeline.book.marks[0]).text
        #expect(!stored.contains("s"))
        timeline.book.marks[0] = SeenMark(text: stored)
        #expect(seen(7, 0, "trip") && seen(7, 1, "recent") && !seen(7, 2, "third"))
        #expect(!seen(8, 0) && !seen(8, 1, "recent") && seen(8, 0) && seen(8, 1, "recent") && seen(7, 2, "third"))
        let mark = try #require(timeline.book.marks[0])
        timeline.book.marks[0] = SeenMark(text: mark.text)
        #expect(seen(8, 1, "recent") && !seen(8, 2, "third"))
        // The clock says several things at one place, before the event there.
        #expect(!seen(9, -1, "trip", "a") && !seen(9, -1, "trip", "b") && seen(9, -1, "trip", "a") && !seen(9, 0) && seen(9, -1, "trip", "b"))
    }

    @Test("A group survives being written and read")
    func group() throws {
        var timeline = timeline()
        for number in 0..<5 { timeline.take(sighting("a \"quoted\"", midnight + Int64(number), Int64(number), score: 0.9 + Double(number) / 100)) }
        var group = try #require(timeline.book.groups["a \"quoted\""])
        group.acknowledgedBy = "mé"
        group.acknowledgedAt = midnight
        var writer = JSONWriter()
        group.write(into: &writer)
        var read = try #require(try AlertGroupReader().read(group.key, writer.bytes, evidence: group.evidence))
        read.isChanged = group.isChanged
        read.hasNewEvidence = group.hasNewEvidence
        #expect(read == group)
    }

    @Test("The messages of one alert have the ids 1, 2, 3 …; those of another burst another alert's")
    func ids() throws {
        var timeline = timeline()
        timeline.take(sighting("a", midnight, 1))
        timeline.advance(to: midnight + 3_600_000)
        timeline.take(sighting("a", midnight + 3_600_000, 2))
        let notices = timeline.takeNotices()
        #expect(notices.map(\.occasion) == [.opened, .resolved, .opened])
        #expect(notices[0].id == notices[0].group.alertID + "/1")
        #expect(notices[1].id == notices[0].group.alertID + "/2")
        #expect(notices[2].group.alertID != notices[0].group.alertID)
    }

    @Test(
        "Patterns match as people expect",
        arguments: [
            ("abc", "abc", true), ("abc", "a*", true), ("abc", "*c", true), ("abc", "*", true), ("abc", "a*c", true), ("abc", "a*d", false),
            ("", "*", true), ("", "a", false), ("aXbXc", "a*X*c", true), ("abc", "**", true), ("ab", "abc", false), ("a.c", "abc", false),
        ])
    func patterns(_ text: String, _ pattern: String, _ expected: Bool) {
        #expect(AlertMatcher.matches(text, pattern) == expected)
    }

    @Test("Severity is the highest that score or duration asks for")
    func severity() {
        var policy = AlertPolicy()
        policy.severity = [SeverityRule(.critical, score: 0.99, after: 60_000), SeverityRule(.warning, score: 0.5), SeverityRule(.info)]
        #expect(policy.severity(score: 0.1, duration: 0) == .info)
        #expect(policy.severity(score: 0.5, duration: 0) == .warning)
        #expect(policy.severity(score: 0.99, duration: 0) == .critical)
        #expect(policy.severity(score: 0.1, duration: 60_000) == .critical)
        #expect(AlertPolicy().severity(score: 0.1, duration: 0) == .warning)
    }

    @Test("However long a flood lasts, what is remembered of a group stays small")
    func bounded() throws {
        var timeline = timeline()
        var engine = timeline.engine.policy
        engine.groupBy = []
        timeline.engine = AlertEngine(engine)
        for number in 0..<10_000 { timeline.take(sighting("entity-\(number)", midnight + Int64(number), Int64(number))) }
        var writer = JSONWriter()
        try #require(timeline.book.groups["*"]).write(into: &writer)
        #expect(writer.count < 4_000)
        #expect(timeline.book.marks[0]?.identities.count == 1)
    }
}
