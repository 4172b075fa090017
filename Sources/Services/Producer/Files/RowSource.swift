import Contracts
import Features
import Quality
import ServiceKit
import Text
import UseCases

/// Rows of files: one file, the files of a folder in order of their names, a file again and again with its times moved on, or a file that grows.
final class RowSource<Rows: RowReader>: EventSource {
    let name: String
    let canResume: Bool
    let columns: [Int]
    let header: [String]

    private let format: FileFormat
    private let schema: EventSchema
    private let key: RowKey
    private let timeColumn: Int
    private let timeFormat: TimestampFormat
    private let labelColumn: Int?
    private let kindColumn: Int?
    private let startColumn: Int?
    private let endColumn: Int?
    private let ignoreColumn: Int?
    /// Milliseconds from one pass to the next; nil where the file is read once.
    private let period: Int64?

    // One thread owns a source, so the run-time checks of exclusive access would only cost: they are a tenth of the time per row.
    @exclusivity(unchecked) private var files: FileWalk
    @exclusivity(unchecked) private var rows: Rows
    /// The name of the file that is read, as the ids have it.
    private var idStem: [UInt8]
    @exclusivity(unchecked) private var pass = 1
    @exclusivity(unchecked) private var count: Int64 = 0
    @exclusivity(unchecked) private var shifted: [UInt8] = []
    @exclusivity(unchecked) private var shiftedFields: [Range<Int>] = []
    @exclusivity(unchecked) private(set) var id: [UInt8] = []
    @exclusivity(unchecked) private var isShifted = false
    /// The file has no name of its own yet.
    private var isWaiting: Bool
    /// Rows until a followed file is compared with what it was; at its end it is each time.
    @exclusivity(unchecked) private var untilCompared = 0
    private let log: Logger?
    private let shouldWait: (@Sendable () -> Bool)?

    private static var comparedRows: Int { 2_000 }

    /// - Parameters:
    ///   - path: a file, a folder, or `-` for standard input.
    ///   - strict: the file is the use case's own, so a column that it names must be there.
    ///   - loops: begins again at the end; reads the file's times once at the start to know its length.
    ///   - shouldWait: asked while standard input has nothing for now; false ends it.
    init(
        path: String, csv format: FileFormat, schema: EventSchema, strict: Bool, loops: Bool, log: Logger? = nil,
        shouldWait: (@Sendable () -> Bool)? = nil
    ) throws {
        self.log = log
        self.shouldWait = path == "-" ? shouldWait : nil
        let files = try FileWalk(path: path, follows: format.follow, lines: Rows.identifyingLines)
        let first = files.current
        let reader = try Rows(path: first.path, format: format, schema: schema, follows: format.follow, shouldWait: shouldWait)
        self.files = files
        self.format = format
        self.schema = schema
        rows = reader
        canResume = path != "-"
        isWaiting = format.follow && files.isSingle && first.cursor.isEmpty
        name = files.name
        idStem = Self.stem(first)
        let columnNames = reader.columns
        header = columnNames
        do {
            // Names every column that is missing, in one sentence each.
            _ = try ColumnBinding(schema: schema, header: columnNames, columns: format.columns)
        } catch {
            throw SourceError("\(first.path): \(error.message)" + (reader.hint.map { " " + $0 } ?? ""))
        }
        columns = Columns.find(schema, header: columnNames, named: format.columns)
        key = try RowKey(schema: schema, header: columnNames, columns: columns, isInOrder: true)
        timeColumn = columns[schema.timeIndex]
        timeFormat = schema.fields[schema.timeIndex].format
        if strict,
            let missing = [format.label, format.labelKind, format.labelStart, format.labelEnd, format.ignore].compactMap({ $0 }).first(where: {
                !columnNames.contains($0)
            })
        {
            throw SourceError("\(first.path): The file has no column `\(missing)`, which the use case names for the truth.")
        }
        labelColumn = format.label.flatMap { columnNames.firstIndex(of: $0) }
        kindColumn = format.labelKind.flatMap { columnNames.firstIndex(of: $0) }
        startColumn = format.labelStart.flatMap { columnNames.firstIndex(of: $0) }
        endColumn = format.labelEnd.flatMap { columnNames.firstIndex(of: $0) }
        ignoreColumn = format.ignore.flatMap { columnNames.firstIndex(of: $0) }
        guard loops else {
            period = nil
            return
        }
        guard files.isSingle, !format.follow else { throw SourceError("--loop needs one file that does not grow, but the source is \(path).") }
        guard TimeText.canWrite(timeFormat) else {
            throw SourceError("--loop moves times on, which it can do for ISO 8601 and epoch times, not for a pattern.")
        }
        period = try FileSpan.measure(
            Rows(path: first.path, format: format, schema: schema, follows: false, shouldWait: nil), key: key, path: first.path)
    }

