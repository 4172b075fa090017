import CSimdJSON

/// Numbers as JSON text, without allocation.
public enum NumberText {
    /// The shortest decimal text that reads back as the same double; whole numbers without ".0", beyond 15 digits with an
    /// exponent. NaN and infinities have no JSON form: `null`. About 30 ns, 10 ns for whole numbers.
    ///
    /// Source: std::to_chars (Ryu; Adams, PLDI 2018).
    public static func append(_ value: Double, to bytes: inout [UInt8]) {
        guard value.isFinite else {
            bytes.append(contentsOf: null)
            return
        }
        if value.magnitude < 1e15 {
            let whole = Int64(value)
            if Double(whole) == value {
                // "-0" would read back as the integer 0.
                if whole == 0, value.sign == .minus {
                    bytes.append(contentsOf: minusZero)
                } else {
                    append(whole, to: &bytes)
                }
                return
            }
            if value.magnitude < 1e9, appendThousandths(value, to: &bytes) { return }
        }
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 32) { buffer in
            guard let base = buffer.baseAddress else { return }
            let count = vyuha_format_double(value, base)
            bytes.append(contentsOf: UnsafeRawBufferPointer(start: base, count: count))
        }
    }

    /// A number with at most three decimals, as most readings are, in a third of the time: what has at most 15 digits and reads back as the
    /// same double is the shortest such text. False for any other number. Small ones have an exponent and are left to the full way.
    private static func appendThousandths(_ value: Double, to bytes: inout [UInt8]) -> Bool {
        let magnitude = value.magnitude
        let thousandths = (magnitude * 1000).rounded()
        guard magnitude >= 0.001, thousandths / 1000 == magnitude else { return false }
        let (whole, part) = Int64(thousandths).quotientAndRemainder(dividingBy: 1000)
        if value < 0 { bytes.append(UInt8(ascii: "-")) }
        append(UInt64(whole), to: &bytes)
        bytes.append(UInt8(ascii: "."))
        bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: part / 100))
        if part % 100 != 0 { bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: part / 10 % 10)) }
        if part % 10 != 0 { bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: part % 10)) }
        return true
    }

    public static func append(_ value: Int64, to bytes: inout [UInt8]) {
        if value < 0 { bytes.append(UInt8(ascii: "-")) }
        append(value.magnitude, to: &bytes)
    }

    public static func append(_ value: UInt64, to bytes: inout [UInt8]) {
        if value < 10 {
            bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value))
            return
        }
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { buffer in
            var rest = value
            var index = 20
            while rest > 0 {
                let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
                index -= 1
                buffer[index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: digit)
                rest = quotient
            }
            bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[index..<20]))
        }
    }

    public static func string(_ value: Double) -> String {
        var bytes: [UInt8] = []
        append(value, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    static let null = Array("null".utf8)
    private static let minusZero = Array("-0.0".utf8)
}
