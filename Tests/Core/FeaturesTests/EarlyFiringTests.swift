import Features
import Foundation
import Testing
import Text

/// Windows that are emitted because a clock says so, and what becomes of them.
@Suite("Early firing")
struct EarlyFiringTests {
    struct Shape: CustomTestStringConvertible, Sendable {
        var length: Int64, slide: Int64, outOfOrderness: Int64, lateness: Int64
        var testDescription: String { "\(length)/\(slide) ms, \(outOfOrderness) + \(lateness)" }
    }

    static let shapes = [
        Shape(length: 60_000, slide: 60_000, outOfOrderness: 5_000, lateness: 0),
        Shape(length: 60_000, slide: 10_000, outOfOrderness: 0, lateness: 0),
        Shape(length: 15_000, slide: 10_000, outOfOrderness: 500, lateness: 2_500),
        Shape(length: 7_000, slide: 300, outOfOrderness: 0, lateness: 900),
        Shape(length: 1_000, slide: 700, outOfOrderness: 5_000, lateness: 0),
    ]

    static func plan(_ shape: Shape, maximumEntities: Int = 100) throws -> FeaturePlan {
        let features = WindowTests.aggregates.enumerated().map { FeatureDefinition("f\($0)", $1) }
        return try FeaturePlan(
            schema: try streamSchema(),
            sets: [FeatureSetDefinition(name: "w", scope: .window(length: shape.length, slide: shape.slide), features: features)],
            time: EventTimeRules(outOfOrderness: shape.outOfOrderness, allowedLateness: shape.lateness, maximumEntities: maximumEntities))
    }

    /// The last record of each window, and whether the revisions of each count 0, 1, 2, ….
    static func last(_ records: [Record]) -> [WindowKey: Record] {
        var last: [WindowKey: Record] = [:]
        for record in records {
            let key = WindowKey(start: record.times[1], entity: record.entity)
            #expect(record.revision == last[key].map { $0.revision + 1 } ?? 0, "\(record) after \(last[key].map { "\($0)" } ?? "nothing")")
            last[key] = record
        }
        return last
    }

    @Test("An in-order stream in batches with pauses of any length ends with the windows of the undivided one, to the bit", arguments: shapes)
    func batches(_ shape: Shape) throws {
        let plan = try Self.plan(shape)
        for seed in 1...8 as ClosedRange<UInt64> {
            let events = randomStream(seed, count: 250, entities: 3, start: seed % 2 == 0 ? -40_000 : 1_700_000_000_123, disorder: 0)
            let undivided = PartitionState(plan: plan)
            let expected = Self.last(events.flatMap { undivided.take($0) } + undivided.end())
            var random = SplitMix64(seed: seed + 1_000)
            let size = 1 + random.next() % 60
            let state = PartitionState(plan: plan)
            var records: [Record] = []
            for (i, event) in events.enumerated() {
                if i > 0, random.next() % size == 0 {
                    // Anything from less than an event's distance to hours, in one or several decisions.
                    for _ in 0...random.next() % 3 {
                        let pause = Int64(random.next() % (1 << (3 + random.next() % 22)))
                        let time = try #require(state.newestEventTime) + pause
                        let isDue = state.isDue(at: time)
                        let told = state.move(to: time)
                        #expect(isDue || told.isEmpty, "\(told) was not due")
                        #expect(!state.isDue(at: time) && state.move(to: time).isEmpty)
                        records += told
                    }
                }
                records += state.take(event)
            }
            #expect(state.lateEvents == 0)
            let early = records.count { $0.revision > 0 }
            records += state.end()
            var seen = Self.last(records)
            #expect(seed > 1 || early > 0, "nothing was emitted again")
            #expect(seen.count == expected.count)
            for (key, record) in expected {
                seen[key]?.revision = 0
                #expect(seen[key] == record)
            }
            #expect(state.paneCount == 0, "panes are left after the end")
        }
    }

