/// "Did you mean": the known name that is closest to a mistyped one.
enum Suggestion {
    /// ` Did you mean `x`?` with its leading space, or nothing when no name is close.
    static func sentence(_ name: String, among known: [String]) -> String {
        closest(to: name, among: known).map { " Did you mean `\($0)`?" } ?? ""
    }

    static func closest(to name: String, among known: [String]) -> String? {
        let target = Array(name.lowercased().utf8.prefix(64))
        let limit = max(1, target.count / 3)
        var best: (name: String, distance: Int)?
        for candidate in known {
            let distance = distance(target, Array(candidate.lowercased().utf8.prefix(64)))
            if distance <= limit, distance < best?.distance ?? .max { best = (candidate, distance) }
        }
        return best?.name
    }

    /// Edits (insert, delete, replace, swap of neighbours) between two words: restricted Damerau–Levenshtein.
    static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
        var older = [Int](repeating: 0, count: b.count + 1)
        var previous = Array(0...b.count)
        var current = previous
        for i in 0..<a.count {
            current[0] = i + 1
            for j in 0..<b.count {
                var cost = min(previous[j + 1] + 1, current[j] + 1, previous[j] + (a[i] == b[j] ? 0 : 1))
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = min(cost, older[j - 1] + 1) }
                current[j + 1] = cost
            }
            (older, previous, current) = (previous, current, older)
        }
        return previous[b.count]
    }
}