    var bytes: [UInt8] { isShifted ? shifted : rows.bytes }
    var fields: [Range<Int>] { isShifted ? shiftedFields : rows.fields }
    var raw: ArraySlice<UInt8> { rows.raw }
    var entity: [UInt8] { key.entity }
    var eventTime: Int64 { key.eventTime + shift }
    var position: SourcePosition {
        SourcePosition(
            events: count, pass: pass, line: isWaiting ? 0 : rows.line, start: files.listedAt,
            cursor: files.isSingle && !format.follow ? "" : files.current.cursor)
    }

    var fraction: Double? {
        guard period == nil, !format.follow, let total = rows.totalBytes, total > 0 else { return nil }
        return files.fraction(current: min(1, Double(rows.bytesRead) / Double(total)))
    }

    private var shift: Int64 { Int64(pass - 1) * (period ?? 0) }

    func next() throws -> SourceRow? {
        guard let row = try nextRow() else { return format.follow ? .idle : nil }
        count += 1
        isWaiting = false
        writeID()
        isShifted = false
        guard case .event = row else {
            key.forgetEntity()
            return row
        }
        key.read(rows.bytes, rows.fields)
        if key.hasTime, key.isInRepeatedHour || (pass > 1 && period != nil) { moveTime() }
        return .event
    }

    /// The next row of whichever file has one; nil at the end, or at the end for now.
    private func nextRow() throws -> SourceRow? {
        while true {
            // A file that has just come may have no whole line yet by which to know it.
            if !isWaiting || files.identify() {
                if isWaiting {
                    idStem = Self.stem(files.current)
                    isWaiting = false
                }
                if format.follow, try isAnew() { continue }
                if let row = try rows.next() {
                    // Half a line at a stop is none.
                    if let shouldWait, !shouldWait() { return nil }
                    return row
                }
                untilCompared = 0
            }
            if period != nil {
                try rows.rewind()
                pass += 1
                return try rows.next()
            }
            switch files.step() {
            case .stay:
                nameMissed()
                return nil
            case .lastLook: rows.finish()
            case .next: try turn()
            }
        }
    }

    /// Whether the file that is followed was written anew, and is begun again.
    private func isAnew() throws -> Bool {
        untilCompared -= 1
        guard untilCompared < 0 else { return false }
        untilCompared = Self.comparedRows
        guard files.wasRewritten(readSoFar: rows.bytesRead) else { return false }
        log?.warning("the file was written anew and is read from its beginning", ["file": files.current.path])
        // Its first lines may be the same as before, its rows are others.
        pass += 1
        try turn()
        return true
    }

    private func turn() throws {
        rows = try open(files.current)
        isWaiting = format.follow
        idStem = Self.stem(files.current)
        nameMissed()
    }

    private func nameMissed() {
        guard !files.missed.isEmpty else { return }
        for file in files.takeMissed() {
            log?.warning(
                "a file came or changed behind the one that is read, so it is not read; give it a name that comes after that one",
                ["file": file, "reading": files.current.cursor])
        }
    }