    /// What the design says of a window, computed without panes, merges or tables: every event of every window in a list.
    private struct Reference {
        let shape: Shape
        var events: [WindowKey: [StreamEvent]] = [:]
        var emitted: [WindowKey: UInt32] = [:]
        var changed: Set<WindowKey> = []
        var closed = Int64.min
        var newest = Int64.min
        var late = 0

        /// Keys of what is emitted, with revisions, in any order.
        mutating func take(_ event: StreamEvent) -> [WindowKey: UInt32] {
            if newest != .min, event.time < newest - shape.outOfOrderness - shape.lateness {
                late += 1
                return [:]
            }
            var start = (event.time - event.time % shape.slide)
            if start > event.time { start -= shape.slide }
            while start > event.time - shape.length {
                if start + shape.length > closed {
                    events[WindowKey(start: start, entity: event.entity), default: []].append(event)
                    changed.insert(WindowKey(start: start, entity: event.entity))
                }
                start -= shape.slide
            }
            newest = max(newest, event.time)
            closed = max(closed, newest - shape.outOfOrderness - shape.lateness)
            return emit(upTo: closed)
        }

        mutating func emit(upTo limit: Int64) -> [WindowKey: UInt32] {
            var told: [WindowKey: UInt32] = [:]
            for key in changed where key.start + shape.length <= limit {
                told[key] = emitted[key, default: 0]
                emitted[key, default: 0] += 1
            }
            changed.subtract(told.keys)
            return told
        }
    }

    @Test("Every record, its revision and its values are what the definition says, in disorder and through snapshots", arguments: shapes)
    func equalsReference(_ shape: Shape) throws {
        let plan = try Self.plan(shape)
        for seed in 1...4 as ClosedRange<UInt64> {
            let events = randomStream(seed, count: 200, entities: 3, start: -20_000, disorder: 3_000)
            var reference = Reference(shape: shape)
            var random = SplitMix64(seed: seed + 7)
            var state = PartitionState(plan: plan)
            var stored: [[UInt8]] = []
            func check(_ records: [Record], _ expected: [WindowKey: UInt32]) {
                var told: [WindowKey: UInt32] = [:]
                for record in records {
                    let key = WindowKey(start: record.times[1], entity: record.entity)
                    #expect(told.updateValue(record.revision, forKey: key) == nil)
                    let own = reference.events[key] ?? []
                    let values = WindowTests.reference(own, seconds: Double(shape.length) / 1000)
                    let scale = own.map { $0.x.isNaN ? 0 : abs($0.x) }.max() ?? 0
                    for (i, expression) in WindowTests.aggregates.enumerated() {
                        let value = Double(bitPattern: record.bits[i])
                        #expect(WindowTests.isClose(value, values[i], expression, scale), "\(key) \(expression): \(value), not \(values[i])")
                    }
                }
                #expect(told == expected)
            }
            for event in events {
                if reference.newest != .min, random.next() % 5 == 0 {
                    let time = reference.newest + Int64(random.next() % 90_000)
                    let isIdle = time > reference.newest - shape.outOfOrderness
                    check(state.move(to: time), isIdle ? reference.emit(upTo: time - shape.lateness) : [:])
                }
                check(state.take(event), reference.take(event))
                if random.next() % 9 == 0 {
                    let kind: SnapshotKind = stored.isEmpty || random.next() % 4 == 0 ? .full : .changes
                    var bytes: [UInt8] = []
                    state.writeSnapshot(kind, into: &bytes)
                    stored = kind == .full ? [bytes] : stored + [bytes]
                    state = PartitionState(plan: plan)
                    for bytes in stored { try state.restore(bytes) }
                }
            }
            #expect(Int(state.lateEvents) == reference.late)
            check(state.end(), reference.emit(upTo: .max))
            #expect(state.paneCount == 0)
        }
    }

