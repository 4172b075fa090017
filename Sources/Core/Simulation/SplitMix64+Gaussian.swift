import Text

extension SplitMix64 {
    /// Close to normal with mean 0 and standard deviation 1, within ±3.5: the sum of four 16-bit uniforms. Additions and
    /// multiplications only, so the value is the same on every machine, which a library's logarithm does not promise.
    mutating func gaussian() -> Double {
        let word = next()
        let sum = (word & 0xFFFF) + ((word >> 16) & 0xFFFF) + ((word >> 32) & 0xFFFF) + (word >> 48)
        // Each part has variance 65536² / 12; four of them have the standard deviation 65536 / √3.
        return (Double(sum) - 131_070) * (1.732_050_807_568_877_2 / 65_536)
    }
}
