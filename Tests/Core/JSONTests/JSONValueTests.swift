import JSON
import Testing
import Text

@Suite("A JSON document as a tree")
struct JSONValueTests {
    @Test("what is written is read back equal, whatever it holds")
    func roundTrip() throws {
        var random = SplitMix64(seed: 11)
        for _ in 0..<2000 {
            let value = Self.randomValue(&random, depth: 4)
            #expect(try JSONValue.parse(value.serialized) == value)
            #expect(try JSONValue.parse(value.pretty) == value)
        }
    }

    @Test("numbers of few decimals have the shortest text that reads back, as Swift's own description has it")
    func fewDecimals() {
        var random = SplitMix64(seed: 3)
        var bytes: [UInt8] = []
        for round in 0..<30_000 {
            let number = Int64(truncatingIfNeeded: random.next()) % ([1_000, 1_000_000, 1_000_000_000_000, 3_000_000_000_000][round % 4] as Int64)
            // One in three is the neighbour of such a number, which has many digits.
            var value = Double(number) / 1000
            if round % 3 == 0 { value = value.nextUp }
            guard value.magnitude >= 0.001 else { continue }
            bytes.removeAll()
            NumberText.append(value, to: &bytes)
            let text = "\(value)"
            #expect(String(decoding: bytes, as: UTF8.self) == (text.hasSuffix(".0") ? String(text.dropLast(2)) : text))
        }
    }

    @Test("every finite double reads back as the same bits")
    func doublesRoundTrip() throws {
        var random = SplitMix64(seed: 12)
        var values: [Double] = [
            0.1, 1e21, 1e-7, .leastNonzeroMagnitude, .greatestFiniteMagnitude, .leastNormalMagnitude, -0.0, 1e15, 1e16, 123456789012345680,
        ]
        for _ in 0..<50_000 {
            let value = Double(bitPattern: random.next())
            if value.isFinite { values.append(value) }
        }
        var writer = JSONWriter()
        writer.beginArray()
        for value in values { writer.value(value) }
        writer.endArray()
        let read = try #require(try JSONValue.parse(writer.bytes).array)
        #expect(read.count == values.count)
        for (value, text) in zip(values, read) {
            #expect(text.double?.bitPattern == value.bitPattern)
        }
    }

    @Test(
        "numbers keep their kind",
        arguments: [
            ("0", JSONValue.integer(0)), ("-1", .integer(-1)), ("9223372036854775807", .integer(.max)),
            ("-9223372036854775808", .integer(.min)),
            ("9223372036854775808", .number(9_223_372_036_854_775_808)), ("18446744073709551615", .number(18_446_744_073_709_551_616)),
            ("18446744073709551616", .number(18_446_744_073_709_551_616)), ("-9223372036854775809", .number(-9_223_372_036_854_775_808)),
            ("[123456789012345678901234567890, 1]", .array([.number(1.2345678901234568e29), .integer(1)])),
            ("1.5", .number(1.5)), ("1e3", .number(1000)), ("1E-2", .number(0.01)),
            ("0.12345678901234567890", .number(0.1234567890123456789)),
            ("1e0000000000000000000002", .number(100)),
        ])
    func numberKinds(text: String, value: JSONValue) throws {
        #expect(try JSONValue.parse(text) == value)
    }

