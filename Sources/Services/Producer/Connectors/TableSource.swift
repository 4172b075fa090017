import Platform
import Contracts
import Features
import JSON
import PostgresClient
import ServiceKit
import Text
import UseCases

/// The rows of a PostgreSQL table or view, in the order of a watermark column, in batches. One owner thread.
///
/// An id is the watermark and the key. A row is read when its watermark comes after those read before: rows must become visible in that order,
/// as with a time that is set at the commit's end, or a writer of its own. A row without a key or a watermark has no place in that order: it becomes a dead
/// letter, once.
final class TableSource: EventSource {
    let name: String
    let canResume = true
    let header: [String]
    let columns: [Int]

    private let table: PolledTable
    private let address: String
    private let service: Service
    private let key: RowKey
    private let watermarkColumn: Int
    private let keyColumn: Int
    private let requests: Counter
    private var retry: SourceRetry

    private var connection: PostgresConnection?
    /// Whether the table lets them be NULL; as long as it is not known, it may.
    private var mayBeNull = (watermark: true, key: true)
    private var hasWarned = false
    /// The texts of the rows that were read and not given yet, and which of them is the next one.
    private var texts: [UInt8] = []
    private var ranges: [Range<Int>] = []
    private var rowCount = 0
    private var nextRow = 0
    /// Whether the rows that were read are those without a watermark.
    private var areUnplaced = false
    private var place = TablePlace()
    private var notBefore = 0.0
    private var unplacedNotBefore = 0.0
    private var count: Int64 = 0
    private(set) var bytes: [UInt8] = []
    private(set) var fields: [Range<Int>]
    private(set) var id: [UInt8] = []

    /// Seconds between two looks for rows without a watermark: they come by mistake, and the look may cost a whole table where no index helps.
    private static let unplacedInterval = 60.0

    init(_ table: PolledTable, address: String, schema: EventSchema, service: Service) throws {
        self.table = table
        self.address = address
        self.service = service
        name = table.table
        var names: [String] = []
        for column in schema.fields.map({ table.columns[$0.name] ?? $0.name }) + [table.watermark, table.key] where !names.contains(column) {
            names.append(column)
        }
        header = names
        columns = Columns.find(schema, header: names, named: table.columns)
        key = try RowKey(schema: schema, header: names, columns: columns)
        watermarkColumn = names.firstIndex(of: table.watermark) ?? 0
        keyColumn = names.firstIndex(of: table.key) ?? 0
        fields = Array(repeating: 0..<0, count: names.count)
        requests = service.metrics.counter("vyuha_source_requests_total", "Questions asked of the API or the database.")
        retry = SourceRetry(name, maximum: 15_000, service)
    }

    /// The row for a dead letter: an object of its columns' texts.
    var raw: ArraySlice<UInt8> {
        var json = JSONWriter(capacity: bytes.count * 2)
        json.beginObject()
        for (name, field) in zip(header, fields) where !field.isEmpty {
            json.key(name)
            json.value(utf8: bytes, field)
        }
        json.endObject()
        return json.bytes[...]
    }

    var entity: [UInt8] { key.entity }
    var eventTime: Int64 { key.eventTime }
    var truth: Truth { Truth() }
    var position: SourcePosition { SourcePosition(events: count, cursor: place.text) }
    var fraction: Double? { nil }

    func resume(at position: SourcePosition) {
        count = position.events
        place = TablePlace(position.cursor)
    }

