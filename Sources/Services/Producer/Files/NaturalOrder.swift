/// The order of file names in which a number counts as a number: `part-9` before `part-10`.
enum NaturalOrder {
    /// Compares runs of digits by their value, everything else byte by byte; what is equal then, such as `1` and `01`, by its bytes.
    static func isBefore(_ first: String, _ second: String) -> Bool {
        let (a, b) = (Array(first.utf8), Array(second.utf8))
        var (i, j) = (0, 0)
        while i < a.count, j < b.count {
            if isDigit(a[i]), isDigit(b[j]) {
                let (left, right) = (number(a, &i), number(b, &j))
                if left.count != right.count { return left.count < right.count }
                for (x, y) in zip(left, right) where x != y { return x < y }
            } else {
                if a[i] != b[j] { return a[i] < b[j] }
                i += 1
                j += 1
            }
        }
        if a.count - i != b.count - j { return a.count - i < b.count - j }
        return a.lexicographicallyPrecedes(b)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }

    /// The run of digits without zeros in front; `index` moves behind it.
    private static func number(_ text: [UInt8], _ index: inout Int) -> ArraySlice<UInt8> {
        let start = index
        while index < text.count, isDigit(text[index]) { index += 1 }
        return text[start..<index].drop { $0 == UInt8(ascii: "0") }
    }
}
