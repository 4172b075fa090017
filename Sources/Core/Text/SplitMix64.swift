/// SplitMix64: a small and fast generator that is the same on every machine, so that a seed names a model, a simulation or a failing test.
///
/// Eight bytes of state: each entity of a simulation can have one of its own. Not for secrets.
///
/// Source: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.
public struct SplitMix64: RandomNumberGenerator, Sendable {
    /// What the state grows by with each number: 2^64 divided by the golden ratio.
    public static let increment: UInt64 = 0x9E37_79B9_7F4A_7C15

    @usableFromInline var state: UInt64

    @inlinable public init(seed: UInt64) { state = seed }

    /// One of many streams of a seed. Both numbers are mixed, so that neighbours give unrelated streams.
    public init(seed: UInt64, stream: UInt64) {
        state = Self.mix(Self.mix(seed &+ Self.increment) ^ (stream &* 0xD1B5_4A32_D192_ED03))
    }

    /// The state's image: a bijection whose values have no visible order.
    @inlinable public static func mix(_ state: UInt64) -> UInt64 {
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    @inlinable public mutating func next() -> UInt64 {
        state &+= Self.increment
        return Self.mix(state)
    }

    /// Uniform in 0..<1, of 53 bits.
    @inlinable public mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// Uniform in 0..<limit, by the high half of a product; the bias is below limit / 2^64. `limit` is at least 1.
    @inlinable public mutating func below(_ limit: Int) -> Int { Int(next().multipliedFullWidth(by: UInt64(limit)).high) }

    /// `count` different indexes below `limit`, or all where there are fewer, in random order (the head of a Fisher–Yates shuffle).
    public mutating func sample(_ count: Int, below limit: Int) -> [Int] {
        var indexes = Array(0..<limit)
        let count = min(count, limit)
        for position in 0..<count { indexes.swapAt(position, position + below(limit - position)) }
        return Array(indexes[..<count])
    }
}
