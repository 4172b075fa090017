import Features
import Testing
import Text

/// One event of a random stream.
struct StreamEvent {
    var entity: String
    var time: Int64
    var x: Double
    var text: String
}

/// A stream with disorder, gaps, bursts, duplicates, missing values and, if asked for, times before 1970.
func randomStream(_ seed: UInt64, count: Int, entities: Int, start: Int64, disorder: Int64) -> [StreamEvent] {
    var random = SplitMix64(seed: seed)
    var clock = start
    var events: [StreamEvent] = []
    for _ in 0..<count {
        switch random.next() % 100 {
        case 0: clock += Int64(random.next() % 200_000)
        case 1...20: break
        default: clock += Int64(random.next() % 700)
        }
        let time = clock - (disorder > 0 ? Int64(random.next() % UInt64(disorder)) : 0)
        let kind = random.next() % 20
        let x = kind == 0 ? Double.nan : kind == 1 ? 1e6 : (Double(random.next() % 2001) - 1000) / 8
        events.append(StreamEvent(entity: "e\(random.next() % UInt64(entities))", time: time, x: x, text: "t\(random.next() % 9)"))
        if random.next() % 25 == 0, let last = events.last { events.append(last) }
    }
    return events
}

/// What is known of the schema of these tests: entity, t, x, s.
func streamSchema() throws -> EventSchema {
    try EventSchema(
        fields: [
            EventField("entity", .string), EventField("t", .timestamp, format: .epochMilliseconds),
            EventField("x", .number, isRequired: false),
            EventField("s", .string),
        ], entity: "entity", time: "t")
}

