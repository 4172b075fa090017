import Contracts
import Features
import Foundation
import Testing
import Text

/// Short runs of a seeded fuzzer; `VYUHA_FUZZ_CASES` makes them as long as one likes.
@Suite("Whatever the input")
struct FuzzTests {
    static let cases = ProcessInfo.processInfo.environment["VYUHA_FUZZ_CASES"].flatMap(Int.init) ?? 4000

    private static let words = [
        "x", "y", "n", "s", "b", "t", "u", "entity", "z", "f", "g", "and", "or", "not", "true", "false", "missing", "pi", "1", "0", "2.5",
        "1e300", "-", "+",
        "*", "/", "%", "^", "==", "!=", "<", "<=", ">", ">=", "(", ")", ",", "(", ")", ",", "\"red\"", "'a'", "\"UTC\"",
        "\"Europe/Berlin\"", "30s", "5 events",
        "if(", "min(", "max(", "abs(", "log(", "exp(", "sqrt(", "clamp(", "code(", "is_missing(", "coalesce(", "hour(", "hour_sin(",
        "seconds(", "previous(",
        "difference(", "seconds_since_previous()", "mean(", "quantile(", "slope(", "distinct(", "count(", "rate(", "last(", "window_start",
        "\\", "#", "ä", "\"",
    ]

    /// A well-formed expression of a type.
    private static func expression(_ type: Character, _ depth: Int, _ random: inout SplitMix64) -> String {
        func n() -> String { expression("n", depth - 1, &random) }
        func b() -> String { expression("b", depth - 1, &random) }
        func t() -> String { expression("t", depth - 1, &random) }
        let pick = random.next() % 12
        switch type {
        case "b":
            if depth <= 0 { return ["b", "true", "x > 1", "s == \"red\""][Int(pick % 4)] }
            switch pick % 6 {
            case 0: return "(\(b()) and \(b()))"
            case 1: return "(\(b()) or not \(b()))"
            case 2: return "(\(n()) <= \(n()))"
            case 3: return "is_missing(\(t()))"
            case 4: return "if(\(b()), \(b()), missing)"
            default: return "(\(t()) < \(t()))"
            }
        case "t":
            if depth <= 0 { return ["t", "u"][Int(pick % 2)] }
            return ["(\(t()) + \(n()))", "coalesce(u, \(t()))", "previous(\(t()))", "max(\(t()), \(t()))"][Int(pick % 4)]
        default:
            if depth <= 0 { return ["x", "y", "n", "1", "-2.5", "1e300", "pi", "missing", "0"][Int(pick % 9)] }
            switch pick {
            case 0: return "(\(n()) + \(n()))"
            case 1: return "\(n()) * \(n()) ^ 2"
            case 2: return "(\(n()) / \(n()))"
            case 3: return "(\(n()) % (\(n())))"
            case 4: return "if(\(b()), \(n()), \(n()))"
            case 5: return "clamp(\(n()), -5, \(n()))"
            case 6: return "hour_sin(\(t()), \"Europe/Berlin\")"
            case 7: return "(\(t()) - \(t()))"
            case 8: return ["log", "exp", "sqrt", "abs", "floor", "sign", "sin"][Int(random.next() % 7)] + "(\(n()))"
            case 9: return "difference(\(n()))"
            case 10: return "code(s, \"red\", \"a\") + coalesce(\(n()), 0)"
            default: return "min(\(n()), \(n()), 3) + day_of_year(\(t()))"
            }
        }
    }

    private static func value(_ random: inout SplitMix64) -> Double {
        switch random.next() % 6 {
        case 0: .nan
        case 1: 0
        case 2: Double(bitPattern: random.next()).isFinite ? 1e308 : -1e308
        default: Double(Int64(bitPattern: random.next()) % 1000) / 4
        }
    }

    @Test("an expression is either compiled, and then finite or missing for every row, or refused inside of its text")
    func survivesExpressions() throws {
        let schema = try plainSchema()
        var random = SplitMix64(seed: 2026)
        var compiled = 0
        for i in 0..<Self.cases {
            var text: String
            if i % 2 == 0 {
                text = Self.expression(random.next() % 4 == 0 ? "b" : "n", Int(random.next() % 5), &random)
                if random.next() % 4 == 0, !text.isEmpty {
                    let at = text.index(text.startIndex, offsetBy: Int(random.next() % UInt64(text.count)))
                    text.replaceSubrange(at...at, with: Self.words[Int(random.next() % UInt64(Self.words.count))])
                }
            } else {
                text = (0..<Int(random.next() % 12)).map { _ in Self.words[Int(random.next() % UInt64(Self.words.count))] }.joined(
                    separator: " ")
            }
            let scope: FeatureScope = random.next() % 5 == 0 ? .window(length: 30, slide: 20) : .event
            let sets = [
                FeatureSetDefinition(name: "s", scope: scope, features: [FeatureDefinition("f", text), FeatureDefinition("g", "1 + 1")])
            ]
            let plan: FeaturePlan
            do {
                plan = try FeaturePlan(schema: schema, sets: sets, zones: { $0 == "Europe/Berlin" ? .utc : nil })
            } catch {
                #expect(error.error.offset >= 0 && error.error.offset + error.error.length <= text.utf8.count, "\(text): \(error)")
                #expect(!error.error.message.isEmpty)
                continue
            }
            compiled += 1
            let state = PartitionState(plan: plan)
            var emissions = Emissions()
            for k in 0..<3 as Range<Int64> {
                var row = schema.fields.map { _ in Self.value(&random) }
                row[1] = Double(k * 25)
                row[6] = [0, 1, .nan][Int(random.next() % 3)]
                row[7] = random.next() % 2 == 0 ? .nan : 1_700_000_000_000
                _ = state.apply(row: row, entity: [0x61], eventTime: k * 25, into: &emissions)
            }
            state.finish(into: &emissions)
            #expect(!emissions.items.isEmpty)
            #expect(emissions.values.allSatisfy { $0.isNaN || $0.isFinite }, "\(text): \(emissions.values)")
        }
        #expect(compiled > Self.cases / 4)
    }

