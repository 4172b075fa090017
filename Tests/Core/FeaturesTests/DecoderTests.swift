import Contracts
import Features
import JSON
import Testing
import Text

@Suite("An event is checked against its schema")
struct DecoderTests {
    @Test("a good event becomes a row, an entity and a time")
    func decodesGoodEvent() throws {
        let decoder = EventDecoder(schema: try soldiers())
        #expect(decoder.decode(Array(#"{"soldier_id":42,"heart_rate":185.5,"stamina":45,"timestamp":1732456789.123}"#.utf8)))
        #expect(decoder.row == [42, 185.5, 45, 1_732_456_789_123])
        #expect(decoder.entity == Array("42".utf8))
        #expect(decoder.eventTime == 1_732_456_789_123)
        #expect(decoder.errors.isEmpty)
    }

    static let bad: [(json: String, classes: [String])] = [
        ("", [": empty"]),
        ("{", [": malformed"]),
        ("[1]", [": not-an-object"]),
        (#"{"soldier_id":1,"heart_rate":NaN,"stamina":1,"timestamp":1}"#, [": malformed"]),
        (#"{"soldier_id":1,"heart_rate":1e999,"stamina":1,"timestamp":1}"#, [": malformed"]),
        (#"{"soldier_id":1,"heart_rate":60,"stamina":1,"timestamp":1} x"#, [": malformed"]),
        (#"{"soldier_id":1,"heart_rate":60,"heart_rate":61,"stamina":1,"timestamp":1}"#, ["heart_rate: repeated-field"]),
        ("{}", ["soldier_id: missing-field", "heart_rate: missing-field", "stamina: missing-field", "timestamp: missing-field"]),
        (#"{"soldier_id":null,"heart_rate":60,"stamina":1,"timestamp":1}"#, ["soldier_id: missing-field"]),
        (#"{"soldier_id":1.5,"heart_rate":"60","stamina":1,"timestamp":1}"#, ["soldier_id: wrong-type", "heart_rate: wrong-type"]),
        (
            #"{"soldier_id":0,"heart_rate":19.9,"stamina":0,"timestamp":1}"#,
            ["soldier_id: out-of-range", "heart_rate: out-of-range", "stamina: out-of-range"]
        ),
        (#"{"soldier_id":1,"heart_rate":250.1,"stamina":100.5,"timestamp":1}"#, ["heart_rate: out-of-range", "stamina: out-of-range"]),
        (#"{"soldier_id":9007199254740994,"heart_rate":60,"stamina":1,"timestamp":1}"#, ["soldier_id: out-of-range"]),
        (#"{"soldier_id":1,"heart_rate":60,"stamina":1,"timestamp":1732456789123}"#, ["timestamp: bad-timestamp"]),
        (#"{"soldier_id":1,"heart_rate":60,"stamina":1,"timestamp":-1e300}"#, ["timestamp: bad-timestamp"]),
        (#"{"soldier_id":1,"heart_rate":60,"stamina":1,"timestamp":"2026-01-01"}"#, ["timestamp: wrong-type"]),
        (#"{"soldier_id":1,"heart_rate":60,"stamina":true,"timestamp":[]}"#, ["stamina: wrong-type", "timestamp: wrong-type"]),
        (#"{"soldier_id":1,"hart_rate":60,"stamina":1,"timestamp":1}"#, ["heart_rate: missing-field", "hart_rate: unknown-field"]),
    ]

    @Test("every wrong field is reported with its class", arguments: bad)
    func reportsEverything(_ bad: (json: String, classes: [String])) throws {
        guard case .failure(let failure) = decode(try soldiers(), bad.json) else {
            Issue.record("accepted \(bad.json)")
            return
        }
        #expect(failure.classes == bad.classes)
        for error in failure.errors { #expect(error.message.hasSuffix(".") || error.message.hasSuffix("?"), "\(error.message)") }
    }

    @Test("a misspelt field comes with the name that was meant")
    func suggestsNames() throws {
        guard case .failure(let failure) = decode(try soldiers(), #"{"hart_rate":60}"#) else { return }
        #expect(failure.errors.last?.message.contains("Did you mean `heart_rate`?") == true)
    }

    @Test("messages name the value, its unit and the bound")
    func namesBounds() throws {
        guard case .failure(let failure) = decode(try soldiers(), #"{"soldier_id":1,"heart_rate":-3,"stamina":1,"timestamp":1}"#) else {
            return
        }
        #expect(failure.errors.first?.message == "`heart_rate` is -3 beats/min; it must be at least 20.")
    }

    @Test("defaults, optional fields, enumerations, booleans and nested paths")
    func decodesTheRest() throws {
        let schema = try EventSchema(
            fields: [
                EventField("id", .string), EventField("t", .timestamp),
                EventField("colour", .string, path: "meta.colour", values: [.string("red"), .string("blue")]),
                EventField("level", .integer, defaultValue: .number(3), values: [.number(1), .number(3)]),
                EventField("load", .number, path: "meta.load", isRequired: false), EventField("on", .boolean, defaultValue: .boolean(true)),
            ], entity: "id", time: "t", unknownFields: .ignore)
        let row = try decode(schema, #"{"id":"ä","t":"1970-01-01T00:00:01Z","meta":{"colour":"red","more":1},"x":{}}"#).get()
        #expect(row[1] == 1000)
        #expect(row[3] == 3)
        #expect(row[4].isNaN)
        #expect(row[5] == 1)
        let blue = try decode(schema, #"{"id":"b","t":"1970-01-01T00:00:01Z","meta":{"colour":"blue","load":-0.0},"level":1,"on":false}"#)
            .get()
        #expect(blue[2] != row[2])
        #expect(blue[4].sign == .plus)
        #expect(blue[5] == 0)
        guard case .failure(let failure) = decode(schema, #"{"id":"","t":"x","meta":{"colour":"green"},"level":2,"on":1}"#) else { return }
        #expect(failure.classes == ["t: bad-timestamp", "colour: not-in-enumeration", "level: not-in-enumeration", "on: wrong-type"])
        guard case .failure(let empty) = decode(schema, #"{"id":"","t":"1970-01-01","meta":{"colour":"red"}}"#) else { return }
        #expect(empty.classes == ["id: missing-field"])
        let long = String(repeating: "x", count: 257)
        guard case .failure(let large) = decode(schema, #"{"id":"\#(long)","t":"1970-01-01","meta":{"colour":"red"}}"#) else { return }
        #expect(large.classes == ["id: too-large"])
    }

    @Test("an array of events is decoded one by one")
    func decodesArrays() throws {
        let decoder = EventDecoder(schema: try soldiers())
        let good = #"{"soldier_id":1,"heart_rate":60,"stamina":1,"timestamp":1}"#
        let bytes = Array("[\(good),{},7,\(good)]".utf8)
        #expect(decoder.open(bytes, 0..<bytes.count))
        #expect(decoder.elementCount == 4)
        var results: [Bool] = []
        while let isGood = decoder.next() { results.append(isGood) }
        #expect(results == [true, false, false, true])
    }

    @Test("an event above the limit is too large")
    func limitsSize() throws {
        let decoder = EventDecoder(schema: try soldiers(), maximumBytes: 100)
        #expect(!decoder.decode([UInt8](repeating: 0x20, count: 101)))
        #expect(decoder.errors.map(\.reason) == [.tooLarge])
    }
}

@Suite("A row of a CSV file is checked like an event")
struct ColumnTests {
    private static func row(_ line: String) -> ([UInt8], [Range<Int>]) {
        let bytes = Array(line.utf8)
        var ranges: [Range<Int>] = []
        var start = 0
        for (i, byte) in bytes.enumerated() where byte == 0x2C {
            ranges.append(start..<i)
            start = i + 1
        }
        return (bytes, ranges + [start..<bytes.count])
    }

    private static let header = ["id", "time", "x", "n", "s", "b", "label"]

    private static func schema() throws -> EventSchema {
        try EventSchema(
            fields: [
                EventField("id", .string), EventField("at", .timestamp), EventField("x", .number, isRequired: false),
                EventField("n", .integer, path: "meta.n", isRequired: false), EventField("s", .string, path: "meta.s", isRequired: false),
                EventField("b", .boolean, isRequired: false),
            ], entity: "id", time: "at")
    }

    static let rows: [(line: String, classes: [String])] = [
        ("a,2026-01-02 03:04:05.6,1.5,2,red,true,1", []),
        ("a,2026-01-02T03:04:05+02:00,-1e-7,-0,\u{e4}\"\\,FALSE,0", []),
        ("a,2026-01-02,,,,,", []),
        ("a,2026-01-02,123456789012345678901234567890.5e-3,9007199254740992,x,1,", []),
        ("a,2026-01-02,.5,+7,x,0,", []),
        (",,,,,,", ["id: missing-field", "at: missing-field"]),
        ("a,2026-13-02,1x,2.5,x,maybe,", ["at: bad-timestamp", "x: wrong-type", "n: wrong-type", "b: wrong-type"]),
        ("a,2026-01-02,NaN,1e17,x,2,", ["x: not-a-number", "n: out-of-range", "b: wrong-type"]),
        ("a,2026-01-02,1e999, 1,x,,", ["x: not-a-number", "n: wrong-type"]),
        ("a,2026-01-02", [": column-count"]),
    ]

    @Test("rows give their values or every class of mistake", arguments: rows)
    func decodesRows(_ row: (line: String, classes: [String])) throws {
        let schema = try Self.schema()
        let binding = try ColumnBinding(schema: schema, header: Self.header, columns: ["at": "time"])
        #expect(binding.unusedColumns == ["label"])
        let decoder = EventDecoder(schema: schema)
        let (bytes, ranges) = Self.row(row.line)
        let isGood = decoder.decode(columns: bytes, ranges, binding)
        #expect(decoder.errors.map { "\($0.field): \($0.reason.rawValue)" } == row.classes)
        #expect(isGood == row.classes.isEmpty)
    }

    @Test("a row and the event written from it give the same bits", arguments: rows.dropLast())
    func writesTheSameEvent(_ row: (line: String, classes: [String])) throws {
        let schema = try Self.schema()
        let binding = try ColumnBinding(schema: schema, header: Self.header, columns: ["at": "time"])
        let (bytes, ranges) = Self.row(row.line)
        let fromColumns = EventDecoder(schema: schema)
        let isGood = fromColumns.decode(columns: bytes, ranges, binding)
        var writer = JSONWriter()
        ColumnEventWriter(schema: schema, binding: binding).write(bytes, ranges, into: &writer)
        let fromJSON = EventDecoder(schema: schema)
        #expect(fromJSON.decode(writer.bytes) == isGood, "\(writer.text) \(fromJSON.errors)")
        guard isGood else { return }
        #expect(fromJSON.row.map(\.bitPattern) == fromColumns.row.map(\.bitPattern), "\(writer.text)")
        #expect(fromJSON.entity == fromColumns.entity)
        #expect(fromJSON.eventTime == fromColumns.eventTime)
    }

    @Test("a file without a required column is refused by name")
    func refusesHeaders() throws {
        let error = #expect(throws: SchemaError.self) { try ColumnBinding(schema: try Self.schema(), header: ["id", "att"]) }
        #expect(error?.message == "The file has no column for the required field `at`. Did you mean `att`?")
    }

    @Test("numbers in text are read to the last bit")
    func readsNumbers() {
        var random = SplitMix64(seed: 7)
        for _ in 0..<20_000 {
            let value = Double(bitPattern: random.next())
            guard value.isFinite else { continue }
            for text in ["\(value)", "\(Float(value))", "\(Int64(truncatingIfNeeded: random.next() >> random.next() % 60))"] {
                let bytes = Array(text.utf8)
                if let expected = Double(text), expected.isFinite {
                    #expect(TextNumber.parse(bytes, 0..<bytes.count) == expected, "\(text)")
                }
            }
        }
        for text in ["", "-", ".", "e5", "1e", "1e+", "0x10", "1_000", "1,5", " 1", "1 ", "--1", "1.2.3", "nan", "inf"] {
            #expect(TextNumber.parse(Array(text.utf8), 0..<text.utf8.count) == nil, "\(text)")
        }
    }
}
