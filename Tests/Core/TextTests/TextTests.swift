import Testing
import Text

@Suite("Text in other encodings, and what is no text")
struct TextTests {
    @Test("the first byte that is not UTF-8 is found, wherever it stands", arguments: 0..<20)
    func firstInvalid(at place: Int) {
        let text = Array("grün, 日本, 🚀 und mehr Text".utf8)
        #expect(UTF8Text.firstInvalid(text, 0..<text.count) == nil)
        let ascii = Array(repeating: UInt8(ascii: "a"), count: place) + [0xFC] + Array("rest of the line".utf8)
        #expect(UTF8Text.firstInvalid(ascii, 0..<ascii.count) == place)
    }

    @Test(
        "what only looks like UTF-8 is none: overlong forms, surrogates, beyond the last code point, cut off",
        arguments: [[0xC0, 0x80], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xF0, 0x9F, 0x9A], [0x80], [0xFF]] as [[UInt8]])
    func notUTF8(bytes: [UInt8]) {
        #expect(UTF8Text.firstInvalid(bytes, 0..<bytes.count) == 0)
        #expect(String(validating: bytes, as: UTF8.self) == nil)
    }

    @Test("each byte of windows-1252 and ISO 8859-1 becomes its character")
    func singleBytes() {
        #expect(String(decoding: TextEncoding.windows1252.decode([0x50, 0xFC, 0x80, 0x93]), as: UTF8.self) == "Pü€“")
        #expect(String(decoding: TextEncoding.latin1.decode([0x50, 0xFC, 0xB5]), as: UTF8.self) == "Püµ")
        for byte in UInt8.min ... .max {
            let text = TextEncoding.windows1252.decode([byte])
            #expect(String(validating: text, as: UTF8.self)?.unicodeScalars.count == 1)
        }
    }

    @Test("UTF-16 is read by its byte-order mark, also in pieces of one byte; half a pair is no text")
    func utf16() {
        let text = "a,ü,🚀\n"
        let little: [UInt8] = text.utf16.reduce(into: [0xFF, 0xFE]) { $0 += [UInt8($1 & 0xFF), UInt8($1 >> 8)] }
        let big: [UInt8] = text.utf16.reduce(into: [0xFE, 0xFF]) { $0 += [UInt8($1 >> 8), UInt8($1 & 0xFF)] }
        for bytes in [little, big] {
            #expect(TextEncoding.utf16.decode(bytes) == Array(text.utf8))
            var decoder = TextDecoder(.utf16)
            var result: [UInt8] = []
            for byte in bytes { decoder.append([byte], to: &result) }
            decoder.finish(into: &result)
            #expect(result == Array(text.utf8))
        }
        let broken = TextEncoding.utf16.decode([0xFF, 0xFE, 0x61, 0x00, 0x3D, 0xD8])
        #expect(UTF8Text.firstInvalid(broken, 0..<broken.count) == 1)
    }

    @Test(
        "names of encodings are taken as media types write them",
        arguments: [("UTF-8", "utf-8"), ("ISO-8859-1", "iso-8859-1"), ("cp1252", "windows-1252")])
    func names(name: String, known: String) {
        #expect(TextEncoding(named: name)?.rawValue == known)
        #expect(TextEncoding(named: "koi8-r") == nil)
    }
}
