import Testing

@testable import Compression

@Suite struct ZlibTests {
    @Test("what was compressed expands to the same bytes", arguments: [0, 1, 1_000, 1_000_000])
    func roundTrip(count: Int) {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 / 7) }
        let small = Zlib.compress(bytes)
        #expect(Zlib.expand(small, count: count) == bytes)
        if count > 1_000 { #expect(small.count < count / 4) }
    }

    @Test("damaged, cut or misdeclared bytes are refused")
    func damage() {
        let bytes = (0..<1_000).map { UInt8(truncatingIfNeeded: $0 * $0) }
        var small = Zlib.compress(bytes)
        #expect(Zlib.expand(Array(small.dropLast()), count: 1_000) == nil)
        #expect(Zlib.expand(small, count: 999) == nil)
        #expect(Zlib.expand(small, count: 1_001) == nil)
        small[small.count / 2] ^= 0x55
        #expect(Zlib.expand(small, count: 1_000) == nil)
        #expect(Zlib.expand([], count: 10) == nil)
    }
}
