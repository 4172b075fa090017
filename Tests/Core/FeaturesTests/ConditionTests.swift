import Features
import Testing
import Text

@Suite("A feature set that takes some events only")
struct ConditionTests {
    private static let fields = [
        EventField("e", .string), EventField("t", .timestamp, format: .epochMilliseconds), EventField("x", .number, isRequired: false),
        EventField("y", .number, isRequired: false),
    ]
    private static func schema() throws -> EventSchema { try EventSchema(fields: fields, entity: "e", time: "t") }

    /// Everything that remembers: values of the event before, spans of time and of events, windows.
    private static func sets(_ condition: String?, _ name: String, _ x: String) -> [FeatureSetDefinition] {
        [
            FeatureSetDefinition(
                name: name, condition: condition,
                features: [
                    FeatureDefinition("d", "difference(\(x))"), FeatureDefinition("gap", "seconds_since_previous()"),
                    FeatureDefinition("m", "mean(\(x), 10s)"), FeatureDefinition("n", "count(20 events)"),
                    FeatureDefinition("z", "\(x) - m + slope(\(x), 5 events)"),
                ]),
            FeatureSetDefinition(
                name: name + "_window", scope: .window(length: 10_000, slide: 2_000), condition: condition,
                features: [
                    FeatureDefinition("n", "count()"), FeatureDefinition("m", "mean(\(x))"), FeatureDefinition("s", "mean(difference(\(x)))"),
                ]),
        ]
    }

    private typealias Event = (entity: String, time: Int64, x: Double, y: Double)

    /// Events of two kinds and of neither, some late within bounds.
    private static func events(_ seed: UInt64) -> [Event] {
        var random = SplitMix64(seed: seed)
        return (0..<600).map { number in
            let kind = Int.random(in: 0..<5, using: &random)
            return (
                "e\(Int.random(in: 0..<4, using: &random))", Int64(1_000_000 + number * 150 - Int.random(in: 0..<4_000, using: &random)),
                kind < 3 ? Double.random(in: 0...10, using: &random).rounded() : .nan,
                kind == 2 || kind == 3 ? Double.random(in: 0...10, using: &random).rounded() : .nan
            )
        }
    }

    private static func run(_ state: PartitionState, _ events: some Sequence<Event>, isEnd: Bool = true) -> [Record] {
        var emissions = Emissions()
        for event in events {
            let outcome = state.apply(
                row: [0, Double(event.time), event.x, event.y], entity: Array(event.entity.utf8), eventTime: event.time, into: &emissions)
            #expect(outcome == .applied)
        }
        if isEnd { state.finish(into: &emissions) }
        return Record.all(emissions)
    }

    private static let time = EventTimeRules(outOfOrderness: 5_000, allowedLateness: 5_000)

    @Test("has the records that it would have if there were no other events, to the bit", arguments: 1...8 as ClosedRange<UInt64>)
    func alone(_ seed: UInt64) throws {
        let all = Self.events(seed)
        let plan = try FeaturePlan(
            schema: Self.schema(),
            sets: Self.sets("not is_missing(x)", "a", "x") + Self.sets("y > 3 and not is_missing(y)", "b", "y") + Self.sets(nil, "c", "x"),
            time: Self.time)
        let state = PartitionState(plan: plan)
        // Half of them go through a snapshot.
        var records = Self.run(state, all.prefix(300), isEnd: false)
        var bytes: [UInt8] = []
        state.writeSnapshot(.full, into: &bytes)
        let restored = PartitionState(plan: plan)
        try restored.restore(bytes)
        records += Self.run(restored, all.dropFirst(300))

        let parts: [(String, String, [Event])] = [
            ("a", "x", all.filter { !$0.x.isNaN }), ("b", "y", all.filter { $0.y > 3 }), ("c", "x", all),
        ]
        for (number, part) in parts.enumerated() {
            let own = try FeaturePlan(schema: Self.schema(), sets: Self.sets(nil, part.0, part.1), time: Self.time)
            let expected = Self.run(PartitionState(plan: own), part.2)
            for set in 0..<2 {
                func ordered(_ records: [Record], _ set: Int) -> [String] {
                    records.filter { $0.set == set }.map { "\($0.entity) \($0.times) \($0.bits)" }
                }
                let (found, wanted) = (ordered(records, number * 2 + set), ordered(expected, set))
                // Windows close when any event's time says so, and in another order of entities.
                #expect(set == 0 ? found == wanted : found.sorted() == wanted.sorted())
                #expect(!wanted.isEmpty)
            }
        }
    }

    @Test("The books know which sets take an event, and an evaluator too") func kinds() throws {
        let set = { FeatureSetDefinition(name: $0, condition: $1, features: [FeatureDefinition("f", "1 + 1")]) }
        let plan = try FeaturePlan(
            schema: Self.schema(), sets: [set("a", "not is_missing(x)"), set("b", "y > 3"), set("all", nil)])
        #expect(plan.sets.map(\.isConditional) == [true, true, false])
        let kinds = try #require(EventKinds(plan))
        func taking(_ text: String) -> UInt64 {
            let bytes = Array(text.utf8)
            return kinds.sets(bytes, 0..<bytes.count) & 7
        }
        #expect(taking(#"{"e":"a","t":1,"x":1}"#) == 0b101)
        #expect(taking(#"{"e":"a","t":1,"y":4}"#) == 0b110)
        #expect(taking(#"{"e":"a","t":1,"y":3}"#) == 0b100, "not true")
        #expect(taking(#"{"e":"a","t":1}"#) == 0b100, "missing is not true")
        #expect(taking(#"{"e":"a"}"#) == 0b111, "what is refused is nobody's business here")
        #expect(EventKinds(try FeaturePlan(schema: Self.schema(), sets: [set("all", nil)])) == nil)
        var vector: [Double] = []
        let evaluator = FeatureEvaluator(plan: plan, set: 1)
        #expect(evaluator.compute([0, 1, .nan, 4], into: &vector))
        #expect(!evaluator.compute([0, 1, 4, .nan], into: &vector))
    }

    @Test("The condition is part of the plan's fingerprint") func fingerprint() throws {
        let plans = try [nil, "x > 1", "x > 2"].map { try FeaturePlan(schema: Self.schema(), sets: Self.sets($0, "a", "x")).fingerprint }
        #expect(Set(plans).count == 3)
    }

    private static let refused: [(String, String)] = [
        ("x", "Here must be a boolean; this is a number. Compare it, as in x != 0."),
        ("z > 1", "There is no field `z`."),
        ("f > 1", "`when` knows only the event's fields; `f` is a feature of the set."),
        ("mean(x, 10s) > 1", "`when` looks at one event alone, so mean(…) cannot stand in it; use the event's fields."),
        ("count() > 1", "`when` looks at one event alone, so count(…) cannot stand in it; use the event's fields."),
        ("previous(x) > 1", "`when` looks at one event alone, so previous(…) cannot stand in it; use the event's fields."),
    ]

    @Test("What is no boolean of one event is refused", arguments: refused) func refusals(_ condition: String, _ sentence: String) throws {
        let scopes: [FeatureScope] = [.event, .window(length: 1_000, slide: 1_000)]
        for scope in scopes {
            let set = FeatureSetDefinition(name: "s", scope: scope, condition: condition, features: [FeatureDefinition("f", "1 + 1")])
            #expect {
                try FeaturePlan(schema: Self.schema(), sets: [set])
            } throws: { error in
                guard let error = error as? FeaturePlanError else { return false }
                return error.set == "s" && error.feature == "when" && error.error.message.hasPrefix(sentence)
            }
        }
    }
}