    func next() throws -> SourceRow? {
        while nextRow >= rowCount {
            let isTime = Clock.monotonicSeconds >= notBefore
            guard isTime, !service.life.isStopping else { return .idle }
            do {
                try ask()
                retry.succeeded()
            } catch let error as PostgresError where error.isStopped {
                return .idle
            } catch let error as PostgresError where error.isRetryable {
                connection = nil
                (rowCount, nextRow) = (0, 0)
                notBefore = retry.failed(error.message)
            }
            guard rowCount > 0 else { return .idle }
        }
        let first = nextRow * (header.count + 2)
        nextRow += 1
        count += 1
        bytes.removeAll(keepingCapacity: true)
        for index in fields.indices {
            let from = bytes.count
            bytes.append(contentsOf: texts[ranges[first + index]])
            fields[index] = from..<bytes.count
        }
        // Behind the columns, as the database wrote them, stand watermark and key; a null has no text.
        let (watermark, keyText) = (text(first + header.count), text(first + header.count + 1))
        key.forgetEntity()
        let problem = take(watermark, keyText)
        id.removeAll(keepingCapacity: true)
        id.append(contentsOf: "\(name):\(place.id)".utf8)
        if let problem { return .unmappable(.missingField, problem) }
        if let wrong = UTF8Text.firstInvalid(bytes, 0..<bytes.count) {
            let column = fields.firstIndex { $0.contains(wrong) } ?? 0
            return .unmappable(.malformed, "The column `\(header[column])` is not UTF-8, which a database with the encoding SQL_ASCII lets happen.")
        }
        key.read(bytes, fields)
        return .event
    }

    /// Steps to the row.
    /// - Returns: why it has no place in the table's order.
    private func take(_ watermark: String?, _ keyText: String?) -> String? {
        if areUnplaced {
            place.passUnplaced(keyText)
            return "The watermark `\(table.watermark)` is NULL, so that the row has no place in the order in which rows are read."
        }
        place.pass(watermark ?? "", keyText)
        return keyText == nil ? "The key `\(table.key)` is NULL, so that the row cannot be told from others with its watermark." : nil
    }

    private func text(_ index: Int) -> String? {
        ranges[index].isEmpty ? nil : String(decoding: texts[ranges[index]], as: UTF8.self)
    }

    /// Reads the next batch.
    private func ask() throws {
        let life = service.life
        let connection =
            try connection
            ?? PostgresConnection(address) {
                life.turned()
                return !life.isStopping
            }
        if self.connection == nil { try learnColumns(connection) }
        self.connection = connection
        areUnplaced = false
        try read(place.statement(table, columns: header, mayKeyBeNull: mayBeNull.key), connection)
        if rowCount < table.batch { notBefore = Clock.monotonicSeconds + Double(table.interval) / 1_000 }
        guard rowCount == 0, mayBeNull.watermark, Clock.monotonicSeconds >= unplacedNotBefore else { return }
        areUnplaced = true
        for query in place.unplacedStatements(table, columns: header) where rowCount == 0 { try read(query, connection) }
        if rowCount < table.batch { unplacedNotBefore = Clock.monotonicSeconds + Self.unplacedInterval }
    }

    private func read(_ query: (sql: String, parameters: [String]), _ connection: PostgresConnection) throws {
        requests.add()
        let rows = try connection.query(query.sql, query.parameters)
        texts.removeAll(keepingCapacity: true)
        ranges.removeAll(keepingCapacity: true)
        (rowCount, nextRow) = (rows.count, 0)
        for row in 0..<rows.count {
            for column in header.indices {
                let from = texts.count
                rows.appendEventText(row: row, column: column, to: &texts)
                ranges.append(from..<texts.count)
            }
            for column in [watermarkColumn, keyColumn] {
                let from = texts.count
                rows.append(row: row, column: column, to: &texts)
                ranges.append(from..<texts.count)
            }
        }
    }

    /// Asks the catalogue whether watermark and key may be NULL, and says so once.
    private func learnColumns(_ connection: PostgresConnection) throws {
        let rows = try connection.query(
            "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnotnull AND attname IN ($2, $3)",
            [PostgresConnection.quoted(table: table.table), table.watermark, table.key])
        let never = Set((0..<rows.count).map { rows.text(row: $0, column: 0) })
        mayBeNull = (!never.contains(table.watermark), !never.contains(table.key))
        guard !hasWarned, mayBeNull.watermark || mayBeNull.key else { return }
        hasWarned = true
        let names = [(table.watermark, mayBeNull.watermark), (table.key, mayBeNull.key)].filter(\.1).map(\.0)
        service.log.warning(
            "these columns may be NULL; a row in which one is cannot be placed and becomes a dead letter",
            ["table": name, "columns": Set(names).sorted().joined(separator: ", ")])
    }
}
