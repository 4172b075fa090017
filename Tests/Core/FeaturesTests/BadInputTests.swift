import Contracts
import Features
import Testing
import Text

/// What real streams do wrong, each with what must come of it.
@Suite("Bad input")
struct BadInputTests {
    private static func plan(_ rules: EventTimeRules) throws -> FeaturePlan {
        try FeaturePlan(
            schema: try streamSchema(),
            sets: [
                FeatureSetDefinition(
                    name: "w", scope: .window(length: 60_000, slide: 10_000),
                    features: [FeatureDefinition("n", "count()"), FeatureDefinition("sum", "sum(x)")])
            ], time: rules)
    }

    private static func row(_ time: Int64) -> [Double] { [0, Double(time), 1, 0] }

    /// How many events each window of an entity had, by its start.
    private static func counts(_ records: [Record], _ entity: String) -> [Int64: Double] {
        Dictionary(records.filter { $0.entity == entity }.map { ($0.times[1], Double(bitPattern: $0.bits[0])) }) { $0 + $1 + 1_000 }
    }

    @Test("a clock that jumps ahead is refused beyond the limit and pushes nothing; within it, it closes what it passes, once")
    func clockJumps() throws {
        let state = PartitionState(plan: try Self.plan(EventTimeRules(maximumFuture: 60_000)))
        var emissions = Emissions()
        let start: Int64 = 1_700_000_000_000
        for second in 0..<120 as Range<Int64> {
            let time = start + second * 1000
            #expect(state.apply(row: Self.row(time), entity: [0x61], eventTime: time, kafkaTimestamp: time, into: &emissions) == .applied)
            // Each of these would close every window if it counted.
            for ahead in [3_600_000, 86_400_000 * 365] as [Int64] {
                let outcome = state.apply(
                    row: Self.row(time + ahead), entity: [0x62], eventTime: time + ahead, kafkaTimestamp: time, into: &emissions)
                #expect(outcome == .future(by: ahead - 60_000))
            }
        }
        #expect(state.watermark == start + 119_000)
        #expect(state.futureEvents == 240 && state.entityCount == 1)
        // Back by an hour: late, and nothing else happens.
        let back = start - 3_600_000
        #expect(state.apply(row: Self.row(back), entity: [0x61], eventTime: back, kafkaTimestamp: start, into: &emissions) == .late(by: 3_719_000))
        let ahead = start + 179_000
        #expect(state.apply(row: Self.row(ahead), entity: [0x61], eventTime: ahead, kafkaTimestamp: start + 120_000, into: &emissions) == .applied)
        state.finish(into: &emissions)
        let counts = Self.counts(Record.all(emissions), "a")
        #expect(counts.values.allSatisfy { $0 <= 60 }, "a window was emitted twice")
        // Each event is in six windows.
        #expect(counts.values.reduce(0, +) == 121 * 6)
    }

    @Test("a repeated event counts again, since only its identity says that it is one: what is read twice is dropped by its offset")
    func duplicates() throws {
        let state = PartitionState(plan: try Self.plan(EventTimeRules()))
        let event = StreamEvent(entity: "a", time: 5_000, x: 2, text: "t1")
        let records = (0..<3).flatMap { _ in state.take(event) } + state.end()
        #expect(Set(Self.counts(records, "a").values) == [3])
        #expect(records.map { Double(bitPattern: $0.bits[1]) }.allSatisfy { $0 == 6 })
    }

    @Test("disorder by hours is taken within the allowed lateness and refused with its lateness beyond")
    func disorder() throws {
        let hour: Int64 = 3_600_000
        let state = PartitionState(plan: try Self.plan(EventTimeRules(outOfOrderness: hour, allowedLateness: 2 * hour)))
        var emissions = Emissions()
        var random = SplitMix64(seed: 3)
        var (applied, late) = (0, 0)
        for index in 0..<20_000 as Range<Int64> {
            let time = 1_700_000_000_000 + index * 1000 - Int64(random.next() % UInt64(4 * hour))
            switch state.apply(row: Self.row(time), entity: [0x61 + UInt8(index % 3)], eventTime: time, into: &emissions) {
            case .applied: applied += 1
            case .late(let lateness):
                late += 1
                #expect(lateness > 0 && lateness <= hour)
            case .lateForWindows: Issue.record("no set takes each event")
            case .future, .past: Issue.record("without a Kafka timestamp nothing is in the future or the past")
            }
        }
        state.finish(into: &emissions)
        #expect(applied > 10_000 && late > 1_000 && Int(state.lateEvents) == late)
        let records = Record.all(emissions)
        #expect(Set(records.map { "\($0.entity) \($0.times[1])" }).count == records.count, "a window was emitted twice")
        #expect(records.reduce(0) { $0 + Double(bitPattern: $1.bits[0]) } == Double(applied * 6))
    }

