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

    private var state: [LibraryBenchmark.Result] = []

    /// What an entity takes, and what a million of them cost.
    mutating func addState(_ results: [LibraryBenchmark.Result]) { state = results }

    /// How much more an event costs among many entities than among few, by medians.
    private var growth: Double? {
        func median(_ result: LibraryBenchmark.Result) -> Double { result.rates.sorted()[result.rates.count / 2] }
        guard let few = state.first, let many = state.last, !few.rates.isEmpty, !many.rates.isEmpty else { return nil }
        return median(few) / median(many)
    }

    /// The most that an entity takes in any measurement with enough of them for fixed parts not to count.
    private var bytesPerEntity: Double? { state.filter { $0.entities >= 1_000 }.map(\.bytesPerEntity).max() }

    var table: String {
        func thousands(_ value: Double) -> String { "\(Int((value / 1000).rounded())) k" }
        func pad(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: max(0, width - text.count)) }
        func verdict(_ isReached: Bool) -> String { isReached ? "reached" : "missed" }
        var lines = rows.map { row in
            pad(row.name, 46) + pad(thousands(row.median), 10) + pad("(\(thousands(row.lowest)) to \(thousands(row.highest)))", 22)
                + (row.goal.map { "goal \(thousands($0)): " + verdict(row.median >= $0) } ?? "")
        }
        if let growth {
            lines.append(
                pad("cost per event, 1,000,000 entities by 100", 46) + pad("\((growth * 100).rounded() / 100)", 32) + "goal at most 2: "
                    + verdict(growth <= 2))
        }
        if let bytesPerEntity {
            lines.append(
                pad("bytes per entity, six aggregates", 46) + pad("\(Int(bytesPerEntity.rounded()))", 32) + "goal at most 1024: "
                    + verdict(bytesPerEntity <= 1_024))
        }
        return pad(unit, 46) + "median\n" + lines.joined(separator: "\n")
    }

    /// `{"unit", "rows": [{"name", "median", "lowest", "highest", "goal"}], "growth", "bytes_per_entity"}`; the last two where they were measured.
    var json: [UInt8] {
        let items = rows.map { row -> JSONValue in
            .object([
                JSONMember("name", .string(row.name)), JSONMember("median", .number(row.median)), JSONMember("lowest", .number(row.lowest)),
                JSONMember("highest", .number(row.highest)), JSONMember("goal", row.goal.map { .number($0) } ?? .null),
            ])
        }
        var members = [JSONMember("unit", .string(unit)), JSONMember("rows", .array(items))]
        if let growth { members.append(JSONMember("growth", .number(growth))) }
        if let bytesPerEntity { members.append(JSONMember("bytes_per_entity", .number(bytesPerEntity))) }
        return Array(JSONValue.object(members).pretty.utf8)
    }
}