    @Test("bytes are either an event or refused with at least one reason")
    func survivesEvents() throws {
        let schema = try EventSchema(
            fields: [
                EventField("id", .string), EventField("t", .timestamp),
                EventField("x", .number, path: "m.x", isRequired: false, minimum: -5, below: 9),
                EventField("n", .integer, path: "m.n", isRequired: false, values: [.number(1), .number(2)]),
                EventField("u", .timestamp, isRequired: false, format: .epochSeconds),
                EventField("b", .boolean, defaultValue: .boolean(false)),
            ], entity: "id", time: "t")
        let decoder = EventDecoder(schema: schema, maximumBytes: 4096)
        let seeds = [
            #"{"id":"a\u00e4","t":"2026-11-21T10:17:05.123+01:00","m":{"x":1.5e0,"n":1},"u":1732456789.5,"b":true}"#,
            #"{"id":"a","t":"2026-11-21"}"#, #"{"id":"","t":null,"m":[],"zz":{"y":[1,2,{"a":null}]}}"#,
        ].map { Array($0.utf8) }
        let pieces: [[UInt8]] =
            [
                "{", "}", "[", "]", "\"", ":", ",", "null", "-", "1e999", "\\u0000", "\\ud800", "\"id\":", "9007199254740993", "\u{0}", "ÿ",
                " ",
            ]
            .map { Array($0.utf8) } + [[0xFF], [0xC3], [0xED, 0xA0, 0x80]]
        var random = SplitMix64(seed: 99)
        var good = 0
        for _ in 0..<Self.cases * 2 {
            var bytes = seeds[Int(random.next() % 3)]
            for _ in 0..<random.next() % 4 {
                let at = Int(random.next() % UInt64(bytes.count + 1))
                switch random.next() % 4 {
                case 0: bytes.insert(contentsOf: pieces[Int(random.next() % UInt64(pieces.count))], at: at)
                case 1: bytes.removeSubrange(at..<min(bytes.count, at + Int(random.next() % 8)))
                case 2: if at < bytes.count { bytes[at] = UInt8(truncatingIfNeeded: random.next()) }
                default: bytes.append(contentsOf: bytes[..<min(at, 40)])
                }
            }
            if decoder.decode(bytes) {
                good += 1
                #expect(decoder.errors.isEmpty)
                #expect(!decoder.entity.isEmpty && String(validating: decoder.entity, as: UTF8.self) != nil)
                #expect(Double(decoder.eventTime) == decoder.row[1])
                #expect(decoder.row.allSatisfy { !$0.isInfinite })
            } else {
                #expect(!decoder.errors.isEmpty, "\(String(decoding: bytes, as: UTF8.self))")
            }
        }
        #expect(good > Self.cases / 4)
    }

    @Test("a CSV row of any bytes and ranges is either an event or refused")
    func survivesColumns() throws {
        let schema = try plainSchema()
        let binding = try ColumnBinding(schema: schema, header: schema.fields.map(\.name))
        let decoder = EventDecoder(schema: schema)
        let texts = [
            "", "1", "-1.5e3", "nan", "1e400", "true", "FALSE", "a", "2026-01-01", "0000000000000000000000000000001", "1e-99999999999", ".",
            "+", "é",
        ]
        var random = SplitMix64(seed: 5)
        for _ in 0..<Self.cases {
            var bytes: [UInt8] = []
            var ranges: [Range<Int>] = []
            for _ in 0..<8 + (random.next() % 20 == 0 ? 1 : 0) {
                let start = bytes.count
                bytes += Array(texts[Int(random.next() % UInt64(texts.count))].utf8)
                if random.next() % 10 == 0 { bytes.append(UInt8(truncatingIfNeeded: random.next())) }
                ranges.append(start..<bytes.count)
            }
            let isGood = decoder.decode(columns: bytes, ranges, binding)
            #expect(isGood == decoder.errors.isEmpty)
            if isGood { #expect(decoder.row.allSatisfy { !$0.isInfinite }) }
        }
    }
}
