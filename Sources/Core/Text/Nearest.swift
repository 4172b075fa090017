/// "Did you mean": the known name that a mistyped one is nearest to.
public enum Nearest {
    /// The nearest of `names`, or nil when none is near: at most a third of the letters wrong, missing, too many or swapped
    /// with a neighbour, and never more than three. Upper and lower case count as equal. The first of equals wins.
    ///
    /// Words of more than 100 letters have no nearest name, which bounds the cost: letters × letters a name.
    /// Source: optimal string alignment (Damerau 1964; Boytsov, "Indexing methods for approximate dictionary searching", 2011).
    public static func name(to word: String, in names: some Sequence<String>) -> String? {
        let letters = Array(word.lowercased())
        guard !letters.isEmpty, letters.count <= 100 else { return nil }
        var best: (name: String, distance: Int)?
        for name in names {
            let other = Array(name.lowercased())
            let allowed = min(3, max(1, max(letters.count, other.count) / 3))
            guard abs(letters.count - other.count) <= allowed else { continue }
            let distance = distance(letters, other)
            if distance <= allowed, distance < best?.distance ?? .max { best = (name, distance) }
        }
        return best?.name
    }

    /// ` Did you mean `x`?` with its leading space, or nothing when no name is near.
    public static func sentence(_ word: String, in names: some Sequence<String>) -> String {
        name(to: word, in: names).map { " Did you mean `\($0)`?" } ?? ""
    }

    /// Edits (insert, delete, replace, swap of neighbours) that make one word of the other.
    static func distance(_ a: [Character], _ b: [Character]) -> Int {
        var beforeLast = [Int](repeating: 0, count: b.count + 1)
        var last = Array(0...b.count)
        for i in 0..<a.count {
            var row = [i + 1]
            row.reserveCapacity(b.count + 1)
            for j in 0..<b.count {
                var cost = min(last[j + 1] + 1, row[j] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = min(cost, beforeLast[j - 1] + 1) }
                row.append(cost)
            }
            (beforeLast, last) = (last, row)
        }
        return last[b.count]
    }
}
