import JSON
import Testing

@Suite("Writing JSON")
struct JSONWriterTests {
    @Test("commas and nesting are placed by the writer")
    func structure() {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("a")
        writer.value(1)
        writer.key("b" as String)
        writer.beginArray()
        writer.value(true)
        writer.null()
        writer.beginObject()
        writer.endObject()
        writer.raw(utf8("[0]"))
        writer.value("x" as StaticString)
        writer.endArray()
        writer.key(raw: JSONWriter.escapedKey("c\"d"))
        writer.value(false)
        writer.endObject()
        writer.newline()
        writer.value(UInt64.max)
        #expect(writer.text == "{\"a\":1,\"b\":[true,null,{},[0],\"x\"],\"c\\\"d\":false}\n18446744073709551615")
        writer.removeAll()
        writer.value(Int64.min)
        #expect(writer.text == "-9223372036854775808")
    }

    @Test(
        "doubles print as people write them",
        arguments: [
            (0.0, "0"), (-0.0, "-0.0"), (1, "1"), (-17, "-17"), (100, "100"), (0.1, "0.1"), (12.35, "12.35"), (1e15, "1e+15"),
            (999_999_999_999_999, "999999999999999"),
            (1.0 / 3, "0.3333333333333333"), (1e-7, "1e-07"), (.nan, "null"), (.infinity, "null"), (-.infinity, "null"),
            (1_732_456_789.123, "1732456789.123"),
        ])
    func doubles(value: Double, text: String) {
        #expect(NumberText.string(value) == text)
    }

    @Test("strings from bytes are escaped, and what is not UTF-8 is replaced")
    func bytes() {
        var writer = JSONWriter()
        writer.value(utf8: utf8("xxa\"\u{1}é"), 2..<7)
        #expect(writer.text == "\"a\\\"\\u0001é\"")
        writer.removeAll()
        writer.value(utf8: [0x61, 0xFF, 0x62], 0..<3)
        #expect(writer.text == "\"a\u{FFFD}b\"")
        writer.removeAll()
        writer.value(utf8: [], 0..<0)
        #expect(writer.text == "\"\"")
    }
}