    @Test("Minutes that arrive every forty seconds in order: three whole windows, nothing late")
    func gateway() throws {
        let plan = try FeaturePlan(
            schema: try streamSchema(),
            sets: [
                FeatureSetDefinition(name: "minute", scope: .window(length: 60_000, slide: 60_000), features: [FeatureDefinition("n", "count()")])
            ],
            time: EventTimeRules(outOfOrderness: 5_000))
        let state = PartitionState(plan: plan)
        var told: [String] = []
        func note(_ records: [Record]) {
            told += records.map { "\($0.times[1] / 60_000):\(Int(Double(bitPattern: $0.bits[0])))/\($0.revision)" }
        }
        for batch in 0..<4 as Range<Int64> {
            for second in 0..<40 as Range<Int64> {
                note(state.take(StreamEvent(entity: "p1", time: (batch * 40 + second) * 1_000, x: 1, text: "t1")))
            }
            // Idle for 40 s; asked every second once 30 are over.
            for silence in stride(from: Int64(30_000), through: 40_000, by: 1_000) {
                let time = try #require(state.newestEventTime) + silence
                if state.isDue(at: time) { note(state.move(to: time)) }
            }
        }
        #expect(state.lateEvents == 0)
        #expect(told == ["0:40/0", "0:60/1", "1:60/0", "2:40/0"])
        #expect(state.end().isEmpty, "what was told and did not change is not told again")
    }

    @Test("A short batch after a long pause is not kept until the next pause is as long")
    func shortBatch() throws {
        let state = PartitionState(plan: try Self.plan(Shape(length: 60_000, slide: 60_000, outOfOrderness: 0, lateness: 0)))
        _ = state.take(StreamEvent(entity: "a", time: 10_000, x: 1, text: "t1"))
        #expect(state.move(to: 7_200_000).map(\.revision) == [0])
        _ = state.take(StreamEvent(entity: "a", time: 50_000, x: 1, text: "t1"))
        #expect(!state.isDue(at: 55_000) && state.isDue(at: 80_000))
        #expect(state.move(to: 80_000).map(\.revision) == [1])
    }

    @Test("An evicted entity leaves no revisions to the one that takes its place")
    func evicts() throws {
        let state = PartitionState(plan: try Self.plan(Shape(length: 60_000, slide: 60_000, outOfOrderness: 0, lateness: 0), maximumEntities: 1))
        for (i, name) in ["a", "b", "a"].enumerated() {
            _ = state.take(StreamEvent(entity: name, time: Int64(i) * 1_000, x: 1, text: "t1"))
            #expect(state.move(to: 70_000).map { "\($0.entity) \($0.revision)" } == ["\(name) 0"])
        }
        #expect(state.end().isEmpty && state.evictedEntities == 2)
    }

