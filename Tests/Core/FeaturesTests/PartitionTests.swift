import Features
import Testing
import Text

/// Everything of an emission, comparable to the bit.
struct Record: Equatable, CustomStringConvertible {
    var set: Int
    var kind: EmissionKind
    var entity: String
    var times: [Int64]
    var bits: [UInt64]
    var revision: UInt32 = 0
    var isLate = false

    var description: String { "\(kind.name) \(set) \(entity) \(times) \(bits.map(Double.init(bitPattern:))) rev \(revision)\(isLate ? " late" : "")" }

    static func all(_ emissions: Emissions) -> [Record] {
        emissions.items.map {
            Record(
                set: $0.set, kind: $0.kind, entity: emissions.entity(of: $0), times: [$0.eventTime, $0.start, $0.end],
                bits: emissions.vector(of: $0).map(\.bitPattern), revision: $0.revision, isLate: $0.isLate)
        }
    }
}

extension PartitionState {
    /// Applies an event of the stream schema and returns what it caused.
    func take(_ event: StreamEvent) -> [Record] {
        var emissions = Emissions()
        let row: [Double] = [0, Double(event.time), event.x, Double(String(event.text.dropFirst())) ?? 0]
        _ = apply(row: row, entity: Array(event.entity.utf8), eventTime: event.time, into: &emissions)
        return Record.all(emissions)
    }

    func end() -> [Record] {
        var emissions = Emissions()
        finish(into: &emissions)
        return Record.all(emissions)
    }

    func move(to time: Int64) -> [Record] {
        var emissions = Emissions()
        advance(to: time, into: &emissions)
        return Record.all(emissions)
    }
}

@Suite("The state of a partition")
struct PartitionTests {
    /// A plan with everything in it.
    static func fullPlan(maximumEntities: Int = 100) throws -> FeaturePlan {
        try FeaturePlan(
            schema: try streamSchema(),
            sets: [
                FeatureSetDefinition(
                    name: "event",
                    features: [
                        FeatureDefinition("d", "difference(x)"), FeatureDefinition("gap", "seconds_since_previous()"),
                        FeatureDefinition("m", "mean(x, 30s)"), FeatureDefinition("q", "quantile(x, 0.9, 7 events)"),
                        FeatureDefinition("z", "(x - m) / std(x, 30s)"),
                    ]),
                FeatureSetDefinition(
                    name: "minute", scope: .window(length: 60_000, slide: 10_000),
                    features: WindowTests.aggregates.enumerated().map { FeatureDefinition("f\($0)", $1) } + [
                        FeatureDefinition("d", "mean(difference(x))")
                    ]
                ),
                FeatureSetDefinition(
                    name: "short", scope: .window(length: 5_000, slide: 5_000), features: [FeatureDefinition("n", "count() / rate()")]),
            ],
            time: EventTimeRules(outOfOrderness: 3_000, allowedLateness: 1_000, maximumEntities: maximumEntities),
            silence: SilenceRules(interval: .learned, flappingCount: 2, stuck: [.init(field: "s", after: 2_000)]))
    }

