/// JSON has no largest integer, simdjson does: it refuses what does not fit in 64 bits. Such a number is read as the
/// nearest double, as RFC 8259 section 6 expects of most readers. This happens only to documents that simdjson has
/// refused, so its cost does not matter.
enum LongIntegers {
    /// The document with ".0" after every integer of 19 digits or more outside strings; nil when there is none.
    static func asDoubles(_ bytes: [UInt8], _ range: Range<Int>) -> [UInt8]? {
        var result: [UInt8] = []
        var copied = range.lowerBound
        var index = range.lowerBound
        var inString = false
        while index < range.upperBound {
            let byte = bytes[index]
            if inString {
                if byte == UInt8(ascii: "\\") { index += 1 }
                if byte == UInt8(ascii: "\"") { inString = false }
                index += 1
            } else if isDigit(byte) {
                let first = index
                while index < range.upperBound, isDigit(bytes[index]) { index += 1 }
                let next = index < range.upperBound ? bytes[index] : UInt8(ascii: " ")
                let isFraction = first > range.lowerBound && (bytes[first - 1] == UInt8(ascii: ".") || isExponent(bytes, first))
                if index - first >= 19, !isFraction, next != UInt8(ascii: "."), next | 0x20 != UInt8(ascii: "e") {
                    result.append(contentsOf: bytes[copied..<index])
                    result.append(UInt8(ascii: "."))
                    result.append(UInt8(ascii: "0"))
                    copied = index
                }
            } else {
                inString = byte == UInt8(ascii: "\"")
                index += 1
            }
        }
        guard !result.isEmpty else { return nil }
        result.append(contentsOf: bytes[copied..<range.upperBound])
        return result
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }

    /// Whether the digits that start at `first` follow `e`, `e+` or `e-`.
    private static func isExponent(_ bytes: [UInt8], _ first: Int) -> Bool {
        var before = first - 1
        if before > 0, bytes[before] == UInt8(ascii: "-") || bytes[before] == UInt8(ascii: "+") { before -= 1 }
        return bytes[before] | 0x20 == UInt8(ascii: "e")
    }
}
