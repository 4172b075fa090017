import Quality
import Testing

@Suite("Alarms against truth, by episode")
struct EventMatcherTests {
    private let minute: Int64 = 60_000

    private func matcher() -> EventMatcher { EventMatcher(aftermath: 60_000) }

    @Test("one flagged record finds an episode, and how late is its delay")
    func found() {
        var matcher = matcher()
        for second in Int64(0)...1_000 {
            let time = second * 1_000
            matcher.score(entity: 1, span: time...time, isFlagged: second == 130, now: 0)
            if (100...200).contains(second) { matcher.label(entity: 1, kind: "drift", start: 100_000, end: 200_000, at: time, now: 0) }
        }
        let figures = matcher.figures()
        #expect(figures.episodes == 1)
        #expect(figures.found == 1)
        #expect(figures.precision == 1)
        #expect(figures.delay(quantile: 0.5) == 30)
        #expect(figures.falseAlerts == 0)
    }

    @Test("while the stream runs, an episode that is not over counts once it is found; at the end it is found or missed")
    func underWay() {
        var matcher = matcher()
        matcher.label(entity: 1, kind: "drift", start: 10_000, end: 900_000, at: 10_000, now: 0)
        for second in Int64(0)...30 { matcher.score(entity: 1, span: second * 1_000...second * 1_000, isFlagged: false, now: 0) }
        #expect(matcher.figures(isFinal: false).recall == nil)
        #expect(matcher.figures().recall == 0)
        matcher.score(entity: 1, span: 31_000...31_000, isFlagged: true, now: 0)
        #expect(matcher.figures(isFinal: false).recall == 1)
        #expect(matcher.figures(isFinal: false) == matcher.figures())
        #expect(matcher.settled.episodes == 0)
    }

    @Test("flags before, long after, or of another entity find nothing and are false alerts")
    func missed() {
        var matcher = matcher()
        for entity in [1, 2] as [UInt64] {
            for second in Int64(0)...1_000 {
                let flagged = entity == 2 ? second == 150 : second == 50 || second == 400
                matcher.score(entity: entity, span: second * 1_000...second * 1_000, isFlagged: flagged, now: 0)
            }
        }
        matcher.label(entity: 1, kind: "drift", start: 100_000, end: 200_000, at: 150_000, now: 0)
        let figures = matcher.figures()
        #expect(figures.recall == 0)
        #expect(figures.falseAlerts == 3)
        #expect(figures.precision == 0)
        #expect(figures.falseAlertsPerEntityDay.map { abs($0 - 3 / (2_000.0 / 86_400)) < 1e-9 } == true)
    }

    @Test("a flag in the aftermath is not false, and finds nothing either")
    func aftermath() {
        var matcher = matcher()
        matcher.label(entity: 1, kind: "stuck", start: 0, end: 10_000, at: 5_000, now: 0)
        matcher.score(entity: 1, span: 40_000...40_000, isFlagged: true, now: 0)
        #expect(matcher.figures().falseAlerts == 0)
        #expect(matcher.figures().found == 0)
    }

    @Test("a long alert over two episodes is one true alert, and each episode needs a flag of its own")
    func noPointAdjustment() {
        var matcher = matcher()
        matcher.label(entity: 1, kind: "a", start: 0, end: 10_000, at: 0, now: 0)
        matcher.label(entity: 1, kind: "b", start: 30_000, end: 35_000, at: 30_000, now: 0)
        // Flags on both sides of the second: no more than a minute apart, so one alert, but none inside it.
        matcher.score(entity: 1, span: 5_000...5_000, isFlagged: true, now: 0)
        matcher.score(entity: 1, span: 50_000...50_000, isFlagged: true, now: 0)
        let figures = matcher.figures()
        #expect(figures.alerts == 1)
        #expect(figures.trueAlerts == 1)
        #expect(figures.kinds.map(\.found) == [1, 0])
    }

    @Test("the order of labels and scores does not matter, and a window that overlaps an episode finds it")
    func order() {
        var first = matcher()
        first.label(entity: 1, kind: "spike", start: 65_000, end: 65_000, at: 65_000, now: 0)
        first.score(entity: 1, span: 10_000...70_000, isFlagged: true, now: 0)
        var second = matcher()
        second.score(entity: 1, span: 10_000...70_000, isFlagged: true, now: 0)
        second.label(entity: 1, kind: "spike", start: 65_000, end: 65_000, at: 65_000, now: 0)
        #expect(first.figures() == second.figures())
        #expect(first.figures().found == 1)
        #expect(first.figures().delay(quantile: 1) == 5)
    }

    @Test("what is settled is judged once, as everything at the end would be")
    func settling() {
        var (live, whole) = (matcher(), matcher())
        for second in Int64(0)...4_000 {
            let flagged = second % 1_000 < 5
            for place in [0, 1] {
                let now = Double(second)
                if place == 0 { live.score(entity: 7, span: second * 1_000...second * 1_000, isFlagged: flagged, now: now) }
                if place == 1 { whole.score(entity: 7, span: second * 1_000...second * 1_000, isFlagged: flagged, now: now) }
            }
            if second == 2_000 {
                live.label(entity: 7, kind: "x", start: 2_000_000, end: 2_010_000, at: 2_000_000, now: 2_000)
                whole.label(entity: 7, kind: "x", start: 2_000_000, end: 2_010_000, at: 2_000_000, now: 2_000)
            }
            if second % 50 == 0 { live.settle(now: Double(second)) }
        }
        #expect(live.settled.alerts == 4)
        #expect(live.figures() == whole.figures())
        #expect(whole.figures().alerts == 5)
        #expect(whole.figures().trueAlerts == 1)
    }

    @Test("a detector that flags everything is judged while it does so")
    func everything() {
        var matcher = matcher()
        for second in Int64(0)...8_000 {
            matcher.score(entity: 1, span: second * 1_000...second * 1_000, isFlagged: true, now: Double(second))
            if second % 60 == 0 { matcher.settle(now: Double(second)) }
        }
        #expect(matcher.settled.falseAlerts >= 2)
    }
}