    private func open(_ file: FileWalk.File) throws -> Rows {
        let rows = try Rows(path: file.path, format: format, schema: schema, follows: format.follow, shouldWait: shouldWait)
        guard rows.columns == header else {
            throw SourceError("\(file.path): The columns are not those of the files before it: \(rows.columns.joined(separator: ", ")).")
        }
        return rows
    }

    private static func stem(_ file: FileWalk.File) -> [UInt8] { Array((file.idName + ":").utf8) }

    /// The row with another text in the time column, written behind it.
    private func moveTime() {
        shifted.removeAll(keepingCapacity: true)
        shifted.append(contentsOf: rows.bytes)
        let start = shifted.count
        if case .pattern(_, let zone) = timeFormat {
            shifted.append(contentsOf: rows.bytes[rows.fields[timeColumn]])
            TimeText.appendOffset(zone.offset(atUTC: eventTime), to: &shifted)
        } else {
            TimeText.append(eventTime, timeFormat, to: &shifted)
        }
        shiftedFields.removeAll(keepingCapacity: true)
        shiftedFields.append(contentsOf: rows.fields)
        shiftedFields[timeColumn] = start..<shifted.count
        isShifted = true
    }

    private func writeID() {
        id.removeAll(keepingCapacity: true)
        id.append(contentsOf: idStem)
        Digits.append(Int64(rows.line), to: &id)
        if pass > 1 {
            id.append(UInt8(ascii: ":"))
            Digits.append(Int64(pass), to: &id)
        }
    }

    var truth: Truth {
        guard let isAnomaly = isSet(labelColumn), let ignore = isSet(ignoreColumn) else { return unreadableTruth }
        guard isAnomaly else { return Truth(ignore: ignore) }
        return Truth(isAnomaly: true, ignore: ignore, kind: kindColumn.map(text) ?? "", start: time(startColumn), end: time(endColumn))
    }

    private func time(_ column: Int?) -> Int64? {
        guard let column, column < rows.fields.count else { return nil }
        return ISO8601.parse(rows.bytes, rows.fields[column]).map { $0 + shift }
    }

    /// What a truth column says; nil where it says neither yes nor no.
    private func isSet(_ column: Int?) -> Bool? {
        guard let column, column < rows.fields.count else { return false }
        return TruthCell.read(rows.bytes, rows.fields[column])
    }

    /// The event is as good as any; only how it was judged is not known, so it is not judged.
    private var unreadableTruth: Truth {
        let column = isSet(labelColumn) == nil ? labelColumn : ignoreColumn
        let cell = column.map { "\"\(text($0))\" in the column `\(header[$0])`" } ?? ""
        return Truth(
            ignore: true, problem: "\(name):\(rows.line): \(cell) says neither yes nor no; it takes \(TruthCell.expected).")
    }

    private func text(_ column: Int) -> String {
        column < rows.fields.count ? String(decoding: rows.bytes[rows.fields[column]], as: UTF8.self) : ""
    }

    func resume(at position: SourcePosition) throws {
        pass = max(1, position.pass)
        count = position.events
        guard position.line > 0 || !position.cursor.isEmpty else { return }
        if !position.cursor.isEmpty {
            let isThere = files.resume(at: position.cursor, listedAt: position.start)
            nameMissed()
            rows = try open(files.current)
            idStem = Self.stem(files.current)
            guard isThere else { return }
            isWaiting = false
        }
        guard position.line > 0 else { return }
        try rows.skip(toLine: position.line + 1)
        guard format.follow, rows.line < position.line else { return }
        log?.warning("the file was written anew and is read from its beginning", ["file": files.current.path])
        pass += 1
        rows = try open(files.current)
    }
}

/// A CSV file as a source.
typealias FileSource = RowSource<CSVRows>
