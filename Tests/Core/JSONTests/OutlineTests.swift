import JSON
import Testing

@Suite("A document that may be wrong in parts")
struct OutlineTests {
    private func outline(_ text: String) throws -> JSONOutline { try JSONOutline(Array(text.utf8)) }

    private func elements(_ text: String, at path: String) throws -> [String]? {
        let found = try outline(text)
        let bytes = Array(text.utf8)
        return found.value(at: path).flatMap(found.elements)?.map { String(decoding: bytes[$0], as: UTF8.self) }
    }

    @Test("elements are found whatever their values are")
    func elements() throws {
        #expect(
            try elements(#"{"a":NaN,"data":{"items":[{"x":NaN}, "]," ,7,[1,[2]],{"y":"\"}"}]}}"#, at: "data.items") == [
                #"{"x":NaN}"#, #""],""#, "7", "[1,[2]]", #"{"y":"\"}"}"#,
            ])
        #expect(try elements(" [ ] ", at: "") == [])
        #expect(try elements(#"{"a":{}}"#, at: "a") == nil)
        #expect(try elements(#"{"a":[]}"#, at: "b") == nil)
    }

    @Test("a path may have dots in its names")
    func dots() throws {
        let found = try outline(#"{"@odata.nextLink":"/x","meta":{"a.b":{"c":5},"a":{"b":{"d":true}}}}"#)
        func text(_ path: String) -> String? { found.value(at: path).flatMap(found.text) }
        #expect(text("@odata.nextLink") == "/x")
        #expect(text("meta.a.b.c") == "5")
        #expect(text("meta.a.b.d") == nil)
        #expect(found.value(at: "meta.a.b.d") != nil)
    }

    @Test("what is cut off or has something behind its end is refused", arguments: ["", "[", #"{"a":"b"#, "[1]]", "[1}", "[1] 2", #"{"a":1}x"#])
    func refused(text: String) {
        #expect(throws: JSONError.self) { try outline(text) }
    }

    @Test(
        "the first mistake is named with its place",
        arguments: [
            (#"{"a":NaN}"#, "NaN is no JSON value, at byte 5"), ("{\"a\":1,\n\"b\":}", "A value must stand here, on line 2, at byte 12"),
            (#"{"a" 1}"#, "A colon must stand here, at byte 5"), (#"{"a":1"#, "It ends too early, at byte 6"),
            ("[1 2]", "A comma or `]` must stand here, at byte 3"), ("\u{FEFF}[]", "It begins with a byte-order mark, at byte 0"),
            ("[1,]", "A value must stand here, at byte 3"), (#"["a"#, "The text that begins here does not end, at byte 1"),
            ("[01]", "01 is no JSON value, at byte 1"), ("{} {}", "Something stands behind the end of the document, at byte 3"),
        ])
    func problems(text: String, sentence: String) {
        let bytes = Array(text.utf8)
        #expect(JSONProblem.first(in: bytes, 0..<bytes.count)?.description == sentence)
        #expect(throws: JSONError.self) { try JSONValue.parse(bytes) }
    }

    @Test("nothing is wrong with what is right", arguments: [#"{"a":[1,-0.5e+7,true,null,"\u00fc ü"],"b":{}}"#, "[]", " 7 "])
    func right(text: String) {
        #expect(JSONProblem.first(in: Array(text.utf8), 0..<text.utf8.count) == nil)
    }
}