    @Test("times in mixed zones are the same instant, a text without a zone is UTC, and what is no time is refused")
    func zones() throws {
        let schema = try EventSchema(fields: [EventField("e", .string), EventField("t", .timestamp)], entity: "e", time: "t")
        let instant: Double = 1_772_355_600_000
        for text in [
            "2026-03-01T09:00:00Z", "2026-03-01T10:00:00+01:00", "2026-03-01T04:00:00-05:00", "2026-03-01T14:30:00+05:30",
            "2026-03-01T09:00:00.000+00:00",
            "2026-02-28T23:00:00-10:00", "2026-03-01T09:00:00",
        ] { #expect(try decode(schema, #"{"e":"a","t":"\#(text)"}"#).get()[1] == instant, "\(text)") }
        for text in ["2026-03-01T09:00:00+25:00", "2026-03-01T09:00:00 CET", "01/03/2026 09:00", "1772355600", "2026-02-30T09:00:00Z", "now"] {
            guard case .failure(let failure) = decode(schema, #"{"e":"a","t":"\#(text)"}"#) else {
                Issue.record("accepted \(text)")
                continue
            }
            #expect(failure.classes == ["t: bad-timestamp"])
        }
    }

    @Test(
        "numbers as strings, and numbers that no double holds, are refused with field and class",
        arguments: [
            (#""72.5""#, "wrong-type"), (#""""#, "wrong-type"), ("1e309", "malformed"), ("-1e400", "malformed"), ("NaN", "malformed"),
            ("Infinity", "malformed"),
            ("0x10", "malformed"), ("01", "malformed"), ("true", "wrong-type"), ("[1]", "wrong-type"), ("null", "missing-field"),
            ("251", "out-of-range"),
            ("1\(String(repeating: "0", count: 400))", "malformed"),
        ])
    func numbers(_ value: String, _ reason: String) throws {
        guard case .failure(let failure) = decode(try soldiers(), #"{"soldier_id":1,"heart_rate":\#(value),"stamina":50,"timestamp":1700000000}"#)
        else {
            Issue.record("accepted \(value)")
            return
        }
        #expect(failure.errors.map(\.reason.rawValue) == [reason])
        #expect(reason == "malformed" || failure.errors.first?.field == "heart_rate")
        #expect(failure.errors.allSatisfy { $0.message.hasSuffix(".") })
    }

    @Test("10,000 new entities a second leave the state bounded, in order of who was seen last, and count each that had to go")
    func flood() throws {
        let rules = EventTimeRules(outOfOrderness: 1_000, maximumEntities: 5_000)
        let state = PartitionState(plan: try Self.plan(rules))
        var emissions = Emissions()
        var panes = 0
        for index in 0..<100_000 as Range<Int64> {
            let time = 1_700_000_000_000 + index / 10
            let name = index % 10 == 0 ? "known-\(index / 10 % 100)" : "new-\(index)"
            #expect(state.apply(row: Self.row(time), entity: Array(name.utf8), eventTime: time, into: &emissions) == .applied)
            if index % 10_000 == 9_999 {
                #expect(state.entityCount <= 5_000)
                panes = max(panes, state.paneCount)
                emissions.removeAll()
            }
        }
        #expect(state.evictedEntities == 90_100 - 5_000)
        #expect(state.evictedWithOpenWindows > 0)
        #expect(panes <= 5_000 * 9)
        #expect(state.byteCount < 8 << 20)
        // Those who kept sending were never among the evicted: their windows hold all of their events.
        state.finish(into: &emissions)
        let known = Record.all(emissions).filter { $0.entity.hasPrefix("known-") }
        #expect(known.count == 600)
        #expect(known.allSatisfy { Double(bitPattern: $0.bits[0]) == 100 })
    }
}

@Suite("Times that cannot be true")
struct ImpossibleTimeTests {
    @Test(
        "A number in another unit than declared is refused, and the sentence names the unit",
        arguments: [
            (TimestampFormat.epochMilliseconds, "1796087640", "did you mean `epoch-seconds`?"),
            (.epochMilliseconds, "1796087640.5", "did you mean `epoch-seconds`?"),
            (.epochMilliseconds, "1796087640000000", "microseconds"), (.epochMilliseconds, "1796087640000000000", "nanoseconds"),
            (.epochSeconds, "1796087640000", "did you mean `epoch-milliseconds`?"), (.epochSeconds, "1796087640000000", "microseconds"),
            (.epochSeconds, "1796087640000000000", "nanoseconds"), (.epochSeconds, "1e30", "1900 to 2200"),
        ])
    func units(_ format: TimestampFormat, _ number: String, _ hint: String) throws {
        let schema = try EventSchema(fields: [EventField("e", .string), EventField("t", .timestamp, format: format)], entity: "e", time: "t")
        guard case .failure(let failure) = decode(schema, #"{"e":"a","t":\#(number)}"#) else {
            Issue.record("accepted \(number)")
            return
        }
        #expect(failure.errors.map(\.reason) == [.badTimestamp])
        #expect(failure.errors[0].message.contains(hint) && failure.errors[0].message.contains("`t` is"), "\(failure.errors[0].message)")
        // What was meant is taken.
        let meant = try EventSchema(
            fields: [EventField("e", .string), EventField("t", .timestamp, format: format == .epochSeconds ? .epochMilliseconds : .epochSeconds)],
            entity: "e", time: "t")
        if hint.hasPrefix("did") {
            let row = try decode(meant, #"{"e":"a","t":\#(number)}"#).get()
            #expect(row[1] >= 1_796_087_640_000 && row[1] <= 1_796_087_640_500)
        }
    }

    @Test("An event too far behind its Kafka timestamp is refused where that is asked for, and moves nothing")
    func past() throws {
        let sets = [FeatureSetDefinition(name: "e", features: [FeatureDefinition("x", "x")])]
        let now: Int64 = 1_796_087_640_000
        for maximum in [nil, 7 * 86_400_000] as [Int64?] {
            let plan = try FeaturePlan(schema: try streamSchema(), sets: sets, time: EventTimeRules(maximumPast: maximum))
            let state = PartitionState(plan: plan)
            var emissions = Emissions()
            let time = now - 8 * 86_400_000
            let outcome = state.apply(row: [0, Double(time), 1, 1], entity: [0x61], eventTime: time, kafkaTimestamp: now, into: &emissions)
            guard maximum != nil else {
                #expect(outcome == .applied)
                continue
            }
            #expect(outcome == .past(by: 86_400_000) && emissions.items.isEmpty && state.newestEventTime == nil)
            #expect(outcome.refusal == .pastTimestamp)
            #expect(outcome.sentence(plan.time) == "The event's time is 8 d behind its Kafka timestamp; `maximum_past` is 7 d.")
        }
    }

    @Test("A lateness is told in the units that people use")
    func sentences() {
        let rules = EventTimeRules(allowedLateness: 10_000)
        #expect(
            ApplyOutcome.late(by: 8_074_000).sentence(rules) == "The event is 2 h 14 min late for its windows; `allowed_lateness` is 10 s.")
        let texts: [(Int64, String)] = [
            (0, "0 s"), (850, "850 ms"), (12_500, "12.5 s"), (60_000, "1 min"), (61_000, "1 min 1 s"), (3_600_000, "1 h"), (90_000_000, "1 d 1 h"),
            (400 * 86_400_000, "400 d"), (1_794_292_086_720, "56 years"), (-5_000, "-5 s"),
        ]
        for (milliseconds, text) in texts { #expect(DurationText.text(milliseconds) == text) }
    }
}