    @Test("replays to the bit, through full snapshots and changes, with evictions", arguments: [3, 100])
    func replays(_ maximumEntities: Int) throws {
        let plan = try Self.fullPlan(maximumEntities: maximumEntities)
        for seed in 1...3 as ClosedRange<UInt64> {
            let events = randomStream(seed, count: 500, entities: 6, start: -5_000, disorder: 4_000)
            // Before some events a clock decided something: whatever is on record comes again at the same place.
            var clock = SplitMix64(seed: seed + 50)
            let decisions = events.map { _ in clock.next() % 6 == 0 ? Int64(clock.next() % 90_000) : nil }
            func decide(_ i: Int, _ state: PartitionState) -> [Record] {
                guard let pause = decisions[i], let newest = state.newestEventTime else { return [] }
                return state.move(to: newest + pause)
            }
            let whole = PartitionState(plan: plan)
            var expected = events.indices.map { decide($0, whole) + whole.take(events[$0]) }
            expected.append(whole.end())
            var kinds = Set<EmissionKind>()
            for records in expected { for record in records { kinds.insert(record.kind) } }
            #expect(kinds.count >= (maximumEntities > 6 ? 5 : 2), "\(kinds)")
            #expect(expected.contains { $0.contains { $0.revision > 0 } })
            #expect(maximumEntities > 6 || whole.evictedEntities > 0)

            var random = SplitMix64(seed: seed + 100)
            var live = PartitionState(plan: plan)
            var stored: [[UInt8]] = []
            for (i, event) in events.enumerated() {
                #expect(decide(i, live) + live.take(event) == expected[i], "event \(i) of seed \(seed)")
                switch random.next() % 12 {
                case 0, 1:
                    let kind: SnapshotKind = stored.isEmpty || random.next() % 8 == 0 ? .full : .changes
                    var bytes: [UInt8] = []
                    live.writeSnapshot(kind, into: &bytes)
                    stored = kind == .full ? [bytes] : stored + [bytes]
                    // The process dies right here and another one takes over.
                    if random.next() % 2 == 0 {
                        live = PartitionState(plan: plan)
                        for bytes in stored { try live.restore(bytes) }
                    }
                default: break
                }
            }
            #expect(live.end() == expected[events.count])
            #expect(live.evictedEntities == whole.evictedEntities)
            #expect(live.lateEvents == whole.lateEvents)
        }
    }

