import CSVReader
import Features
import Text

/// The judged rows of a test file, in its order, with their scores.
struct LabelledScores {
    var scores: [Double] = []
    var labels: [Bool] = []
    /// What `is_anomaly` says; empty where there is no such column.
    var flags: [Bool] = []
    /// Milliseconds since 1970; empty unless every judged row has a date.
    var times: [Int64] = []
    /// Rows that are not judged: marked so, or unreadable.
    var ignored = 0

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    init() {}

    init(_ settings: EvaluateSettings) throws {
        let test = try CSVReader(path: settings.test)
        let scored = try CSVReader(path: settings.scores)
        let label = try FileTable.index(of: settings.label, in: test)
        let ignore = try settings.ignore.map { try FileTable.index(of: $0, in: test) }
        let timestamp = try settings.timestamp.map { try FileTable.index(of: $0, in: test) }
        let score = try FileTable.index(of: "score", in: scored)
        let flag = scored.column("is_anomaly")
        while let status = try test.next() {
            guard try scored.next() == .ok else {
                throw Failure(description: "\(settings.scores) has no score for line \(test.line) of \(settings.test): both need the same rows.")
            }
            guard let value = TextNumber.parse(scored.bytes, scored.fields[score]), value.isFinite else {
                throw Failure(description: "\(settings.scores):\(scored.line): the score \"\(scored.string(score))\" is no number.")
            }
            guard status == .ok, try ignore.map({ try test.truth($0) }) != true else {
                ignored += 1
                continue
            }
            scores.append(value)
            labels.append(try test.truth(label))
            if let flag { flags.append(try scored.truth(flag)) }
            if let timestamp, let time = Self.date(test, timestamp) { times.append(time) }
        }
        guard try scored.next() == nil else {
            throw Failure(description: "\(settings.scores) has more lines than \(settings.test) has rows: both need the same rows.")
        }
        guard !scores.isEmpty else { throw Failure(description: "\(settings.test) has no row to judge.") }
        if times.count != scores.count { times = [] }
    }

    /// A date, or seconds or milliseconds since 1970 that are later than 1973. Smaller numbers are row numbers: nil.
    private static func date(_ reader: CSVReader, _ index: Int) -> Int64? {
        guard let number = TextNumber.parse(reader.bytes, reader.fields[index]) else { return ISO8601.parse(reader.bytes, reader.fields[index]) }
        if number >= 1e11, number < 1e14 { return Int64(number) }
        return number >= 1e8 && number < 1e11 ? Int64(number * 1000) : nil
    }
}
