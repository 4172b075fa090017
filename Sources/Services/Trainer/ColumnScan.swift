import CSVReader
import ServiceKit
import Text

/// Which columns of a file are features: those of numbers that are neither the time, the entity, excluded, nor by their name a label or an
/// identifier. Each of the others is left out with its reason, since a column that vanishes in silence is a wrong model.
struct ColumnScan {
    private let columns: ColumnChoice
    private let names: [String]
    private var rows = 0
    private var numbers: [Int]
    private var texts: [(count: Int, line: Int, first: String)]

    /// Names that say that a column is the truth; a detector that sees it finds everything and learns nothing.
    static let labels: Set<String> = [
        "label", "labels", "anomaly", "is_anomaly", "anomaly_type", "outlier", "is_outlier", "target", "class", "ground_truth", "fraud", "is_fraud",
        "attack",
    ]

    /// Reads the whole file.
    init(path: String, columns: ColumnChoice) throws {
        let reader = try CSVReader(path: path)
        // One list may serve for files of several kinds; a slip of the pen shows here.
        let absent = (columns.excluded + columns.included).filter { reader.column($0) == nil }
        if !absent.isEmpty {
            let names = reader.columns.joined(separator: ", ")
            Service.standardError("\(path) has no column \(absent.joined(separator: ", ")) to exclude or include; it has \(names).\n")
        }
        self.columns = columns
        names = reader.columns
        numbers = [Int](repeating: 0, count: names.count)
        texts = [(count: Int, line: Int, first: String)](repeating: (0, 0, ""), count: names.count)
        while let status = try reader.next() {
            guard status == .ok else { continue }
            rows += 1
            for index in names.indices where !reader.fields[index].isEmpty {
                if TextNumber.parse(reader.bytes, reader.fields[index]) != nil {
                    numbers[index] += 1
                } else {
                    if texts[index].count == 0 { texts[index] = (0, reader.line, String(reader.string(index).prefix(40))) }
                    texts[index].count += 1
                }
            }
        }
    }

    /// Features, and the others as `name (reason)`.
    func choice() -> (features: [String], leftOut: [String]) {
        var result: (features: [String], leftOut: [String]) = ([], [])
        for (index, name) in names.enumerated() where name != columns.timestamp && name != columns.entity {
            if let reason = reason(index) { result.leftOut.append("\(name) (\(reason))") } else { result.features.append(name) }
        }
        return result
    }

    private func reason(_ index: Int) -> String? {
        let name = names[index]
        if columns.excluded.contains(name) { return "excluded" }
        if columns.label == name { return "the label" }
        let (count, line, first) = texts[index]
        if count > 0 { return "text in \(count) of \(rows) rows, first in line \(line): `\(first)`" }
        if numbers[index] == 0 { return "empty" }
        guard !columns.included.contains(name) else { return nil }
        let plain = name.lowercased()
        if Self.labels.contains(plain) { return "looks like a label; --include \(name) takes it" }
        if plain == "id" || plain.hasSuffix("_id") { return "looks like an identifier; --include \(name) takes it" }
        return nil
    }
}
