/// Numbers in text, such as the fields of a CSV file, read strictly.
public enum TextNumber {
    /// The value of `[+-]digits[.digits][(e|E)[+-]digits]` (one of the two groups of digits may be absent), correctly rounded.
    ///
    /// Nil when the whole range is anything else: spaces, `NaN`, `inf`, hexadecimal, thousands separators, or a number too large for a
    /// `Double`. Cost: about 10 ns up to 19 digits; only longer ones and extreme exponents take a slower path that allocates.
    public static func parse(_ bytes: [UInt8], _ range: Range<Int>) -> Double? {
        guard range.lowerBound >= 0, range.upperBound <= bytes.count, !range.isEmpty else { return nil }
        return bytes.withUnsafeBufferPointer { parse(UnsafeBufferPointer(rebasing: $0[range])) }
    }

    private static let powers: [Double] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
    ]

    private static func parse(_ text: UnsafeBufferPointer<UInt8>) -> Double? {
        var at = 0
        let isNegative = text[0] == 0x2D
        if isNegative || text[0] == 0x2B { at = 1 }
        var mantissa: UInt64 = 0
        var digits = 0
        var significant = 0
        var exponent = 0
        func take(_ isFraction: Bool) {
            while at < text.count {
                let digit = text[at] &- 0x30
                guard digit < 10 else { return }
                if significant < 19 {
                    mantissa = mantissa * 10 + UInt64(digit)
                    if mantissa != 0 { significant += 1 }
                    if isFraction { exponent -= 1 }
                } else {
                    significant += 1
                    if !isFraction { exponent += 1 }
                }
                digits += 1
                at += 1
            }
        }
        take(false)
        if at < text.count, text[at] == 0x2E {
            at += 1
            take(true)
        }
        guard digits > 0 else { return nil }
        if at < text.count, text[at] | 0x20 == 0x65 {
            at += 1
            var isDown = false
            if at < text.count, text[at] == 0x2D || text[at] == 0x2B {
                isDown = text[at] == 0x2D
                at += 1
            }
            let first = at
            var value = 0
            while at < text.count {
                let digit = text[at] &- 0x30
                guard digit < 10 else { break }
                if value < 100_000 { value = value * 10 + Int(digit) }
                at += 1
            }
            guard at > first else { return nil }
            exponent += isDown ? -value : value
        }
        guard at == text.count else { return nil }
        // Clinger's fast path: both factors are exact, so the one rounding of the product or quotient is the right one.
        if significant <= 19, mantissa <= 1 << 53, abs(exponent) <= 22 {
            let value = Double(mantissa)
            let scaled = exponent < 0 ? value / powers[-exponent] : value * powers[exponent]
            return isNegative ? -scaled : scaled
        }
        guard let value = Double(String(decoding: text, as: UTF8.self)), value.isFinite else { return nil }
        return value
    }
}
