import Testing
import Text

@Suite struct HashTests {
    /// From the authors' test vectors (draft-eastlake-fnv, appendix C).
    @Test(
        "FNV-1a gives the published values",
        arguments: [
            ("", 0xCBF2_9CE4_8422_2325), ("a", 0xAF63_DC4C_8601_EC8C), ("b", 0xAF63_DF4C_8601_F1A5), ("foobar", 0x8594_4171_F739_67E8),
        ] as [(String, UInt64)])
    func published(text: String, value: UInt64) { #expect(FNV1a.hash(text.utf8) == value) }

    @Test("bytes combined in parts give the hash of the whole")
    func parts() {
        var hash = FNV1a()
        hash.combine("foo".utf8)
        hash.combine(UInt8(ascii: "b"))
        hash.combine(Array("ar".utf8)[...])
        #expect(hash.value == FNV1a.hash("foobar".utf8))
    }

    @Test("what is stored keeps its value: a word in one step, texts with a separator after each")
    func stored() {
        var hash = FNV1a()
        hash.combine(word: 3)
        hash.combine("zone-7".utf8)
        #expect(hash.value == 0xA556_0806_D3F8_3ECC)
        #expect(FNV1a.hash(texts: "ab", "c") == 0x0AB1_1B2F_87EF_04A1)
        #expect(FNV1a.hash(texts: "ab", "c") != FNV1a.hash(texts: "a", "bc"))
    }

    @Test("hexadecimal text has all its zeros")
    func hexadecimal() {
        #expect(Hexadecimal.text(0 as UInt64) == "0000000000000000")
        #expect(Hexadecimal.text(0xAB as UInt64) == "00000000000000ab")
        #expect(Hexadecimal.text(UInt64.max) == "ffffffffffffffff")
        #expect(Hexadecimal.text([0, 0x0F, 0xF0, 0xFF] as [UInt8]) == "000ff0ff")
        #expect(Hexadecimal.text([] as [UInt8]) == "")
    }
}