    @Test("A clock tells once that an entity is missing, and a batch that comes later in order brings no storm")
    func silence() throws {
        let plan = try FeaturePlan(
            schema: try streamSchema(), sets: [FeatureSetDefinition(name: "e", features: [FeatureDefinition("x", "x")])],
            silence: SilenceRules(interval: .declared(1_000)))
        let state = PartitionState(plan: plan)
        var told: [String] = []
        for batch in 0..<3 as Range<Int64> {
            for second in 0..<40 as Range<Int64> {
                let time = (batch * 40 + second) * 1_000
                told += state.take(StreamEvent(entity: "a", time: time, x: 1, text: "t1")).filter { $0.kind != .event }.map {
                    "\($0.kind.name) \($0.times[0])"
                }
            }
            for pause in [30_000, 31_000, 3_600_000] as [Int64] {
                told += state.move(to: try #require(state.newestEventTime) + pause).map { "\($0.kind.name) \($0.times[0])" }
            }
        }
        #expect(told == ["missing 42000", "resumed 40000", "missing 82000", "resumed 80000", "missing 122000"])
        #expect(state.lateEvents == 0)
    }

    @Test("A snapshot of version 1 is read: what its clock had closed stays closed, and the rest is as it would have been")
    func version1() throws {
        let plan = try FeaturePlan(
            schema: try streamSchema(),
            sets: [
                FeatureSetDefinition(
                    name: "event", features: [FeatureDefinition("d", "difference(x)"), FeatureDefinition("m", "mean(x, 3 events)")]),
                FeatureSetDefinition(
                    name: "hop", scope: .window(length: 6_000, slide: 2_000),
                    features: ["count()", "mean(x)", "std(x)", "slope(x)", "quantile(x, 0.9)", "distinct(s)"].enumerated().map {
                        FeatureDefinition("f\($0)", $1)
                    }),
                FeatureSetDefinition(name: "minute", scope: .window(length: 60_000, slide: 60_000), features: [FeatureDefinition("n", "count()")]),
            ],
            time: EventTimeRules(outOfOrderness: 1_000, allowedLateness: 500, maximumEntities: 10), silence: SilenceRules(interval: .declared(5_000)))
        let bytes = try #require(Data(base64Encoded: Self.version1Snapshot))
        let state = PartitionState(plan: plan)
        try state.restore(Array(bytes))
        #expect(state.newestEventTime == 20_300 && state.entityCount == 2)
        // The clock had gone on to 21,800: windows that end by 21,300 were emitted, once and for all.
        let late = state.take(StreamEvent(entity: "a", time: 21_299, x: 1, text: "t1"))
        #expect(late.map(\.isLate) == [true])
        var records: [String] = []
        for i in 31..<36 as Range<Int64> {
            records += state.take(StreamEvent(entity: i % 3 == 0 ? "b" : "a", time: i * 700, x: Double(i * i % 17), text: "t\(i % 4)")).filter {
                $0.kind == .window
            }.map { "\($0)" }
        }
        records += state.end().map { "\($0)" }
        // As version 1 of the program itself went on.
        #expect(
            records == [
                "window 1 b [22000, 16000, 22000] [2.0, 15.0, 0.0, 0.0, 15.0298817517697, 2.0] rev 0",
                "window 1 a [22000, 16000, 22000] [6.0, 7.833333333333333, 4.524623986832743, 0.23809523809523817, 13.066290498147783, 4.0] rev 0",
                "window 1 b [24000, 18000, 24000] [2.0, 8.0, 7.0, -3.333333333333334, 0.99, 2.0] rev 0",
                "window 1 a [24000, 18000, 24000] [6.0, 6.0, 4.43471156521669, -1.5986394557823136, 8.935418643763573, 4.0] rev 0",
                "window 1 b [26000, 20000, 26000] [1.0, 1.0, 0.0, nan, 0.99, 1.0] rev 0",
                "window 1 a [26000, 20000, 26000] [5.0, 4.4, 3.6110940170535577, -2.155388471177945, 7.924973703917074, 4.0] rev 0",
                "window 1 b [28000, 22000, 28000] [1.0, 1.0, 0.0, nan, 0.99, 1.0] rev 0",
                "window 1 a [28000, 22000, 28000] [3.0, 1.6666666666666667, 1.699673171197595, -1.63265306122449, 0.99, 3.0] rev 0",
                "window 1 a [30000, 24000, 30000] [1.0, 1.0, 0.0, nan, 0.99, 1.0] rev 0",
                "window 2 b [60000, 0, 60000] [11.0] rev 0",
                "window 2 a [60000, 0, 60000] [24.0] rev 0",
            ])
    }

