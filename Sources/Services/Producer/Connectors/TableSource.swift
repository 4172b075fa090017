import Platform
import Contracts
import Features
import PostgresClient
import ServiceKit
import UseCases

/// The rows of a PostgreSQL table or view, in the order of a watermark column, in batches. One owner thread.
///
/// An id is the watermark and the key. A row is read when its watermark comes after those read before: rows must become visible in that order,
/// as with a time that is set at the commit's end, or a writer of its own.
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
    private let failures: Counter

    private var connection: PostgresConnection?
    /// The texts of the rows that were read and not given yet, and which of them is the next one.
    private var texts: [UInt8] = []
    private var ranges: [Range<Int>] = []
    private var rowCount = 0
    private var nextRow = 0
    /// Watermark and key of the row that was given last, as the database wrote them.
    private var last: (watermark: String, key: String)?
    private var backoff = Backoff(initial: 200, maximum: 15_000)
    private var notBefore = 0.0
    private var count: Int64 = 0
    private(set) var bytes: [UInt8] = []
    private(set) var fields: [Range<Int>]
    private(set) var id: [UInt8] = []
    /// Between the two parts of a position: a sign that no number or time has.
    private static let separator = "\u{1F}"

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
        failures = service.metrics.counter("vyuha_source_failures_total", "Questions that had no usable answer and are asked again.")
    }

    var raw: ArraySlice<UInt8> { bytes[...] }
    var entity: [UInt8] { key.entity }
    var eventTime: Int64 { key.eventTime }
    var truth: Truth { Truth() }
    var position: SourcePosition {
        SourcePosition(events: count, cursor: last.map { $0.watermark + Self.separator + $0.key } ?? "")
    }
    var fraction: Double? { nil }

    func next() throws -> SourceRow? {
        if nextRow >= rowCount {
            guard Clock.monotonicSeconds >= notBefore else { return .idle }
            do {
                try ask()
            } catch let error as PostgresError where error.isRetryable {
                retry(error)
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
        // Behind the columns, as the database wrote them, stand watermark and key.
        last = (text(first + header.count), text(first + header.count + 1))
        key.read(bytes, fields)
        id.removeAll(keepingCapacity: true)
        id.append(contentsOf: "\(name):\(last?.watermark ?? ""):".utf8)
        id.append(contentsOf: (last?.key ?? "").utf8)
        return .event
    }

    private func text(_ index: Int) -> String { String(decoding: texts[ranges[index]], as: UTF8.self) }

    func resume(at position: SourcePosition) {
        count = position.events
        let parts = position.cursor.split(separator: Self.separator, maxSplits: 1, omittingEmptySubsequences: false)
        if parts.count == 2 { last = (String(parts[0]), String(parts[1])) }
    }

    /// Reads the next batch.
    private func ask() throws {
        let connection = try connection ?? PostgresConnection(address)
        self.connection = connection
        requests.add()
        let rows = try connection.query(statement, last.map { [$0.watermark, $0.key] } ?? [])
        backoff.reset()
        texts.removeAll(keepingCapacity: true)
        ranges.removeAll(keepingCapacity: true)
        rowCount = rows.count
        nextRow = 0
        for row in 0..<rows.count {
            for column in header.indices {
                let from = texts.count
                rows.appendISO(row: row, column: column, to: &texts)
                ranges.append(from..<texts.count)
            }
            for column in [watermarkColumn, keyColumn] {
                let from = texts.count
                rows.append(row: row, column: column, to: &texts)
                ranges.append(from..<texts.count)
            }
        }
        if rowCount < table.batch { notBefore = Clock.monotonicSeconds + Double(table.interval) / 1_000 }
    }

    private var statement: String {
        let quoted = PostgresConnection.quoted
        let (watermark, key) = (quoted(table.watermark), quoted(table.key))
        let isOne = table.watermark == table.key
        let place = table.table.split(separator: ".").map { quoted(String($0)) }.joined(separator: ".")
        var sql = "SELECT \(header.map(quoted).joined(separator: ", ")) FROM \(place) WHERE \(watermark) IS NOT NULL"
        if last != nil { sql += isOne ? " AND \(watermark) > $1 AND $2::text IS NOT NULL" : " AND (\(watermark), \(key)) > ($1, $2)" }
        return sql + " ORDER BY \(watermark)\(isOne ? "" : ", " + key) LIMIT \(table.batch)"
    }

    private func retry(_ error: PostgresError) {
        failures.add()
        connection = nil
        rowCount = 0
        nextRow = 0
        notBefore = Clock.monotonicSeconds + Double(backoff.next()) / 1_000
        if backoff.attempts == 1 { service.log.warning("the database is away and is asked again", ["table": name, "error": error.message]) }
    }
}
