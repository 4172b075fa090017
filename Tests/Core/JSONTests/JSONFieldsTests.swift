import Foundation
import JSON
import Testing
import Text

@Suite("Reading the fields of an event")
struct JSONFieldsTests {
    @Test("each path has its slot, with kind and value")
    func slots() throws {
        let fields = try JSONFields(paths: [
            "id", "meta.location", "meta.deep.x", "on", "off", "none", "absent", "list", "whole", "a_name_longer_than_eight",
        ])
        let result = fields.read(
            utf8(
                #"{"whole":-7,"id":"s\u00e91","meta":{"location":"Pune","deep":{"x":1.5}},"on":true,"off":false,"none":null,"list":[1,{"id":2}],"a_name_longer_than_eight":3}"#
            ))
        #expect(result == .ok)
        #expect(!fields.hasUnknown)
        #expect(fields.slots.map(\.kind) == [.string, .string, .number, .bool, .bool, .null, .missing, .container, .integer, .integer])
        #expect(fields.string(0) == "sé1")
        #expect(fields.string(1) == "Pune")
        #expect(fields.string(2) == nil)
        #expect(fields.slots[2].number == 1.5)
        #expect(fields.slots[3].number == 1)
        #expect(fields.slots[4].number == 0)
        #expect(fields.slots[6].number.isNaN)
        #expect(fields.slots[8].integer == -7)
        #expect(fields.slots[8].number == -7)
        #expect(fields.slots[9].number == 3)
    }

    @Test("nothing of one document is left in the next")
    func independent() throws {
        let fields = try JSONFields(paths: ["a", "b"])
        #expect(fields.read(utf8(#"{"a":"x","b":1,"c":2}"#)) == .ok)
        #expect(fields.read(utf8(#"{"b":"y"}"#)) == .ok)
        #expect(fields.slots.map(\.kind) == [.missing, .string])
        #expect(fields.string(1) == "y")
        #expect(!fields.hasUnknown)
        #expect(fields.unknown.isEmpty)
        #expect(fields.read(utf8("[")) != .ok)
        #expect(fields.slots.map(\.kind) == [.missing, .missing])
    }

    @Test("names that no path knows are reported with the objects they lie in, at most eight of them")
    func unknown() throws {
        let fields = try JSONFields(paths: ["a", "meta.location", "temperature_inside"])
        #expect(fields.read(utf8(#"{"A":1,"meta":{"locatoin":"x","location":"y"},"temperature_insidf":1,"":2}"#)) == .ok)
        #expect(fields.unknown == ["A", "meta.locatoin", "temperature_insidf", ""])
        #expect(fields.string(1) == "y")
        let many = "{" + (0..<20).map { "\"x\($0)\":0" }.joined(separator: ",") + "}"
        #expect(fields.read(utf8(many)) == .ok)
        #expect(fields.unknownCount == 20)
        #expect(fields.unknown.count == JSONFields.keptUnknown)
    }

    @Test("an object that should hold known names but is a plain value counts as unknown, null as missing")
    func replacedObject() throws {
        let fields = try JSONFields(paths: ["meta.location"])
        #expect(fields.read(utf8(#"{"meta":5}"#)) == .ok)
        #expect(fields.unknown == ["meta"])
        #expect(fields.read(utf8(#"{"meta":null}"#)) == .ok)
        #expect(!fields.hasUnknown)
        #expect(fields.slots[0].kind == .missing)
    }

    @Test("a path may be a leaf and an object at once")
    func both() throws {
        let fields = try JSONFields(paths: ["a", "a.b"])
        #expect(fields.read(utf8(#"{"a":{"b":1}}"#)) == .ok)
        #expect(fields.slots.map(\.kind) == [.container, .integer])
        #expect(fields.read(utf8(#"{"a":1}"#)) == .ok)
        #expect(fields.slots.map(\.kind) == [.integer, .missing])
    }