    /// Written by version 0.1.0: two entities with histories and open windows, 30 events 700 ms apart, then a decision of the clock.
    private static let version1Snapshot = """
        AVZZVUhBUFNg8jNYoR1GQwAAAAAAAAAAAAAAAAAAAABMTwAAAAAAAChVAAAAAAAAHgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\
        AAAAAAAAgD4AAAAAAAAAAAAAAAAAAAIAAAAAAAAAAgAAAAAAAAAAAAAAAAAAAAEAAAAAAAAAYhwAAAAAAAAA1EkAAAAAAAAAAAAAAAAuQAwAAAAIAAAADAAA\
        AAUAAAAIAAAAAAAAAAEAAAABAAAAAAAAAAAAAAAAAAAAAAAAAAR0AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAMAAAAAAAAAAwAAAAAAAAABAAAAAAAAAAcAAAAA\
        AAAAAQAAAAAAAAABAAAAAAAAAAAAAAAAADBAAAAAAAAAAABmZmZmZmbmPwAAAAAAAAAAAAAAAAAAAAABAAAAAAAAAAEAAAAAAAAAAQAAAMucAAABAAAAAAAA\
        AIhwFHFNFF/HAAAAAAAAAAAIAAAAAAAAAAEAAAAAAAAAAQAAAAAAAAAAAAAAAAAuQAAAAAAAAAAAmpmZmZmZ6T8AAAAAAAAAAAAAAAAAAAAAAQAAAAAAAAAB\
        AAAAAAAAAAEAAADInAAAAQAAAAAAAACwY0q6XNMkSwAAAAAAAAAACQAAAAAAAAABAAAAAAAAAAEAAAAAAAAAAAAAAAAALkAAAAAAAAAAAM3MzMzMzOw/AAAA\
        AAAAAAAAAAAAAAAAAAEAAAAAAAAAAQAAAAAAAAABAAAAyJwAAAEAAAAAAAAAOKYMptgeXHsAAAAAAAAAAAgAAAAAAAAAAgAAAAAAAAACAAAAAAAAAAAAAAAA\
        AC5AAAAAAAAAAACZmZmZmZn9P6JwPQrXowFAAAAAAAAAAAACAAAAAAAAAAEAAAAAAAAAAgAAAMicAAACAAAAAAAAALBjSrpc0yRLOKYMptgeXHsAAAAAAAAA\
        AAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACgAAAAAAAAAMAAAAAAAAAAAAAAAAaMBAAAAAAAAAIEAAAAAAAILEQAAAAAAAABBAAAAAAACcyEAA\
        AAAAAADwPwAAAAAAtsxAAAAAAAAAMEAAAAAAAGjQQAAAAAAAAC5AAAAAAAB10kAAAAAAAAAuQAEAAAAAAAAAAQAAAAAAAABhHgAAAAAAAABMTwAAAAAAAAAA\
        AAAAACBAAgAAAA0AAAADAAAABgAAAAgAAAAAAAAAAgAAAAIAAAAAAAAAAAAAAAAAAAAAAAAAfHkAAAAAAAAAAAAAAAAAAAAAAAAAAAAABAAAAAAAAAADAAAA\
        AAAAAAEAAAAAAAAABwAAAAAAAAACAAAAAAAAAAIAAAAAAAAAAAAAAAAAIUAAAAAAAADgP2ZmZmZmZuY/W4/C9Shc7z9mZmZmZmbmvwIAAAAAAAAAAgAAAAAA\
        AAABAAAAqJwAAAEAAACunAAAAgAAAAAAAACwY0q6XNMkS9QajTPdc5R+AAAAAAAAAAAIAAAAAAAAAAIAAAAAAAAAAgAAAAAAAAAAAAAAAAAeQAAAAAAAQE5A\
        mZmZmZmZ6T9cj8L1KFzvP87MzMzMzB5AAgAAAAAAAAACAAAAAAAAAAEAAABjnAAAAQAAAMGcAAACAAAAAAAAADimDKbYHlx7iHAUcU0UX8cAAAAAAAAAAAkA\
        AAAAAAAAAgAAAAAAAAACAAAAAAAAAAAAAAAAAB5AAAAAAABATkDOzMzMzMzsP1yPwvUoXO8/zMzMzMzMHsACAAAAAAAAAAIAAAAAAAAAAQAAAGOcAAABAAAA\
        wZwAAAIAAAAAAAAAsGNKulzTJEvUGo0z3XOUfgAAAAAAAAAACgAAAAAAAAABAAAAAAAAAAEAAAAAAAAAAAAAAAAAIEAAAAAAAAAAADMzMzMzM9M/AAAAAAAA\
        AAAAAAAAAAAAAAEAAAAAAAAAAQAAAAAAAAABAAAAqJwAAAEAAAAAAAAAiHAUcU0UX8cAAAAAAAAAAAgAAAAAAAAABAAAAAAAAAAEAAAAAAAAAAAAAAAAAB5A\
        AAAAAABAXkCamZmZmZn9P30UrkfhehlAAAAAAAAA4DwEAAAAAAAAAAIAAAAAAAAAAgAAAGOcAAACAAAAwZwAAAQAAAAAAAAAsGNKulzTJEs4pgym2B5ce9Qa\
        jTPdc5R+iHAUcU0UX8cAAAAAAAAAAAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAFAAAAAAAAAAIAAAAAAAAAAAAAAAAF9FAAAAAAAAAKkAAAAAA\
        AMbRQAAAAAAAACpAAAAAAAAk00AAAAAAAAAAQAAAAAAA09NAAAAAAAAAIEBSqXtkmkA54w==
        """
}

