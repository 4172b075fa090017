/// Latencies in buckets whose width grows with the value: 64 per power of two, so a quantile is at most 1.6 % too high.
/// The idea is HdrHistogram's (hdrhistogram.org). 8.5 KiB; adding costs a few instructions.
struct LatencyHistogram: Sendable {
    private static let steps = 64
    private static let powers = 34
    private var buckets = Array(repeating: UInt32(0), count: steps * powers)
    private(set) var count = 0

    /// - Parameter milliseconds: below 0 counts as 0; the longest that is told apart is about two days.
    mutating func add(milliseconds: Double) {
        let microseconds = milliseconds.isFinite ? UInt64(max(0, min(milliseconds, 1.7e8)) * 1000) : 0
        buckets[Self.index(of: microseconds)] += 1
        count += 1
    }

    mutating func removeAll() {
        for index in buckets.indices { buckets[index] = 0 }
        count = 0
    }

    mutating func add(_ other: LatencyHistogram) {
        for index in buckets.indices { buckets[index] += other.buckets[index] }
        count += other.count
    }

    /// Milliseconds that a share `quantile` (0...1) of the values does not exceed; nil when there is none.
    func quantile(_ quantile: Double) -> Double? {
        guard count > 0 else { return nil }
        let rank = max(1, Int((quantile * Double(count)).rounded(.up)))
        var seen = 0
        for index in buckets.indices {
            seen += Int(buckets[index])
            if seen >= rank { return Double(Self.upperBound(of: index)) / 1000 }
        }
        return nil
    }

    private static func index(of value: UInt64) -> Int {
        guard value >= UInt64(steps) else { return Int(value) }
        let power = 63 - value.leadingZeroBitCount - 6
        return min((power + 1) * steps + Int(value >> UInt64(power)) - steps, steps * powers - 1)
    }

    private static func upperBound(of index: Int) -> UInt64 {
        guard index >= steps else { return UInt64(index) }
        let power = index / steps - 1
        return (UInt64(index % steps + steps + 1) << UInt64(power)) - 1
    }
}
