import Glibc

/// SplitMix64 (Steele, Lea and Flood 2014): small, fast, and the same everywhere, so that a seed names a model.
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// Uniform in 0..<1, of 53 bits.
    mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// Uniform in 0..<limit, by the high half of a product; the bias is below limit / 2^64.
    mutating func below(_ limit: Int) -> Int { Int(next().multipliedFullWidth(by: UInt64(limit)).high) }

    /// Standard normal, by Box and Muller.
    mutating func normal() -> Double { (-2 * log(1 - unit())).squareRoot() * cos(2 * .pi * unit()) }

    /// `count` different indexes below `limit`, in random order (the head of a Fisher–Yates shuffle).
    mutating func sample(_ count: Int, below limit: Int) -> [Int] {
        var indexes = Array(0..<limit)
        let count = min(count, limit)
        for position in 0..<count { indexes.swapAt(position, position + below(limit - position)) }
        return Array(indexes[..<count])
    }
}