@Suite("Late events")
struct LateEventTests {
    private func plan(_ eventSet: Bool, condition: String? = nil) throws -> FeaturePlan {
        var sets = [FeatureSetDefinition(name: "w", scope: .window(length: 10_000, slide: 10_000), features: [FeatureDefinition("n", "count()")])]
        if eventSet {
            let features = [("x", "x"), ("d", "difference(x)"), ("m", "mean(x, 3 events)"), ("gap", "seconds_since_previous()")]
            sets.append(FeatureSetDefinition(name: "e", condition: condition, features: features.map { FeatureDefinition($0, $1) }))
        }
        return try FeaturePlan(schema: try streamSchema(), sets: sets)
    }

    private func apply(_ state: PartitionState, _ time: Int64, _ x: Double) -> (ApplyOutcome, [Record]) {
        var emissions = Emissions()
        let outcome = state.apply(row: [0, Double(time), x, 1], entity: [0x61], eventTime: time, into: &emissions)
        return (outcome, Record.all(emissions))
    }

    @Test("A late event has vectors of its own, knows no event before it, and leaves no trace")
    func scored() throws {
        let (state, untouched) = (PartitionState(plan: try plan(true)), PartitionState(plan: try plan(true)))
        for (time, x) in [(1_000, 1), (12_000, 2), (25_000, 4)] as [(Int64, Double)] {
            #expect(apply(state, time, x).1 == apply(untouched, time, x).1)
        }
        let (outcome, records) = apply(state, 5_000, 100)
        #expect(outcome == .lateForWindows(by: 20_000))
        #expect(records.count == 1 && records[0].isLate && records[0].set == 1)
        let values = records[0].bits.map(Double.init(bitPattern:))
        #expect(values[0] == 100 && values[1].isNaN && values[2] == 100 && values[3].isNaN)
        #expect(state.lateEvents == 1)
        // An entity that only ever came late is not remembered either.
        var emissions = Emissions()
        #expect(state.apply(row: [0, 1, 1, 1], entity: [0x7A], eventTime: 1, into: &emissions) == .lateForWindows(by: 24_999))
        #expect(state.entityCount == 1)
        for (time, x) in [(26_000, 8), (41_000, 16)] as [(Int64, Double)] { #expect(apply(state, time, x).1 == apply(untouched, time, x).1) }
        #expect(state.end() == untouched.end())
    }

    @Test("What no set can use is late and nothing else: no per-event set, or none that takes it")
    func unused() throws {
        for plan in [try plan(false), try plan(true, condition: "x > 0")] {
            let state = PartitionState(plan: plan)
            _ = apply(state, 25_000, 1)
            let (outcome, records) = apply(state, 5_000, -1)
            #expect(outcome == .late(by: 20_000) && records.isEmpty && state.lateEvents == 1)
        }
        let state = PartitionState(plan: try plan(true, condition: "x > 0"))
        _ = apply(state, 25_000, 1)
        #expect(apply(state, 5_000, 3).0 == .lateForWindows(by: 20_000))
    }
}
