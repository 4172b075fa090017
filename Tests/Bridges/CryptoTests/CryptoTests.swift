import Crypto
import Testing

@Suite("libcrypto") struct CryptoTests {
    private func hex(_ bytes: [UInt8]) -> String {
        bytes.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
    }

    @Test("SHA-1 of RFC 3174's first case") func sha1() {
        #expect(hex(Crypto.sha1(Array("abc".utf8))) == "a9993e364706816aba3e25717850c26c9cd0d89d")
    }

    @Test("HMAC-SHA-256 of RFC 4231's second case") func hmac() {
        let signature = Crypto.hmacSHA256(Array("what do ya want for nothing?".utf8), key: Array("Jefe".utf8))
        #expect(hex(signature) == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    }

    @Test("base64 of RFC 4648's cases", arguments: [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")])
    func base64(plain: String, coded: String) {
        #expect(Crypto.base64(Array(plain.utf8)) == coded)
    }

    @Test("random bytes differ from call to call") func random() throws {
        let first = try #require(Crypto.random(32))
        #expect(first.count == 32)
        #expect(try first != #require(Crypto.random(32)))
    }
}
