import Features
import Testing

@testable import StreamProcessor

/// The state of a partition whose snapshot is gone, rebuilt from the offset that the committed metadata names.
@Suite("A rebuilt state")
struct RebuildTests {
    private struct Event {
        var entity: [UInt8]
        var time: Int64
        var value: Double
    }

    private static func plan(_ features: [FeatureDefinition] = [], silence: SilenceRules? = nil) throws -> FeaturePlan {
        let schema = try EventSchema(
            fields: [EventField("e", .string), EventField("t", .timestamp, format: .epochMilliseconds), EventField("x", .number)], entity: "e",
            time: "t")
        var sets = [
            FeatureSetDefinition(
                name: "minute", scope: .window(length: 60_000, slide: 10_000),
                features: [FeatureDefinition("n", "count()"), FeatureDefinition("sum", "sum(x)"), FeatureDefinition("last", "last(x)")]),
            FeatureSetDefinition(name: "short", scope: .window(length: 7_000, slide: 7_000), features: [FeatureDefinition("high", "max(x)")]),
        ]
        if !features.isEmpty { sets.append(FeatureSetDefinition(name: "own", features: features)) }
        return try FeaturePlan(schema: schema, sets: sets, time: EventTimeRules(outOfOrderness: 3_000, allowedLateness: 2_000), silence: silence)
    }

    /// A stream with disorder, late events, silence and jumps.
    private static func events(_ seed: UInt64, _ count: Int) -> [Event] {
        var state = seed
        func random(_ bound: UInt64) -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state >> 33) % bound
        }
        var clock: Int64 = 1_700_000_000_000
        return (0..<count).map { _ in
            clock += random(200) == 0 ? Int64(random(90_000)) : Int64(random(300))
            return Event(entity: [0x61 + UInt8(random(12))], time: clock - Int64(random(6_000)), value: Double(random(1_000)) / 8)
        }
    }

    @discardableResult
    private static func apply(_ event: Event, to state: PartitionState, into emissions: inout Emissions) -> ApplyOutcome {
        state.apply(row: [0, Double(event.time), event.value], entity: event.entity, eventTime: event.time, into: &emissions)
    }

    /// Each window to the bit, in no order. (Sums of squares are left out: panes are merged in another order, so their last bits may differ.)
    private static func windows(_ emissions: Emissions) -> [String] {
        emissions.items.map { "\($0.set) \(emissions.entity(of: $0)) \($0.start) \(emissions.vector(of: $0).map(\.bitPattern))" }.sorted()
    }

    @Test("goes on with the same windows as the one that was lost, from few events", arguments: 1...4 as ClosedRange<UInt64>)
    func goesOn(_ seed: UInt64) throws {
        let plan = try Self.plan()
        let events = Self.events(seed, 6_000)
        let original = ProcessorState(plan)
        var ignored = Emissions()
        var replayed = 0
        for (offset, event) in events.enumerated() {
            // As the pipeline does, once for each run of records.
            if offset % 7 == 0 { original.noteOffset(Int64(offset)) }
            Self.apply(event, to: original.partition, into: &ignored)
            ignored.removeAll()
            let committed = offset + 1
            guard committed % 1_500 == 0 else { continue }
            let note = try #require(original.rebuildNote)
            let copy = ProcessorState(plan)
            let start = try #require(copy.beginRebuild(note))
            #expect(start <= committed)
            for event in events[Int(start)..<committed] { Self.apply(event, to: copy.partition, into: &ignored) }
            replayed = committed - Int(start)
            // What is emitted while it is rebuilt was emitted before; from here on both must say the same.
            ignored.removeAll()
            let reference = ProcessorState(plan)
            for event in events[..<committed] { Self.apply(event, to: reference.partition, into: &ignored) }
            var (expected, actual) = (Emissions(), Emissions())
            for event in events[committed...] {
                let outcome = Self.apply(event, to: reference.partition, into: &expected)
                #expect(Self.apply(event, to: copy.partition, into: &actual) == outcome)
            }
            reference.partition.finish(into: &expected)
            copy.partition.finish(into: &actual)
            ignored.removeAll()
            #expect(Self.windows(actual) == Self.windows(expected))
            // A note that is made from the rebuilt state names nothing earlier than it was given.
            #expect(try #require(copy.rebuildNote).split(separator: " ").count == 5)
        }
        #expect(replayed < 1_500, "hardly fewer events than all of them")
    }

    @Test("tells what a clock had told before the snapshot was lost once more, whole, under a higher revision")
    func clock() throws {
        let plan = try Self.plan()
        let events = Self.events(9, 500)
        let original = ProcessorState(plan)
        var emissions = Emissions()
        for event in events { Self.apply(event, to: original.partition, into: &emissions) }
        let newest = try #require(original.partition.newestEventTime)
        emissions.removeAll()
        original.partition.advance(to: newest + 200_000, into: &emissions)
        let told = Self.windows(emissions)
        #expect(!told.isEmpty && original.decisionDue(silence: 300_000) == nil)
        let note = try #require(original.rebuildNote)
        let copy = ProcessorState(plan)
        let start = try #require(copy.beginRebuild(note))
        for event in events[Int(start)...] { Self.apply(event, to: copy.partition, into: &emissions) }
        #expect(copy.rebuildNote == note)
        emissions.removeAll()
        copy.partition.finish(into: &emissions)
        #expect(Self.windows(emissions) == told)
        #expect(emissions.items.allSatisfy { $0.revision == 1 })
    }

    @Test("needs every event where more than windows is remembered, and says so by having no note")
    func everything() throws {
        for plan in [
            try Self.plan([FeatureDefinition("d", "difference(x)")]), try Self.plan([FeatureDefinition("m", "mean(x, 5 events)")]),
            try Self.plan(silence: SilenceRules(interval: .declared(1_000))),
        ] {
            let state = ProcessorState(plan)
            var emissions = Emissions()
            for event in Self.events(2, 100) { Self.apply(event, to: state.partition, into: &emissions) }
            #expect(state.rebuildNote == nil)
            #expect(ProcessorState(plan).beginRebuild("windows 10 - 1700000000000 1700000000000") == nil)
        }
    }

    @Test(
        "is not begun from a note that is not ours",
        arguments: [
            "", "windows", "windows x", "windows 5", "windows 5 -", "windows 5 - 10000", "windows 5 - 10000 7000 0", "windows 5 - 10001 7000",
            "windows -1 - 10000 7000", "offset 5", "windows 5 - 9223372036854775807 7000", "windows 5 - 10000 7000x", "windows 5 x 10000 7000",
            "windows 5 9223372036854775807 10000 7000",
            "windows 5 - 10000/70001/1 7000", "windows 5 - 10000/70000 7000", "windows 5 - 10000/70000/-1 7000", "windows 5 - /70000/1 7000",
            "windows 5 - 10000/9223372036854775807/1 7000",
        ])
    func foreign(_ note: String) throws {
        #expect(ProcessorState(try Self.plan()).beginRebuild(note) == nil)
    }
}
