import Testing
import YAMLReader

@Suite("Reading typed values")
struct YAMLValueTests {
    private static func value(_ text: String) throws -> YAMLNode {
        let root = try YAMLNode.parse("key: \(text)\n", file: "x.yaml")
        guard case .mapping(let entries) = root.content, let entry = entries.first else { throw root.error("no mapping") }
        return entry.value
    }

    @Test(
        "texts are taken as written, whatever YAML 1.1 would make of them",
        arguments: ["yes", "off", "1.0", "0x1F", "1:30", "true", "2026-11-21"])
    func strings(text: String) throws {
        #expect(try Self.value(text).string() == text)
        #expect(try Self.value("'\(text)'").string() == text)
    }

    @Test("numbers", arguments: [("12", 12.0), ("-0.5", -0.5), ("+3", 3), ("1e3", 1000), (".5", 0.5), ("5.", 5)])
    func numbers(text: String, value: Double) throws {
        #expect(try Self.value(text).double() == value)
    }

    @Test(
        "durations",
        arguments: [("0", 0), ("500ms", 500), ("60s", 60_000), ("10m", 600_000), ("1h", 3_600_000), ("2d", 172_800_000), ("1.5s", 1500)])
    func durations(text: String, milliseconds: Int64) throws {
        #expect(try Self.value(text).milliseconds() == milliseconds)
        #expect(YAMLNode.duration(YAMLNode.durationText(milliseconds)) == milliseconds)
    }

    private typealias Reading = @Sendable (YAMLNode) throws -> Void

    private static let failures: [(String, Reading, String)] = [
        ("", { _ = try $0.string() }, "x.yaml:1:5: `key` wants a text, but has nothing."),
        ("~", { _ = try $0.string() }, "x.yaml:1:6: `key` wants a text, but has nothing."),
        ("[a]", { _ = try $0.string() }, "x.yaml:1:6: `key` wants a text, but has a list."),
        ("' '", { _ = try $0.nonEmptyString() }, "x.yaml:1:6: `key` must not be empty."),
        ("yes", { _ = try $0.bool() }, "x.yaml:1:6: `key` wants true or false; `yes` is a text here, write true."),
        ("Off", { _ = try $0.bool() }, "x.yaml:1:6: `key` wants true or false; `Off` is a text here, write false."),
        ("'true'", { _ = try $0.bool() }, "x.yaml:1:6: `key` wants true or false; \"true\" is a text here, write true."),
        ("1", { _ = try $0.bool() }, "x.yaml:1:6: `key` wants true or false, but has `1`."),
        ("1.5", { _ = try $0.int() }, "x.yaml:1:6: `key` wants a whole number, but has `1.5`."),
        ("ten", { _ = try $0.int() }, "x.yaml:1:6: `key` wants a whole number, but has `ten`."),
        ("'10'", { _ = try $0.int() }, "x.yaml:1:6: `key` wants a whole number, but has the text \"10\"; remove the quotes."),
        (
            "010", { _ = try $0.int() },
            "x.yaml:1:6: `key` is `010`, which some readers take for octal; write it without the leading zero."
        ),
        ("0x10", { _ = try $0.int() }, "x.yaml:1:6: `key` wants a whole number, but has `0x10`."),
        ("1_000", { _ = try $0.int() }, "x.yaml:1:6: `key` wants a whole number, but has `1_000`."),
        ("1:30", { _ = try $0.double() }, "x.yaml:1:6: `key` wants a number, but has `1:30`."),
        ("99999999999999999999", { _ = try $0.int() }, "x.yaml:1:6: `key` is a number beyond 64 bits: `99999999999999999999`."),
        ("0", { _ = try $0.int(1...1024) }, "x.yaml:1:6: `key` must be between 1 and 1024, but is 0."),
        ("0", { _ = try $0.int(1...(.max)) }, "x.yaml:1:6: `key` must be at least 1, but is 0."),
        ("1.5", { _ = try $0.double(0...1) }, "x.yaml:1:6: `key` must be between 0 and 1, but is 1.5."),
        (".nan", { _ = try $0.double() }, "x.yaml:1:6: `key` wants a number, but has `.nan`."),
        ("1e999", { _ = try $0.double() }, "x.yaml:1:6: `key` is too large a number: `1e999`."),
        (
            "60", { _ = try $0.milliseconds() },
            "x.yaml:1:6: `key` wants a duration such as 500ms, 60s, 10m, 1h or 2d, but has `60`."
        ),
        (
            "-1s", { _ = try $0.milliseconds() },
            "x.yaml:1:6: `key` wants a duration such as 500ms, 60s, 10m, 1h or 2d, but has `-1s`."
        ),
        ("1ms", { _ = try $0.milliseconds(1000...60_000) }, "x.yaml:1:6: `key` must be between 1s and 1m, but is 1ms."),
        ("a", { _ = try $0.sequence() }, "x.yaml:1:6: `key` wants a list, but has `a`."),
        ("[a, {b: c}]", { _ = try $0.strings() }, "x.yaml:1:10: `key[1]` wants a text, but has a mapping."),
        (
            "regect", { _ = try $0.choice([("reject", true), ("ignore", false)]) },
            "x.yaml:1:6: `key` does not know `regect`; did you mean `reject`?"
        ),
        (
            "drop", { _ = try $0.choice([("reject", true), ("ignore", false)]) },
            "x.yaml:1:6: `key` does not know `drop`; it is one of reject and ignore."
        ),
        ("a", { _ = try $0.mapping() }, "x.yaml:1:6: `key` wants a mapping of keys, but has `a`."),
        (
            "{ trehshold: 1 }", { _ = try $0.mapping(["score", "threshold"]) },
            "x.yaml:1:8: `key` does not know the key `trehshold`; did you mean `threshold`?"
        ),
        (
            "{ x: 1 }", { _ = try $0.mapping(["score", "threshold", "cut"]) },
            "x.yaml:1:8: `key` does not know the key `x`; it knows score, threshold and cut."
        ),
        ("{ a: 1 }", { _ = try $0.mapping().required("b") }, "x.yaml:1:6: `key` needs the key `b`."),
        ("{ a: }", { _ = try $0.mapping().required("a") }, "x.yaml:1:8: `a` has no value."),
    ]

    @Test("a wrong value is a sentence at its place", arguments: failures.indices)
    func wrong(index: Int) throws {
        let (text, read, message) = Self.failures[index]
        let node = try Self.value(text)
        let error = #expect(throws: YAMLError.self) { try read(node) }
        #expect(error?.description == message)
    }

    @Test("optional keys are nil when absent or without a value")
    func optional() throws {
        let mapping = try YAMLNode.parse("a: 1\nb:\n", file: "x.yaml").mapping(["a", "b", "c"])
        #expect(try mapping["a"]?.int() == 1)
        #expect(mapping["b"] == nil)
        #expect(mapping["c"] == nil)
        #expect(mapping.contains("b"))
        #expect(mapping.error(at: "b", "Why?").description == "x.yaml:2:1: Why?")
    }
}
