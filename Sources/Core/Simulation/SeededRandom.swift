/// SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014): eight bytes of state, so that
/// every entity has a stream of its own and an entity's events do not depend on how many others there are.
struct SeededRandom: Sendable {
    private var state: UInt64

    /// The stream of one entity of one simulation. Both numbers are mixed, so that neighbouring seeds give unrelated streams.
    init(seed: UInt64, stream: UInt64) {
        state = Self.mix(Self.mix(seed &+ 0x9E37_79B9_7F4A_7C15) ^ (stream &* 0xD1B5_4A32_D192_ED03))
    }

    private static func mix(_ value: UInt64) -> UInt64 {
        var z = value
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func bits() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return Self.mix(state)
    }

    /// Uniform in [0, 1).
    mutating func uniform() -> Double { Double(bits() >> 11) * 0x1p-53 }

    /// Close to normal with mean 0 and standard deviation 1, within ±3.5: the sum of four 16-bit uniforms. Additions and
    /// multiplications only, so the value is the same on every machine, which a library's logarithm does not promise.
    mutating func gaussian() -> Double {
        let word = bits()
        let sum = (word & 0xFFFF) + ((word >> 16) & 0xFFFF) + ((word >> 32) & 0xFFFF) + (word >> 48)
        // Each part has variance 65536² / 12; four of them have the standard deviation 65536 / √3.
        return (Double(sum) - 131_070) * (1.732_050_807_568_877_2 / 65_536)
    }
}
