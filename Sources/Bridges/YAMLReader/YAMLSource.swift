/// The text that nodes come from, shared by them: to point into a scalar that spans lines.
final class YAMLSource: Sendable {
    let file: String
    let lines: [[Unicode.Scalar]]

    init(file: String, text: String) {
        self.file = file
        var lines: [[Unicode.Scalar]] = [[]]
        var previous: Unicode.Scalar?
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n" where previous == "\r": break
            case "\n", "\r", "\u{85}", "\u{2028}", "\u{2029}": lines.append([])
            default: lines[lines.count - 1].append(scalar)
            }
            previous = scalar
        }
        self.lines = lines
    }

    /// Where the scalar at `offset` of a value that starts at `mark` stands in the file, or `mark` when that cannot be told
    /// (escapes).
    func place(_ offset: Int, in value: [Unicode.Scalar], style: YAMLScalar.Style, from mark: YAMLMark) -> YAMLMark {
        guard (1...lines.count).contains(mark.line) else { return mark }
        let isBlock = style == .literal || style == .folded
        let quotes = style == .singleQuoted || style == .doubleQuoted ? 1 : 0
        var line = isBlock ? mark.line + 1 : mark.line
        var start = isBlock ? indent(line) : mark.column - 1 + quotes
        // A scalar is its source lines without their indent, joined by one character each (a space or a line break).
        var consumed = 0
        while line <= lines.count {
            let text = lines[line - 1]
            let rest = text[min(start, text.count)...]
            let wanted = value[min(consumed, value.count)...]
            let same = zip(rest, wanted).prefix { $0 == $1 }.count
            if offset < consumed + same || offset == consumed + same && offset >= value.count {
                return YAMLMark(line: line, column: start + offset - consumed + 1)
            }
            let next = consumed + same
            guard next < value.count, value[next] == " " || value[next] == "\n" else { return mark }
            if offset == next { return YAMLMark(line: line, column: start + same + 1) }
            consumed = next + 1
            line += 1
            if !isBlock { start = indent(line) }
        }
        return mark
    }

    private func indent(_ line: Int) -> Int {
        guard (1...lines.count).contains(line) else { return 0 }
        return lines[line - 1].prefix { $0 == " " || $0 == "\t" }.count
    }
}
