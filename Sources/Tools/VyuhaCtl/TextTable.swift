/// Aligned columns for people: the first to the left, the others to the right unless said otherwise.
struct TextTable {
    private var rows: [[String]]
    private let leftColumns: Set<Int>

    init(_ header: [String], leftColumns: Set<Int> = [0]) {
        rows = [header]
        self.leftColumns = leftColumns
    }

    mutating func add(_ row: [String]) { rows.append(row) }

    var text: String {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
        return rows.map { row in
            let cells = row.enumerated().map { column, cell in
                leftColumns.contains(column)
                    ? StatusView.pad(StatusView.plainText(cell), widths[column]) : StatusView.padLeft(cell, widths[column])
            }
            let line = cells.joined(separator: "  ")
            return String(line.reversed().drop { $0 == " " }.reversed())
        }.joined(separator: "\n")
    }
}
