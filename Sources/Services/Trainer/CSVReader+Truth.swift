import CSVReader
import Quality

extension CSVReader {
    /// Whether a cell of the current row says yes.
    func truth(_ column: Int) throws(TruthError) -> Bool {
        guard let truth = TruthCell.read(bytes, fields[column]) else {
            throw TruthError(
                description:
                    "\(file):\(line): \"\(string(column))\" in the column `\(columns[column])` says neither yes nor no; it takes \(TruthCell.expected)."
            )
        }
        return truth
    }
}

/// A cell that should say yes or no and does not.
struct TruthError: Error, CustomStringConvertible {
    let description: String
}
