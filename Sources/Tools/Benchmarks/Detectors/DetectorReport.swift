import JSON

/// Results of `benchmarks detectors`: ours, the library's, the ratio and its goal.
struct DetectorReport {
    enum Unit { case rows, seconds }

    private struct Line {
        var name: String
        var ours: Double
        var theirs: Double?
        var unit: Unit
        var peer: String
        var goal: Double?

        /// How many times faster than the library.
        var ratio: Double? { theirs.map { unit == .rows ? ours / $0 : $0 / ours } }
    }

    private let peers: [String: Double]
    private var lines: [Line] = []

    init(peers: [String: Double]) { self.peers = peers }

    mutating func add(_ name: String, _ value: Double, _ unit: Unit, peer: String?, goal: Double?) {
        let library =
            peer.map { $0.hasSuffix("ONNX") ? "ONNX Runtime" : name.hasPrefix("half-space") ? "River" : "scikit-learn" } ?? ""
        lines.append(Line(name: name, ours: value, theirs: peer.flatMap { peers[$0] }, unit: unit, peer: library, goal: goal))
    }

    var table: String {
        func pad(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: max(1, width - text.count)) }
        func short(_ value: Double) -> String { "\((value * 100).rounded() / 100)" }
        func text(_ value: Double, _ unit: Unit) -> String {
            unit == .seconds ? "\((value * 10_000).rounded() / 10_000) s" : "\(Int((value / 1000).rounded())) k"
        }
        let rows = lines.map { line in
            pad(line.name, 28) + pad(text(line.ours, line.unit), 12) + pad(line.peer, 14) + pad(line.theirs.map { text($0, line.unit) } ?? "-", 12)
                + pad(line.ratio.map { short($0) + " x" } ?? "", 10)
                + (line.goal.map { goal in "goal \(goal) x" + (line.ratio.map { $0 >= goal ? ": reached" : ": missed" } ?? "") } ?? "")
        }
        return "rows per CPU second, CPU seconds of a fit; one thread\n" + rows.joined(separator: "\n")
    }

    var json: [UInt8] {
        let items = lines.map { line -> JSONValue in
            .object([
                JSONMember("name", .string(line.name)), JSONMember("unit", .string(line.unit == .rows ? "rows per CPU second" : "CPU seconds")),
                JSONMember("ours", .number(line.ours)), JSONMember("library", .string(line.peer)),
                JSONMember("theirs", line.theirs.map { .number($0) } ?? .null), JSONMember("ratio", line.ratio.map { .number($0) } ?? .null),
                JSONMember("goal", line.goal.map { .number($0) } ?? .null),
            ])
        }
        return Array(JSONValue.object([JSONMember("detectors", .array(items))]).pretty.utf8)
    }
}
