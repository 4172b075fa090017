/// A Lua script, called by the SHA-1 of its text so that the text travels once per connection and not once per call.
public struct RedisScript: Sendable, Equatable {
    /// The Lua source.
    public let body: String
    /// SHA-1 of ``body`` in lower-case hexadecimal, computed here: it is the name that `SCRIPT LOAD` gives.
    public let sha: String

    /// Computes the name of the script; make it once and keep it, at about 10 ns a byte.
    public init(_ body: String) {
        self.body = body
        self.sha = sha1(Array(body.utf8))
    }
}

/// SHA-1 ([RFC 3174](https://www.rfc-editor.org/rfc/rfc3174)) in hexadecimal. Here it is a name, not a protection.
func sha1(_ message: [UInt8]) -> String {
    var h: (UInt32, UInt32, UInt32, UInt32, UInt32) = (0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0)
    var padded = message
    padded.append(0x80)
    while padded.count % 64 != 56 { padded.append(0) }
    let bits = UInt64(message.count) * 8
    for shift in stride(from: 56, through: 0, by: -8) { padded.append(UInt8(truncatingIfNeeded: bits >> UInt64(shift))) }
    func rotate(_ value: UInt32, _ by: UInt32) -> UInt32 { value << by | value >> (32 - by) }
    var words = [UInt32](repeating: 0, count: 80)
    for block in stride(from: 0, to: padded.count, by: 64) {
        for t in 0..<16 {
            let at = block + 4 * t
            words[t] =
                UInt32(padded[at]) << 24 | UInt32(padded[at + 1]) << 16 | UInt32(padded[at + 2]) << 8 | UInt32(padded[at + 3])
        }
        for t in 16..<80 { words[t] = rotate(words[t - 3] ^ words[t - 8] ^ words[t - 14] ^ words[t - 16], 1) }
        var (a, b, c, d, e) = h
        for t in 0..<80 {
            let (f, k): (UInt32, UInt32) =
                switch t {
                case ..<20: ((b & c) | (~b & d), 0x5A82_7999)
                case ..<40: (b ^ c ^ d, 0x6ED9_EBA1)
                case ..<60: ((b & c) | (b & d) | (c & d), 0x8F1B_BCDC)
                default: (b ^ c ^ d, 0xCA62_C1D6)
                }
            let next = rotate(a, 5) &+ f &+ e &+ k &+ words[t]
            (a, b, c, d, e) = (next, a, rotate(b, 30), c, d)
        }
        h = (h.0 &+ a, h.1 &+ b, h.2 &+ c, h.3 &+ d, h.4 &+ e)
    }
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    for word in [h.0, h.1, h.2, h.3, h.4] {
        for shift in stride(from: 28, through: 0, by: -4) { text.append(digits[Int(word >> UInt32(shift) & 15)]) }
    }
    return String(decoding: text, as: UTF8.self)
}
