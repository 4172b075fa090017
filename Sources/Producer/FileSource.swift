import Contracts
import CSVReader
import Features
import UseCases

/// Rows of a CSV file, once or again and again with their times moved on.
final class FileSource: EventSource {
    let name: String
    let canResume: Bool
    let columns: [Int]
    let header: [String]

    private let reader: CSVReader
    private let key: RowKey
    private let timeColumn: Int
    private let timeFormat: TimestampFormat
    private let labelColumn: Int?
    private let kindColumn: Int?
    private let ignoreColumn: Int?
    /// Milliseconds from one pass to the next; nil where the file is read once.
    private let period: Int64?

    // One thread owns a source, so the run-time checks of exclusive access would only cost: they are a tenth of the time per row.
    @exclusivity(unchecked) private var pass = 1
    @exclusivity(unchecked) private var rows: Int64 = 0
    @exclusivity(unchecked) private var shifted: [UInt8] = []
    @exclusivity(unchecked) private var shiftedFields: [Range<Int>] = []
    @exclusivity(unchecked) private(set) var id: [UInt8] = []
    @exclusivity(unchecked) private var isShifted = false
    private let idStem: [UInt8]

    /// - Parameters:
    ///   - strict: the file is the use case's own, so a column that it names must be there.
    ///   - loops: begins again at the end; reads the file's times once at the start to know its length.
    init(path: String, csv: CSVSource, schema: EventSchema, strict: Bool, loops: Bool) throws {
        let settings = CSVSettings(delimiter: csv.delimiter, maximumRecordBytes: 1 << 18)
        let reader = try CSVReader(path: path, settings)
        self.reader = reader
        canResume = path != "-"
        name = path == "-" ? "stdin" : String(path.split(separator: "/").last ?? "file")
        idStem = Array((name + ":").utf8)
        header = reader.columns
        do {
            // Names every column that is missing, in one sentence each.
            _ = try ColumnBinding(schema: schema, header: header, columns: csv.columns)
        } catch {
            throw SourceError("\(path): \(error.message)" + (reader.hint.map { " " + $0 } ?? ""))
        }
        columns = Columns.find(schema, header: header, named: csv.columns)
        key = try RowKey(schema: schema, header: header, columns: columns)
        timeColumn = columns[schema.timeIndex]
        timeFormat = schema.fields[schema.timeIndex].format
        if strict, let missing = [csv.label, csv.labelKind, csv.ignore].compactMap({ $0 }).first(where: { !reader.columns.contains($0) }) {
            throw SourceError("\(path): The file has no column `\(missing)`, which the use case names for the truth.")
        }
        labelColumn = csv.label.flatMap { reader.column($0) }
        kindColumn = csv.labelKind.flatMap { reader.column($0) }
        ignoreColumn = csv.ignore.flatMap { reader.column($0) }
        if loops {
            guard TimeText.canWrite(timeFormat) else {
                throw SourceError("--loop moves times on, which it can do for ISO 8601 and epoch times, not for a pattern.")
            }
            period = try FileSpan.measure(path: path, settings: settings, key: key)
        } else {
            period = nil
        }
    }

    var bytes: [UInt8] { isShifted ? shifted : reader.bytes }
    var fields: [Range<Int>] { isShifted ? shiftedFields : reader.fields }
    var raw: ArraySlice<UInt8> { reader.bytes[reader.rawBytes] }
    var entity: [UInt8] { key.entity }
    var eventTime: Int64 { key.eventTime + shift }
    var position: SourcePosition { SourcePosition(events: rows, pass: pass, line: reader.line) }

    var fraction: Double? {
        guard period == nil, let total = reader.totalBytes, total > 0 else { return nil }
        return min(1, Double(reader.bytesRead) / Double(total))
    }

    private var shift: Int64 { Int64(pass - 1) * (period ?? 0) }

    func next() throws -> SourceRow? {
        var status = try reader.next()
        if status == nil, period != nil {
            try reader.rewind()
            pass += 1
            status = try reader.next()
        }
        guard let status else { return nil }
        rows += 1
        writeID()
        isShifted = false
        if let reason = Self.reason(status) {
            key.forgetEntity()
            return .unmappable(reason, status.sentence ?? "The row cannot be read.")
        }
        key.read(reader.bytes, reader.fields)
        if pass > 1, key.hasTime { moveTime() }
        return .event
    }

    private static func reason(_ status: CSVRowStatus) -> DeadLetterReason? {
        switch status {
        case .ok: nil
        case .wrongColumnCount: .columnCount
        case .tooLong: .tooLarge
        case .unterminatedQuote, .binary: .malformed
        }
    }

    /// The row with another text in the time column, written behind it.
    private func moveTime() {
        shifted.removeAll(keepingCapacity: true)
        shifted.append(contentsOf: reader.bytes)
        let start = shifted.count
        TimeText.append(eventTime, timeFormat, to: &shifted)
        shiftedFields.removeAll(keepingCapacity: true)
        shiftedFields.append(contentsOf: reader.fields)
        shiftedFields[timeColumn] = start..<shifted.count
        isShifted = true
    }

    private func writeID() {
        id.removeAll(keepingCapacity: true)
        id.append(contentsOf: idStem)
        Digits.append(Int64(reader.line), to: &id)
        if pass > 1 {
            id.append(UInt8(ascii: ":"))
            Digits.append(Int64(pass), to: &id)
        }
    }

    var truth: Truth {
        Truth(
            isAnomaly: isSet(labelColumn), ignore: isSet(ignoreColumn),
            kind: kindColumn.map { $0 < reader.fields.count ? reader.string($0) : "" } ?? "")
    }

    /// Whether a truth column says yes: anything but empty, zero, false or no.
    private func isSet(_ column: Int?) -> Bool {
        guard let column, column < reader.fields.count else { return false }
        let range = reader.fields[column]
        if range.count <= 1 { return !range.isEmpty && reader.bytes[range.lowerBound] != UInt8(ascii: "0") }
        return !["false", "no", "0.0", "False", "FALSE"].contains(reader.string(column))
    }

    func resume(at position: SourcePosition) throws {
        pass = max(1, position.pass)
        rows = position.events
        if position.line > 0 { try reader.skip(toLine: position.line + 1) }
    }
}