    @Test(
        "escapes and surrogate pairs become characters",
        arguments: [
            (#""\u0041\n\t\r\b\f\/\\\"""#, "A\n\t\r\u{8}\u{C}/\\\""), (#""\ud83d\ude00""#, "😀"), (#""\u00e9é""#, "éé"),
            (#""\u0000""#, "\0"),
            (#""日本""#, "日本"),
        ])
    func escapes(text: String, value: String) throws {
        #expect(try JSONValue.parse(text) == .string(value))
    }

    @Test(
        "what is not JSON is refused with a reason",
        arguments: [
            ("", "empty"), ("   ", "empty"), ("{", "fit together"), ("{\"a\":1,}", "fit together"), ("[1 2]", "fit together"),
            ("{} {}", "fit together"), ("nul", "true, false or null"), ("[NaN]", "fit together"), ("[01]", "number"), ("[1e400]", "number"),
            ("[1.]", "number"), ("[+1]", "fit together"), ("\"\\x\"", "escape"), ("\"\\ud800\"", "surrogate"),
            ("\"a\nb\"", "control character"),
            ("\"abc", "closing quote"), ("{\"a\":1,\"a\":2}", "\"a\" occurs twice"), ("\u{FEFF}{}", "fit together"),
            ("{'a':1}", "fit together"),
        ])
    func refused(text: String, reason: String) {
        let error = #expect(throws: JSONError.self) { try JSONValue.parse(text) }
        #expect(error?.message.contains(reason) == true, "\(text): \(error?.message ?? "no error")")
    }

    @Test(
        "bytes that are not UTF-8 are refused",
        arguments: [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xE2, 0x82], [0x80]] as [[UInt8]])
    func invalidUTF8(bytes: [UInt8]) {
        let error = #expect(throws: JSONError.self) { try JSONValue.parse(utf8("[\"") + bytes + utf8("\"]")) }
        #expect(error?.message == "The document is not valid UTF-8.")
    }

    @Test("nesting is bounded")
    func nesting() throws {
        let limit = JSONValue.maximumDepth - 1
        _ = try JSONValue.parse(String(repeating: "[", count: limit) + String(repeating: "]", count: limit))
        for depth in [limit + 2, 100_000] {
            let error = #expect(throws: JSONError.self) {
                try JSONValue.parse(String(repeating: "[", count: depth) + String(repeating: "]", count: depth))
            }
            #expect(error?.message.contains("nested deeper") == true)
        }
    }

    @Test("only the asked range is read, and a range outside the bytes is refused")
    func ranges() throws {
        let bytes = utf8("xx[1,2]yy")
        #expect(try JSONValue.parse(bytes, 2..<7) == [1, 2])
        #expect(throws: JSONError.self) { try JSONValue.parse(bytes, 2..<8) }
        #expect(throws: JSONError.self) { try JSONValue.parse(bytes, 2..<100) }
    }

    @Test("accessors answer nil for what is not there")
    func accessors() throws {
        let value: JSONValue = ["a": 1, "b": [true, nil, "x", 2.5], "c": 3.0]
        #expect(value["a"]?.integer == 1)
        #expect(value["a"]?.double == 1)
        #expect(value["c"]?.integer == 3)
        #expect(value["b"]?[0]?.bool == true)
        #expect(value["b"]?[1]?.isNull == true)
        #expect(value["b"]?[2]?.string == "x")
        #expect(value["b"]?[3]?.integer == nil)
        #expect(value["b"]?[4] == nil)
        #expect(value["z"] == nil)
        #expect(value[0] == nil)
    }

    @Test("the form for people")
    func pretty() {
        let value: JSONValue = ["a": 1, "b": [1, 2], "c": [["d": "e"]], "f": [:], "g": []]
        #expect(
            value.pretty == """
                {
                  "a": 1,
                  "b": [1,2],
                  "c": [
                    {
                      "d": "e"
                    }
                  ],
                  "f": {},
                  "g": []
                }
                """)
    }

    static func randomValue(_ random: inout SplitMix64, depth: Int) -> JSONValue {
        switch Int.random(in: 0..<(depth == 0 ? 5 : 7), using: &random) {
        case 0: return .null
        case 1: return .bool(.random(using: &random))
        case 2: return .integer(Int64(bitPattern: random.next()) >> Int64.random(in: 0..<64, using: &random))
        case 3: return .number(Double.random(in: 0..<1, using: &random) + 0.1)
        case 4: return .string(randomString(&random))
        case 5: return .array((0..<Int.random(in: 0..<5, using: &random)).map { _ in randomValue(&random, depth: depth - 1) })
        default:
            return .object(
                (0..<Int.random(in: 0..<5, using: &random)).map {
                    JSONMember("\($0)" + randomString(&random), randomValue(&random, depth: depth - 1))
                })
        }
    }

    static func randomString(_ random: inout SplitMix64) -> String {
        let alphabet: [Character] = ["a", "Z", "0", " ", "\"", "\\", "/", "\n", "\t", "\u{1}", "\u{7F}", "é", "日", "😀", "\u{2028}", "."]
        return String((0..<Int.random(in: 0..<12, using: &random)).map { _ in alphabet.randomElement(using: &random) ?? "a" })
    }
}
