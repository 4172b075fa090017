import JSON

/// Results of `benchmarks stream` and `benchmarks scorer`: medians beside their goals.
struct StreamReport {
    let unit: String
    private var rows: [(name: String, median: Double, lowest: Double, highest: Double, goal: Double?)] = []

    init(unit: String = "events per CPU second") { self.unit = unit }

    mutating func add(_ name: String, _ rates: [Double], goal: Double?) {
        let sorted = rates.sorted()
        guard let lowest = sorted.first, let highest = sorted.last else { return }
        rows.append((name, sorted[sorted.count / 2], lowest, highest, goal))
    }

    var table: String {
        func thousands(_ value: Double) -> String { "\(Int((value / 1000).rounded())) k" }
        func pad(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: max(0, width - text.count)) }
        let lines = rows.map { row in
            pad(row.name, 46) + pad(thousands(row.median), 10) + pad("(\(thousands(row.lowest)) to \(thousands(row.highest)))", 22)
                + (row.goal.map { "goal \(thousands($0)): " + (row.median >= $0 ? "reached" : "missed") } ?? "")
        }
        return pad(unit, 46) + "median\n" + lines.joined(separator: "\n")
    }

    var json: [UInt8] {
        let items = rows.map { row -> JSONValue in
            .object([
                JSONMember("name", .string(row.name)), JSONMember("median", .number(row.median)), JSONMember("lowest", .number(row.lowest)),
                JSONMember("highest", .number(row.highest)), JSONMember("goal", row.goal.map { .number($0) } ?? .null),
            ])
        }
        return Array(JSONValue.object([JSONMember("unit", .string(unit)), JSONMember("rows", .array(items))]).pretty.utf8)
    }
}
