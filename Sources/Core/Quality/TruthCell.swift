/// A cell of a table that says whether its row is an anomaly, or is not to be judged.
///
/// Whatever people and libraries write is read alike by all who read such cells: `1`, `1.0`, `true`, `yes`, `y`, `t`, `on`; `0`, `0.0`, `false`, `no`, `n`,
/// `f`, `off`, or nothing; small or capital, with blanks around.
public enum TruthCell {
    private static let positive = ["true", "yes", "y", "t", "on"]
    private static let negative = ["false", "no", "n", "f", "off"]
    /// What may be in such a cell, for sentences.
    public static let expected = "1, true or yes, 0, false or no, or nothing"

    /// - Parameter range: the cell's bytes.
    /// - Returns: nil where the cell says neither.
    public static func read(_ bytes: [UInt8], _ range: Range<Int>) -> Bool? {
        var cell = bytes[range]
        while let byte = cell.first, byte == 0x20 || byte == 0x09 { cell.removeFirst() }
        while let byte = cell.last, byte == 0x20 || byte == 0x09 { cell.removeLast() }
        guard let first = cell.first else { return false }
        if first == UInt8(ascii: "0") || first == UInt8(ascii: "1") { return isWhole(cell) ? first == UInt8(ascii: "1") : nil }
        // The longest word is `false`.
        guard cell.count <= 5 else { return nil }
        if positive.contains(where: { isWord($0, cell) }) { return true }
        return negative.contains(where: { isWord($0, cell) }) ? false : nil
    }

    /// One digit, and behind a point zeros at most.
    private static func isWhole(_ cell: ArraySlice<UInt8>) -> Bool {
        let rest = cell.dropFirst()
        return rest.isEmpty || (rest.first == UInt8(ascii: ".") && rest.dropFirst().allSatisfy { $0 == UInt8(ascii: "0") })
    }

    private static func isWord(_ word: String, _ cell: ArraySlice<UInt8>) -> Bool { cell.elementsEqual(word.utf8) { $0 | 0x20 == $1 } }
}
