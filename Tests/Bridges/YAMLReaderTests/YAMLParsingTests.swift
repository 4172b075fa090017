import Testing
import Text
import YAMLReader

@Suite("Parsing a YAML file")
struct YAMLParsingTests {
    @Test("values come with their place, counted from 1")
    func places() throws {
        let root = try YAMLNode.parse("name: nyc-taxi\nevent:\n  fields:\n    é: { type: number, list: [1, two] }\n", file: "a.yaml")
        let fields = try root.mapping().required("event").mapping().required("fields")
        #expect(fields.path == "event.fields")
        #expect(fields.mark == YAMLMark(line: 4, column: 5))
        let type = try fields.mapping().required("é").mapping().required("type")
        #expect(type.mark == YAMLMark(line: 4, column: 16))
        #expect(type.path == "event.fields.é.type")
        let two = try fields.mapping().required("é").mapping().required("list").sequence()[1]
        #expect(two.path == "event.fields.é.list[1]")
        #expect(two.error("Here.").description == "a.yaml:4:34: Here.")
        #expect(try root.mapping().keys == ["name", "event"])
    }

    @Test(
        "what is not read is refused with its place and a sentence",
        arguments: [
            ("", "x.yaml: The file is empty."),
            ("# nothing\n", "x.yaml: The file is empty."),
            ("a: 1\nb: 2\na: 3\n", "x.yaml:3:1: The key `a` is there already, in line 1."),
            ("a: &x 1\n", "x.yaml:1:4: Anchors (&name) are not read here; write the value where it is needed."),
            ("a: 1\nb: *a\n", "x.yaml:2:4: Aliases (*name) are not read here; write the value out."),
            ("a:\n  <<: {b: 1}\n", "x.yaml:2:3: Merge keys (<<) are not read here; write the keys out."),
            ("a: !!str 1\n", "x.yaml:1:4: Tags (such as !!str) are not read here; put a text in quotes instead."),
            ("!!str a: 1\n", "x.yaml:1:1: Tags (such as !!str) are not read here; put a text in quotes instead."),
            ("a: 1\n---\nb: 2\n", "x.yaml:2:1: A second document starts here; one file holds one document."),
            ("[1, 2]: 3\n", "x.yaml:1:1: A key must be a plain text."),
            ("\"\": 3\n", "x.yaml:1:1: A key must not be empty."),
            ("a:\n\tb: 1\n", "x.yaml:2:1: A tab cannot indent YAML; use spaces."),
            (
                "a: [1, 2\nb: 3\n",
                "x.yaml:2:2: This is not YAML: did not find expected ',' or ']' while parsing a flow sequence."
            ),
            ("a: b: c\n", "x.yaml:1:5: This is not YAML: mapping values are not allowed in this context."),
            ("a: \"x\n", "x.yaml:2:1: This is not YAML: found unexpected end of stream while scanning a quoted scalar."),
            ("a: \u{1}\n", "x.yaml: The file has a character that YAML does not allow: control characters are not allowed."),
            (
                String(repeating: "[", count: 40) + String(repeating: "]", count: 40),
                "x.yaml:1:33: The file is nested deeper than 32 levels."
            ),
            (String(repeating: "a", count: 1 << 20) + "a", "x.yaml: The file is larger than 1 MiB."),
        ])
    func refused(text: String, message: String) {
        let error = #expect(throws: YAMLError.self) { try YAMLNode.parse(text, file: "x.yaml") }
        #expect(error?.description == message)
    }

    @Test("bytes that are not UTF-8 are refused where they stand")
    func invalidUTF8() {
        let error = #expect(throws: YAMLError.self) {
            try YAMLNode.parse(Array("a: 1\nb: é".utf8) + [0xFF] + Array("\n".utf8), file: "x.yaml")
        }
        #expect(error?.description == "x.yaml:2:5: The file is not valid UTF-8 here.")
    }

    @Test("a byte-order mark and Windows line ends are accepted")
    func windows() throws {
        let root = try YAMLNode.parse("\u{FEFF}a: 1\r\nb: x\r\n", file: "x.yaml").mapping()
        #expect(try root.required("a").int() == 1)
        #expect(try root.required("b").string() == "x")
    }

    @Test("a file that is not there is named with the reason")
    func missingFile() {
        let error = #expect(throws: YAMLError.self) { try YAMLNode.load("/nonexistent/usecase.yaml") }
        #expect(error?.description == "/nonexistent/usecase.yaml: The file cannot be read: No such file or directory.")
    }

    @Test(
        "an error inside a text points at its character, also where the text spans lines",
        arguments: [
            ("a: one + two\n", 6, 1, 10), ("a: 'one + two'\n", 6, 1, 11), ("a: é + two\n", 5, 1, 8), ("a: one +\n   two + x\n", 6, 2, 4),
            ("a: >-\n  one +\n    two\n", 9, 3, 6), ("a: >-\n  one +\n  two\n", 6, 3, 3), ("a: |\n    one\n    two\n", 6, 3, 7),
            ("a: |\n  one\n\n  two\n", 5, 4, 3), ("a: abc\n", 3, 1, 7),
            ("a: \"x\\u0041 + y\"\n", 5, 1, 4), ("{a: one + two}\n", 4, 1, 9),
        ])
    func insideText(text: String, offset: Int, line: Int, column: Int) throws {
        let node = try YAMLNode.parse(text, file: "x.yaml").mapping().required("a")
        #expect(node.error("", utf8Offset: offset).mark == YAMLMark(line: line, column: column))
    }

    @Test("random and mutated files are read or refused, and never stop the reader")
    func fuzz() {
        var random = SplitMix64(seed: 77)
        let seeds = [
            "name: x\nevent:\n  fields:\n    a: { type: number, min: 0 }\n    b: [1, 'two', \"three\\n\"]\n",
            "a: |\n  text\n  more\nb: >-\n  folded\n", "- 1\n- {a: b}\n",
        ].map { Array($0.utf8) }
        let alphabet = Array("{}[]:,-#&*!|>'\"%@` \n\t\u{1}?~<ab1.".utf8)
        var accepted = 0
        for round in 0..<20_000 {
            var bytes = seeds[round % seeds.count]
            for _ in 0..<Int.random(in: 1..<4, using: &random) {
                let at = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes.insert(alphabet.randomElement(using: &random) ?? 0, at: at)
                case 1: bytes[at] = UInt8.random(in: 0...255, using: &random)
                default: bytes.remove(at: at)
                }
            }
            if let node = try? YAMLNode.parse(bytes, file: "x.yaml") {
                accepted += 1
                _ = node.error("", utf8Offset: round % 20)
                if case .mapping(let entries) = node.content {
                    for entry in entries { _ = entry.value.error("", utf8Offset: round % 20) }
                }
            }
        }
        #expect(accepted > 1000)
    }
}