    @Test("a repeated field has no one value")
    func repeated() throws {
        let fields = try JSONFields(paths: ["x", "a", "meta.location"])
        #expect(fields.read(utf8(#"{"a":1,"x":2,"a":1}"#)) == .repeatedField(slot: 1))
        #expect(fields.read(utf8(#"{"a":1,"\u0061":1}"#)) == .repeatedField(slot: 1))
        #expect(fields.read(utf8(#"{"meta":{"location":1},"meta":{}}"#)) == .repeatedField(slot: 2))
        #expect(fields.read(utf8(#"{"meta":{"location":1,"location":1}}"#)) == .repeatedField(slot: 2))
        #expect(fields.read(utf8(#"{"a":1,"x":2}"#)) == .ok)
    }

    @Test("fields in any order are found")
    func order() throws {
        var random = SplitMix64(seed: 5)
        let names = (0..<40).map { "field_number_\($0)" } + ["a", "ab", "abcdefgh", "abcdefghi", "abcdefgi"]
        let fields = try JSONFields(paths: names)
        for _ in 0..<50 {
            let order = names.indices.shuffled(using: &random)
            let text = "{" + order.map { "\"\(names[$0])\":\($0)" }.joined(separator: ",") + "}"
            #expect(fields.read(utf8(text)) == .ok)
            #expect(!fields.hasUnknown)
            #expect(fields.slots.map(\.integer) == names.indices.map { Int64($0) })
        }
    }

