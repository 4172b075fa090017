import Synchronization
import Text

/// Names for requests that came without one: 16 hexadecimal digits, different for each request and server.
final class RequestIDs: Sendable {
    private let next: Atomic<UInt64>

    init() { next = Atomic(UInt64.random(in: .min ... .max)) }

    /// Gives the next name as a C string that lives as long as the call.
    func withNew<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
        // A counter becomes a number without a visible order.
        let value = SplitMix64.mix(next.wrappingAdd(SplitMix64.increment, ordering: .relaxed).newValue)
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