    @Test("refuses snapshots that are damaged, foreign or out of order, and never crashes on them")
    func refusesSnapshots() throws {
        let plan = try Self.fullPlan()
        let state = PartitionState(plan: plan)
        for event in randomStream(9, count: 60, entities: 3, start: 0, disorder: 100) { _ = state.take(event) }
        var full: [UInt8] = []
        state.writeSnapshot(.full, into: &full)
        _ = state.take(StreamEvent(entity: "e1", time: 10_000_000, x: 1, text: "t1"))
        var changes: [UInt8] = []
        state.writeSnapshot(.changes, into: &changes)

        func reason(_ bytes: [UInt8], _ plan: FeaturePlan) -> SnapshotError.Reason? {
            do {
                try PartitionState(plan: plan).restore(bytes)
                return nil
            } catch {
                return error.reason
            }
        }
        #expect(reason(full, plan) == nil)
        #expect(reason(changes, plan) == .order)
        #expect(reason([], plan) == .damaged)
        #expect(reason(full, try Self.fullPlan(maximumEntities: 7)) == .plan)
        var newer = full
        newer[0] = 9
        var older = full
        older[0] = 0
        #expect(reason(newer, plan) == .version && reason(older, plan) == .version)
        for length in stride(from: 0, to: full.count, by: 97) { #expect(reason(Array(full[..<length]), plan) == .damaged) }
        var random = SplitMix64(seed: 1)
        for _ in 0..<300 {
            var bytes = full
            bytes[Int(random.next() % UInt64(bytes.count))] ^= UInt8(1 + random.next() % 255)
            #expect(reason(bytes, plan) != nil)
        }
    }

    @Test("looking ahead at keys changes nothing")
    func touches() throws {
        let plan = try FeaturePlan(
            schema: try streamSchema(),
            sets: [
                FeatureSetDefinition(name: "w", scope: .window(length: 3000, slide: 1000), features: [FeatureDefinition("m", "mean(x)")])
            ],
            time: EventTimeRules(maximumEntities: 2300))
        let (plain, ahead) = (PartitionState(plan: plan), PartitionState(plan: plan))
        let events = randomStream(8, count: 9000, entities: 2700, start: 0, disorder: 0)
        for batch in stride(from: 0, to: events.count, by: 500) {
            let part = events[batch..<min(batch + 500, events.count)]
            var bytes: [UInt8] = []
            var keys: [Range<Int>] = []
            for event in part {
                let first = bytes.count
                bytes += Array(event.entity.utf8)
                keys.append(first..<bytes.count)
            }
            ahead.touch(bytes, keys)
            for event in part { #expect(plain.take(event) == ahead.take(event)) }
        }
        #expect(plain.evictedEntities > 0)
    }

    @Test("forgets the least recently seen entity first")
    func evicts() throws {
        let plan = try FeaturePlan(
            schema: try streamSchema(),
            sets: [FeatureSetDefinition(name: "e", features: [FeatureDefinition("gap", "seconds_since_previous()")])],
            time: EventTimeRules(maximumEntities: 8))
        let state = PartitionState(plan: plan)
        var random = SplitMix64(seed: 4)
        var order: [String] = []
        var last: [String: Int64] = [:]
        for i in 0..<3000 {
            // Long names as well as short ones, and one that is a prefix of another.
            let number = random.next() % 14
            let name = number % 2 == 0 ? "e\(number)" : String(repeating: "long name ", count: 3) + "\(number)"
            let time = Int64(i) * 1000
            let records = state.take(StreamEvent(entity: name, time: time, x: 0, text: "t0"))
            let gap = records.first.map { Double(bitPattern: $0.bits[0]) } ?? .nan
            #expect(isSame(gap, last[name].map { Double(time - $0) / 1000 } ?? .nan), "event \(i)")
            #expect(records.first?.entity == name)
            order.removeAll { $0 == name }
            order.append(name)
            if order.count > 8 { last[order.removeFirst()] = nil }
            last[name] = time
        }
        #expect(state.entityCount == 8)
        #expect(state.evictedEntities > 100)
    }

    @Test("judges the future against the Kafka timestamp, and is not pushed by it")
    func judgesFuture() throws {
        let plan = try FeaturePlan(
            schema: try streamSchema(),
            sets: [
                FeatureSetDefinition(name: "w", scope: .window(length: 1000, slide: 1000), features: [FeatureDefinition("n", "count()")])
            ],
            time: EventTimeRules(maximumFuture: 60_000))
        let state = PartitionState(plan: plan)
        var emissions = Emissions()
        func apply(_ time: Int64, _ kafka: Int64) -> ApplyOutcome {
            state.apply(row: [0, Double(time), 1, 1], entity: [0x61], eventTime: time, kafkaTimestamp: kafka, into: &emissions)
        }
        #expect(apply(1000, 1000) == .applied)
        #expect(apply(1_000_000, 1500) == .future(by: 938_500))
        #expect(state.watermark == 1000)
        #expect(apply(61_500, 1500) == .applied)
        #expect(apply(1000, 1500) == .late(by: 60_500))
        #expect(apply(9_000_000, -1) == .applied)
        #expect(state.futureEvents == 1 && state.lateEvents == 1)
        #expect(emissions.items.map(\.start) == [1000, 61_000])
    }

    @Test("without windows nothing is late, and an event out of order has no previous one")
    func keepsOrder() throws {
        let plan = try FeaturePlan(
            schema: try streamSchema(),
            sets: [
                FeatureSetDefinition(
                    name: "e", features: [FeatureDefinition("p", "previous(x)"), FeatureDefinition("t", "seconds_since_previous()")])
            ])
        let state = PartitionState(plan: plan)
        var seen: [[Double]] = []
        for (time, x) in [(10_000, 1.0), (12_000, 2.0), (11_000, 3.0), (12_000, 4.0), (13_500, .nan), (14_000, 6.0)] as [(Int64, Double)] {
            seen.append(state.take(StreamEvent(entity: "a", time: time, x: x, text: "t1"))[0].bits.map(Double.init(bitPattern:)))
        }
        let expected: [[Double]] = [[.nan, .nan], [1, 2], [.nan, .nan], [2, 0], [4, 1.5], [.nan, 0.5]]
        for (a, b) in zip(seen, expected) { #expect(zip(a, b).allSatisfy { isSame($0, $1) }, "\(a) \(b)") }
        #expect(state.lateEvents == 0)
    }

    @Test("rolling aggregates equal their definition for every event", arguments: [0, 1500] as [Int64])
    func rolls(_ disorder: Int64) throws {
        let spans: [(String, Int64?, Int?)] = [
            ("30s", 30_000, nil), ("500ms", 500, nil), ("5 events", nil, 5), ("1 event", nil, 1), ("40 events", nil, 40),
        ]
        var features: [FeatureDefinition] = []
        for (s, span) in spans.enumerated() {
            for (i, aggregate) in WindowTests.aggregates.enumerated() {
                features.append(
                    FeatureDefinition("f\(s)_\(i)", String(aggregate.dropLast()) + (aggregate.hasSuffix("()") ? "" : ", ") + span.0 + ")"))
            }
        }
        // Enough slack for the disorder, so that nothing that a span covers was forgotten.
        let plan = try FeaturePlan(
            schema: try streamSchema(), sets: [FeatureSetDefinition(name: "r", features: features)],
            time: EventTimeRules(outOfOrderness: 1_000_000))
        let state = PartitionState(plan: plan)
        var past: [String: [StreamEvent]] = [:]
        for event in randomStream(21, count: 250, entities: 2, start: -30_000, disorder: disorder) {
            let values = state.take(event)[0].bits.map(Double.init(bitPattern:))
            var events = past[event.entity, default: []]
            let index = events.lastIndex { $0.time <= event.time }.map { $0 + 1 } ?? 0
            events.insert(event, at: index)
            past[event.entity] = events
            for (s, span) in spans.enumerated() {
                var covered = Array(events[...index])
                if let count = span.2 { covered = covered.suffix(count) }
                if let time = span.1 { covered.removeAll { $0.time <= event.time - time } }
                let seconds = span.1.map { Double($0) / 1000 } ?? Double(event.time - covered[0].time) / 1000
                let reference = WindowTests.reference(covered, seconds: seconds == 0 ? .nan : seconds)
                for (i, aggregate) in WindowTests.aggregates.enumerated() {
                    let value = values[s * WindowTests.aggregates.count + i]
                    let scale = covered.map { $0.x.isNaN ? 0 : abs($0.x) }.max() ?? 0
                    #expect(
                        WindowTests.isClose(value, reference[i], aggregate, scale), "\(aggregate) over \(span.0): \(value), \(reference[i])"
                    )
                }
            }
        }
    }

    @Test("An evaluator that is given what looks back computes the rest from it and the event") func known() throws {
        let schema = try EventSchema(
            fields: [EventField("e", .string), EventField("t", .timestamp, format: .epochMilliseconds), EventField("x", .number, isRequired: false)],
            entity: "e", time: "t")
        let features = [
            ("x", "x"), ("usual", "mean(x, 10 events)"), ("gap", "x - usual"), ("before", "previous(x)"), ("jump", "abs(x - before)"),
            ("trend", "if(count(30s) < 3, missing, slope(x, 30s))"), ("expected", "coalesce(before, 0) + coalesce(trend, 0)"),
        ].map { FeatureDefinition($0, $1) }
        let plan = try FeaturePlan(schema: schema, sets: [FeatureSetDefinition(name: "s", features: features)])
        #expect(plan.featuresLookingBack == [[1, 3, 5]])
        let evaluator = FeatureEvaluator(plan: plan, set: 0)
        var vector: [Double] = []
        let row = [0, 1_000, 10.0]
        func text() -> String { "\(vector)" }
        evaluator.compute(row, into: &vector)
        #expect(text() == "[10.0, 10.0, 0.0, nan, nan, nan, 0.0]")
        evaluator.compute(row[...], known: [4, 7, 0.5], into: &vector)
        #expect(text() == "[10.0, 4.0, 6.0, 7.0, 3.0, 0.5, 7.5]")
        evaluator.compute(row[...], known: [.nan, .nan, .nan], into: &vector)
        #expect(text() == "[10.0, nan, nan, nan, nan, nan, 0.0]")
        evaluator.compute(row, into: &vector)
        #expect(text() == "[10.0, 10.0, 0.0, nan, nan, nan, 0.0]", "nothing is left of the answer before")
    }
}

@Suite("Silence")
struct SilenceTests {
    private func state(_ rules: SilenceRules) throws -> PartitionState {
        let sets = [FeatureSetDefinition(name: "e", features: [FeatureDefinition("x", "x")])]
        return PartitionState(plan: try FeaturePlan(schema: try streamSchema(), sets: sets, silence: rules))
    }

    private func at(_ entity: String, _ time: Int64, _ x: Double = 0) -> StreamEvent {
        StreamEvent(entity: entity, time: time, x: x, text: "t1")
    }

    @Test("an entity that stops is missing once, and resumes when it is back")
    func tellsMissing() throws {
        let state = try state(SilenceRules(interval: .declared(1000)))
        var told: [String] = []
        for time in stride(from: 0, through: 20_000, by: 500) as StrideThrough<Int64> {
            for record in state.take(at("alive", time)) where record.kind != .event {
                told.append("\(record.kind.name) \(record.entity) \(record.times[0])")
            }
            if time < 3000 || time == 10_000 || time == 11_000 {
                for record in state.take(at("b", time)) where record.kind != .event {
                    told.append("\(record.kind.name) \(record.entity) \(record.times[0]) \(Double(bitPattern: record.bits[0]))")
                }
            }
        }
        #expect(told == ["missing b 5500", "resumed b 10000 7.5", "missing b 14000"])
        #expect(state.move(to: 30_000).map(\.kind) == [.missing])
    }

    @Test("a learned interval is the entity's own")
    func learns() throws {
        let state = try state(SilenceRules(interval: .learned, missedIntervals: 4))
        for i in 0..<60 as Range<Int64> {
            _ = state.take(at("fast", i * 100))
            if i % 10 == 0 { _ = state.take(at("slow", i * 100)) }
        }
        // The slow one has too few gaps to be judged.
        let records = state.move(to: 100_000)
        #expect(records.map(\.entity) == ["fast"])
        #expect(records.first?.times == [6300, 5900, 6300])
    }

    @Test("an entity that comes and goes is flapping")
    func tellsFlapping() throws {
        let state = try state(SilenceRules(interval: .declared(1000), flappingCount: 3, flappingPeriod: 60_000))
        var kinds: [EmissionKind] = []
        for i in 0..<8 as Range<Int64> {
            kinds += state.take(at("a", i * 10_000)).map(\.kind) + state.move(to: i * 10_000 + 9_000).map(\.kind)
        }
        #expect(kinds.filter { $0 == .missing }.count == 8)
        #expect(kinds.filter { $0 == .resumed }.count == 7)
        #expect(kinds.filter { $0 == .flapping }.count == 2)
    }

    @Test("a value that no longer changes is stuck, once")
    func tellsStuck() throws {
        let state = try state(SilenceRules(stuck: [.init(field: "x", after: 3000, events: 4)]))
        var told: [(Int64, [Double])] = []
        for i in 0..<20 as Range<Int64> {
            let x = i < 5 ? Double(i) : i < 12 ? 7 : i == 12 ? .nan : 8
            for record in state.take(at("a", i * 1000, x)) where record.kind == .stuck {
                told.append((record.times[0], record.bits.map(Double.init(bitPattern:))))
            }
        }
        #expect(told.map(\.0) == [8000, 16_000])
        #expect(told.map(\.1) == [[2, 7, 3], [2, 8, 3]])
    }

    @Test("rules that make no sense are refused")
    func refusesRules() throws {
        for rules in [
            SilenceRules(interval: .declared(0)), SilenceRules(missedIntervals: 0.5), SilenceRules(interval: .learned, flappingCount: 1),
            SilenceRules(flappingCount: 3), SilenceRules(stuck: [.init(field: "y", after: 1)]),
            SilenceRules(stuck: [.init(field: "t", after: 1)]),
        ] { #expect(throws: FeaturePlanError.self) { try self.state(rules) } }
    }
}
