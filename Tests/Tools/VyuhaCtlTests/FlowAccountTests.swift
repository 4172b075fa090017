import Testing

@testable import VyuhaCtl

@Suite("The books of a run")
struct FlowAccountTests {
    private func id(_ number: Int) -> UInt64 { IdentityHash.of("trips.csv:\(number)") }

    @Test("count each event once, however often its records come")
    func distinct() {
        var account = FlowAccount(startedAt: 1_000)
        for _ in 0..<3 {
            account.event(id(1), producedAt: 1_000, field: .nan)
            account.feature(id(1))
            account.score(id(1), score: 0.5, isAnomaly: false, arrival: 1_002)
        }
        #expect(account.counts[.events] == 1)
        #expect(account.counts[.scores] == 1)
        #expect(account.doubled[.events] == 2)
        #expect(account.doubled[.features] == 2)
        #expect(account.doubled.total == 6)
        #expect(account.unsettled == 0)
    }

    @Test("owe an event a feature and a score, or a dead letter")
    func settled() {
        var account = FlowAccount(startedAt: 0)
        for number in 1...3 { account.event(id(number), producedAt: 0, field: .nan) }
        #expect(account.unsettled == 3)
        account.feature(id(1))
        #expect(account.unsettled == 3)
        account.score(id(1), score: 0.1, isAnomaly: false, arrival: 1)
        #expect(account.unsettled == 2)
        account.deadLetter(id(2))
        #expect(account.unsettled == 1)
        // The score overtakes the feature.
        account.score(id(3), score: 0.1, isAnomaly: false, arrival: 1)
        account.feature(id(3))
        #expect(account.unsettled == 0)
    }

    @Test("owe nothing for a set that does not take the event, in whichever order the records are read")
    func conditional() {
        var account = FlowAccount(startedAt: 0, sets: [FlowSet("a", isPerEvent: true), FlowSet("b", isPerEvent: true)])
        account.event(id(1), producedAt: 0, field: .nan, taking: 0b01)
        #expect(account.unsettled == 1)
        account.feature(id(1), set: 0)
        account.score(id(1), set: 0, score: 0.1, isAnomaly: false, arrival: 1)
        #expect(account.unsettled == 0)
        account.feature(id(2), set: 1)
        account.score(id(2), set: 1, score: 0.1, isAnomaly: false, arrival: 1)
        for _ in 0..<2 { account.event(id(2), producedAt: 0, field: .nan, taking: 0b10) }
        #expect(account.unsettled == 0)
        account.event(id(3), producedAt: 0, field: .nan, taking: 0)
        #expect(account.unsettled == 0, "nobody takes it")
        account.event(id(4), producedAt: 0, field: .nan)
        #expect(account.unsettled == 1)
        #expect(account.sets.map(\.skipped) == [2, 2])
    }

    @Test("take the latency from the event's timestamp to the arrival, in whichever order the records are read")
    func latency() {
        var account = FlowAccount(startedAt: 1_000_000)
        account.score(id(1), score: 0.1, isAnomaly: false, arrival: 1_000_012.5)
        account.event(id(1), producedAt: 1_000_010, field: .nan)
        account.event(id(2), producedAt: 1_000_020, field: .nan)
        account.score(id(2), score: 0.1, isAnomaly: true, arrival: 1_000_024)
        account.alert(id(1_002), raisedBy: id(2), arrival: 1_000_050)
        #expect(account.latencies(to: .scores) == [2.5, 4])
        #expect(account.latencies(to: .alerts) == [30])
        #expect(FlowAccount.quantile(0.5, of: [2.5, 4]) == 2.5)
        #expect(FlowAccount.quantile(0.99, of: [2.5, 4]) == 4)
        #expect(FlowAccount.quantile(0.99, of: []) == nil)
        let median = account.recent.scoreQuantile(0.5)
        #expect(median.map { abs($0 - 2.5) < 0.1 } == true)
    }

    @Test("tell which ids appear without their event")
    func strays() {
        var account = FlowAccount(startedAt: 0)
        account.feature(id(9))
        account.label(id(8), isAnomaly: true, ignore: false)
        #expect(account.withoutEvent == 1)
        account.event(id(9), producedAt: 0, field: .nan)
        #expect(account.withoutEvent == 0)
    }

    @Test("stay right while the table grows to a hundred thousand events")
    func growth() {
        var account = FlowAccount(startedAt: 0)
        for number in 0..<100_000 { account.event(id(number), producedAt: Int64(number), field: Double(number)) }
        for number in stride(from: 0, to: 100_000, by: 2) {
            account.feature(id(number))
            account.score(id(number), score: 0.5, isAnomaly: false, arrival: Double(number) + 3)
        }
        #expect(account.counts[.events] == 100_000)
        #expect(account.table.count == 100_000)
        #expect(account.unsettled == 50_000)
        #expect(account.table.entry(of: id(77_777))?.producedAt == 77_777)
        #expect(account.table.entry(of: id(100_001)) == nil)
        #expect(account.latencies(to: .scores).count == 50_000)
    }
}

@Suite("The latency histogram")
struct LatencyHistogramTests {
    @Test("quantiles are at most 1.6 % too high", arguments: [0.05, 0.9, 3, 47, 999, 12_345, 3_600_000])
    func precision(_ milliseconds: Double) {
        var histogram = LatencyHistogram()
        histogram.add(milliseconds: milliseconds)
        let found = histogram.quantile(0.5) ?? -1
        #expect(found >= milliseconds - 0.001)
        #expect(found <= milliseconds * 1.016 + 0.001)
    }

    @Test("the quantiles of 1 to 1,000 ms are where they must be")
    func quantiles() {
        var histogram = LatencyHistogram()
        for value in 1...1_000 { histogram.add(milliseconds: Double(value)) }
        #expect(histogram.quantile(0.5).map { abs($0 - 500) < 9 } == true)
        #expect(histogram.quantile(0.99).map { abs($0 - 990) < 17 } == true)
        #expect(LatencyHistogram().quantile(0.5) == nil)
    }

    @Test("negative and absurd values are kept in range")
    func range() {
        var histogram = LatencyHistogram()
        for value in [-5, 0, Double.infinity, Double.nan, 1e300] { histogram.add(milliseconds: value) }
        #expect(histogram.count == 5)
        #expect(histogram.quantile(0) == 0)
    }
}