    @Test("what is no object, and what is no JSON, is told apart")
    func refused() throws {
        let fields = try JSONFields(paths: ["a"], maximumBytes: 1000, maximumDepth: 8)
        for text in ["[]", "1", "\"a\"", "null", "[{\"a\":1}]"] { #expect(fields.read(utf8(text)) == .notAnObject) }
        for (text, reason) in [
            ("", "empty"), ("{\"a\":1", "fit together"), ("{\"a\":1}x", "fit together"), ("{\"a\":1}{\"a\":2}", "fit together"),
            ("{\"a\":\"\\ud800\"}", "surrogate"),
            ("{\"z\":[[[[[[[[[[1]]]]]]]]]]}", "nested deeper"), ("{\"a\":\"" + String(repeating: "x", count: 1000) + "\"}", "larger"),
        ] {
            guard case .malformed(let found) = fields.read(utf8(text)) else {
                Issue.record("\(text) was accepted")
                continue
            }
            #expect(found.description.contains(reason), "\(text): \(found)")
        }
        #expect(fields.read(utf8("{\"a\":1}")) == .ok)
    }

    @Test("a document is read the same with and without readable bytes behind it, whatever those are")
    func padding() throws {
        let fields = try JSONFields(paths: ["a"])
        for tail in ["", "1", "\"", "}", String(repeating: "5", count: 100), String(repeating: "\"}", count: 50)] {
            let document = #"{"a":12}"#
            let bytes = utf8("garbage" + document + tail)
            #expect(fields.read(bytes, 7..<7 + document.utf8.count) == .ok)
            #expect(fields.slots[0].integer == 12)
        }
        #expect(fields.read(utf8("{}"), 0..<200) != .ok)
    }

    @Test("one object or an array of them is parsed once and read element by element")
    func batch() throws {
        let fields = try JSONFields(paths: ["a", "meta.b"])
        #expect(fields.open(utf8(#" {"a":1} "#)) == .ok)
        #expect(!fields.isArray)
        #expect(fields.elementCount == 1)
        #expect(fields.next() == .ok)
        #expect(fields.slots[0].integer == 1)
        #expect(fields.next() == nil)

        #expect(fields.open(utf8(#"[{"a":"x","meta":{"b":[1]}},7,{"a":1,"a":2},[{"a":3}],{"a":"y","z":0}]"#)) == .ok)
        #expect(fields.isArray)
        #expect(fields.elementCount == 5)
        #expect(fields.next() == .ok)
        #expect(fields.string(0) == "x")
        #expect(fields.slots[1].kind == .container)
        #expect(fields.next() == .notAnObject)
        #expect(fields.slots[0].kind == .missing)
        #expect(fields.next() == .repeatedField(slot: 0))
        #expect(fields.next() == .notAnObject)
        #expect(fields.next() == .ok)
        #expect(fields.string(0) == "y")
        #expect(fields.unknown == ["z"])
        #expect(fields.next() == nil)

        #expect(fields.open(utf8("[]")) == .ok)
        #expect(fields.elementCount == 0)
        #expect(fields.next() == nil)
        #expect(fields.open(utf8("5")) == .notAnObject)
        #expect(fields.next() == nil)
        #expect(fields.open(utf8("[{}")) != .ok)
        #expect(fields.next() == nil)
    }

    @Test("paths that cannot be told apart are refused", arguments: [["a", "a"], ["a.b", "a.b"], [""], ["a..b"], [".a"]])
    func badPaths(paths: [String]) {
        #expect(throws: JSONError.self) { try JSONFields(paths: paths) }
    }

    @Test("random and mutated bytes are read or refused, as the tree parser does, and never stop the reader")
    func fuzz() throws {
        var random = SplitMix64(seed: 2026)
        let fields = try JSONFields(paths: ["id", "meta.location", "n", "s", "list"])
        // `VYUHA_FUZZ_CASES` makes the run as long as one likes: `make fuzz`.
        let cases = ProcessInfo.processInfo.environment["VYUHA_FUZZ_CASES"].flatMap(Int.init) ?? 40_000
        let seeds = [
            #"{"id":"a","n":12.5,"s":"\u00e9\n","meta":{"location":"x"},"list":[1,2,{"q":null}]}"#,
            #"[{"id":1},{"id":-1e10,"n":18446744073709551616},{"s":"😀"}]"#, #"{"n":-0.0,"meta":{"deep":[[[[]]]]},"true":true}"#, "",
            // What parsers have stumbled over.
            "[", "{\"a\":", "\u{FEFF}{}", "1e999999999999", "-", "[1,]", "{\"id\":\"\\ud800\"}", "{\"id\":1,\"id\":2}", "{\"\":{\"\":{}}}",
            "{\"n\":9007199254740993,\"meta\":null}", "{\"n\":123456789012345678901234567890}", "{\"s\":\"\\u0000\"}", "nul", "{}{}",
            String(repeating: "[", count: 2_000), String(repeating: "{\"a\":", count: 100) + "1" + String(repeating: "}", count: 100),
        ].map(utf8)
        let alphabet = utf8("{}[]\",:\\/0123456789.eE+-truefalsn \n\u{1}")
        var accepted = 0
        for round in 0..<cases {
            var bytes = seeds[round % seeds.count]
            for _ in 0..<Int.random(in: 0..<4, using: &random) {
                let at = Int.random(in: 0...bytes.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes.insert(alphabet.randomElement(using: &random) ?? 0, at: at)
                case 1: if at < bytes.count { bytes.remove(at: at) }
                case 2: if at < bytes.count { bytes[at] = UInt8.random(in: 0...255, using: &random) }
                default: bytes.removeLast(bytes.count - at)
                }
            }
            let opened = fields.open(bytes)
            while let result = fields.next() {
                if result == .ok { accepted += 1 }
                for slot in fields.slots where slot.kind == .string {
                    #expect(String(validating: fields.text[slot.text], as: UTF8.self) != nil)
                }
            }
            if round % 8 == 0 {
                // Duplicates are the one thing that the tree refuses and the fields refuse later, element by element.
                let tree = Result { () throws(JSONError) in try JSONValue.parse(bytes) }
                if case .malformed = opened {
                    #expect(throws: JSONError.self) { try tree.get() }
                } else if case .failure(let error) = tree {
                    #expect(error.message.contains("occurs twice"))
                }
            }
        }
        #expect(accepted > cases / 20)
    }
}
