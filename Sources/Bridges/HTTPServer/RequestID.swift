import Synchronization

/// Names for requests that came without one: 16 hexadecimal digits, different for each request and server.
final class RequestIDs: Sendable {
    private let next: Atomic<UInt64>

    init() { next = Atomic(UInt64.random(in: .min ... .max)) }

    /// Gives the next name as a C string that lives as long as the call.
    func withNew<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
        // SplitMix64 (Steele, Lea, Flood 2014): a counter becomes a number without a visible order.
        var value = next.wrappingAdd(0x9E37_79B9_7F4A_7C15, ordering: .relaxed).newValue
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        value ^= value >> 31
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 17) { text in
            for index in 0..<16 {
                let digit = CChar(truncatingIfNeeded: (value >> UInt64(60 - 4 * index)) & 0xF)
                text[index] = digit < 10 ? 0x30 + digit : 0x57 + digit
            }
            text[16] = 0
            guard let start = text.baseAddress else { preconditionFailure("seventeen bytes have an address") }
            return body(start)
        }
    }

    /// 1 to 128 visible ASCII characters: such a name can be logged and sent back as it is.
    static func isUsable(_ text: UnsafePointer<CChar>) -> Bool {
        var count = 0
        while text[count] != 0 {
            guard count < 128, (0x21...0x7E).contains(text[count]) else { return false }
            count += 1
        }
        return count > 0
    }
}