/// A text as it stands in a row: what the decoder makes of it.
func rowText(_ text: String) throws -> Double {
    try decode(try streamSchema(), #"{"entity":"a","t":0,"s":"\#(text)"}"#).get()[3]
}

struct WindowKey: Hashable, Comparable {
    var start: Int64
    var entity: String

    static func < (a: WindowKey, b: WindowKey) -> Bool { (a.start, a.entity) < (b.start, b.entity) }
}

@Suite("Windows")
struct WindowTests {
    static let aggregates = [
        "count()", "count(x)", "sum(x)", "mean(x)", "std(x)", "min(x)", "max(x)", "range(x)", "first(x)", "last(x)", "slope(x)", "rate()",
        "rate(x)",
        "quantile(x, 0.9)", "median(x)", "distinct(s)", "mean(x > 0)",
    ]

    /// The aggregates of some events by their definitions, in the order of arrival.
    static func reference(_ events: [StreamEvent], seconds: Double) -> [Double] {
        let valid = events.filter { !$0.x.isNaN }
        let n = Double(valid.count)
        let sum = valid.reduce(0) { $0 + $1.x }
        let mean = sum / n
        let sorted = valid.map(\.x).sorted()
        var first = valid.first
        var last = valid.first
        for event in valid {
            if let f = first, event.time < f.time { first = event }
            if let l = last, event.time >= l.time { last = event }
        }
        let origin = valid.first?.time ?? 0
        let times = valid.map { Double($0.time - origin) / 1000 }
        let meanTime = times.reduce(0, +) / n
        let squares = times.reduce(0) { $0 + ($1 - meanTime) * ($1 - meanTime) }
        let products = zip(times, valid).reduce(0) { $0 + ($1.0 - meanTime) * ($1.1.x - mean) }
        let none = valid.isEmpty
        func quantile(_ q: Double) -> Double { none ? .nan : sorted[Int((q * (n - 1)).rounded(.down))] }
        return [
            Double(events.count), n, none ? .nan : sum, mean, (valid.reduce(0) { $0 + ($1.x - mean) * ($1.x - mean) } / n).squareRoot(),
            sorted.first ?? .nan, sorted.last ?? .nan, none ? .nan : (sorted.last ?? 0) - (sorted.first ?? 0), first?.x ?? .nan,
            last?.x ?? .nan,
            Set(times).count < 2 ? .nan : products / squares, Double(events.count) / seconds, none ? .nan : sum / seconds, quantile(0.9),
            quantile(0.5),
            Double(Set(events.map(\.text)).count), Double(valid.filter { $0.x > 0 }.count) / n,
        ]
    }

    static func isClose(_ value: Double, _ expected: Double, _ expression: String, _ scale: Double) -> Bool {
        if value.isNaN || expected.isNaN { return value.isNaN && expected.isNaN }
        let tolerance =
            expression.hasPrefix("quantile") || expression == "median(x)" ? 0.0101 * abs(expected) : 1e-9 * max(1, abs(expected), scale)
        return abs(value - expected) <= tolerance
    }

    struct Shape: CustomTestStringConvertible, Sendable {
        var length: Int64, slide: Int64, outOfOrderness: Int64, lateness: Int64, disorder: Int64, start: Int64
        var testDescription: String { "\(length)/\(slide) ms, disorder \(disorder) against \(outOfOrderness) + \(lateness), from \(start)" }
    }

    static let shapes = [
        Shape(length: 10_000, slide: 10_000, outOfOrderness: 0, lateness: 0, disorder: 0, start: 1_000_000),
        Shape(length: 60_000, slide: 10_000, outOfOrderness: 2_000, lateness: 0, disorder: 2_000, start: 1_700_000_000_123),
        Shape(length: 60_000, slide: 10_000, outOfOrderness: 1_000, lateness: 3_000, disorder: 9_000, start: -40_000),
        Shape(length: 15_000, slide: 10_000, outOfOrderness: 500, lateness: 500, disorder: 2_000, start: -1_000_000_000),
        Shape(length: 7_001, slide: 3, outOfOrderness: 100, lateness: 0, disorder: 90, start: 5),
        Shape(length: 60_000, slide: 1_000, outOfOrderness: 30_000, lateness: 10_000, disorder: 45_000, start: 0),
        Shape(length: 1_000, slide: 700, outOfOrderness: 5_000, lateness: 0, disorder: 6_000, start: -3_333),
    ]

    @Test("equal the brute-force reference on random streams, in every aggregate", arguments: shapes)
    func equalReference(_ shape: Shape) throws {
        let schema = try streamSchema()
        let set = FeatureSetDefinition(
            name: "w", scope: .window(length: shape.length, slide: shape.slide),
            features: Self.aggregates.enumerated().map { FeatureDefinition("f\($0)", $1) })
        let rules = EventTimeRules(outOfOrderness: shape.outOfOrderness, allowedLateness: shape.lateness)
        let plan = try FeaturePlan(schema: schema, sets: [set], time: rules)
        let isFine = shape.slide < 100
        for seed in 1...3 as ClosedRange<UInt64> {
            let events = randomStream(seed, count: isFine ? 12 : 300, entities: 4, start: shape.start, disorder: shape.disorder)
            let state = PartitionState(plan: plan)
            var emissions = Emissions()
            var emitted: [WindowKey: [Double]] = [:]
            var accepted: [StreamEvent] = []
            var newest = Int64.min
            var lastEnd = Int64.min
            func collect(_ horizon: Int64?) {
                for item in emissions.items {
                    let key = WindowKey(start: item.start, entity: emissions.entity(of: item))
                    #expect(emitted.updateValue(emissions.vector(of: item), forKey: key) == nil, "\(key) was emitted twice")
                    #expect(item.end == item.start + shape.length && item.start % shape.slide == 0)
                    #expect(item.end >= lastEnd)
                    lastEnd = item.end
                    if let horizon { #expect(item.end <= horizon) }
                }
                emissions.removeAll()
            }
            for event in events {
                let row = [0, Double(event.time), event.x, try textCode(event.text)]
                let outcome = state.apply(row: row, entity: Array(event.entity.utf8), eventTime: event.time, into: &emissions)
                let horizon = newest == .min ? Int64.min : newest - shape.outOfOrderness - shape.lateness
                if event.time < horizon {
                    #expect(outcome == .late(by: horizon - event.time))
                    #expect(emissions.items.isEmpty)
                } else {
                    #expect(outcome == .applied)
                    accepted.append(event)
                    newest = max(newest, event.time)
                    collect(newest - shape.outOfOrderness - shape.lateness)
                }
            }
            state.finish(into: &emissions)
            collect(nil)
            #expect(state.paneCount == 0, "panes are left after the end")
            var expected: [WindowKey: [StreamEvent]] = [:]
            for event in accepted {
                var start = event.time - modulo(event.time, shape.slide)
                while start + shape.length > event.time {
                    expected[WindowKey(start: start, entity: event.entity), default: []].append(event)
                    start -= shape.slide
                }
            }
            #expect(Set(expected.keys) == Set(emitted.keys))
            for (key, events) in expected {
                guard let values = emitted[key] else { continue }
                let reference = Self.reference(events, seconds: Double(shape.length) / 1000)
                let scale = events.map { $0.x.isNaN ? 0 : abs($0.x) }.max() ?? 0
                for (i, expression) in Self.aggregates.enumerated() where !Self.isClose(values[i], reference[i], expression, scale) {
                    Issue.record("\(key) seed \(seed) \(expression): \(values[i]) instead of \(reference[i])")
                }
            }
        }
    }

    @Test("partitions close windows of one end at times of their own, with the same vectors, no later than the close spread says")
    func closeSpread() throws {
        let set = FeatureSetDefinition(name: "w", scope: .window(length: 10_000, slide: 10_000), features: [FeatureDefinition("n", "count()")])
        let rules = EventTimeRules(outOfOrderness: 500, allowedLateness: 1_000, closeSpread: 800)
        let plan = try FeaturePlan(schema: try streamSchema(), sets: [set], time: rules)
        func delay(_ partition: Int32, through snapshot: Bool = false) throws -> Int64 {
            var state = PartitionState(plan: plan, partition: partition)
            var emissions = Emissions()
            for time in stride(from: Int64(0), through: 20_000, by: 10) {
                if snapshot, time == 5_000 {
                    var bytes: [UInt8] = []
                    state.writeSnapshot(.full, into: &bytes)
                    state = PartitionState(plan: plan, partition: partition)
                    try state.restore(bytes)
                }
                let row = [0, Double(time), 1, 0]
                #expect(state.apply(row: row, entity: [97], eventTime: time, into: &emissions) == .applied)
                guard let window = emissions.items.first else { continue }
                #expect(window.end == 10_000 && emissions.vector(of: window) == [1_000])
                return time - window.end - rules.outOfOrderness - rules.allowedLateness
            }
            Issue.record("no window was closed")
            return 0
        }
        let delays = try (0..<32).map { try delay($0) }
        #expect(delays[0] == 0 && delays.allSatisfy { (0...800).contains($0) })
        // Evenly: no hundred milliseconds have more than a fifth of the partitions.
        for from in stride(from: Int64(0), to: 800, by: 100) { #expect(delays.count { (from..<from + 100).contains($0) } <= 6) }
        #expect(try delay(5, through: true) == delays[5])
    }

    private func modulo(_ a: Int64, _ b: Int64) -> Int64 { ((a % b) + b) % b }

    private func textCode(_ text: String) throws -> Double { Double(String(text.dropFirst())) ?? 0 }
}
