import CPQ

/// One connection to a PostgreSQL server, by libpq ([manual](https://www.postgresql.org/docs/15/libpq.html)). One owner thread; every call waits.
///
/// Times come as text in UTC and ISO 8601 order. What the address leaves out comes from libpq's own variables and files, such as `PGPASSWORD` and
/// `PGPASSFILE`.
public final class PostgresConnection {
    private let connection: OpaquePointer

    /// - Parameter address: `postgresql://user@host:5432/database` or `host=… dbname=…`.
    /// - Throws: retryable where the server is away.
    public init(_ address: String, connectTimeout seconds: Int = 5) throws(PostgresError) {
        // The address as `dbname` is expanded; what comes before it are defaults of ours.
        let names = ["connect_timeout", "application_name", "keepalives_idle", "client_encoding", "options", "dbname"]
        let values = ["\(seconds)", "vyuha", "30", "UTF8", "-c timezone=UTC -c datestyle=ISO -c intervalstyle=iso_8601", address]
        let opened = Self.withStrings(names) { names in Self.withStrings(values) { values in PQconnectdbParams(names, values, 1) } }
        guard let opened else { throw PostgresError("libpq has no memory for a connection.", isRetryable: false) }
        guard PQstatus(opened) == CONNECTION_OK else {
            let message = Self.sentence(PQerrorMessage(opened))
            // A wrong password or database does not mend itself.
            let isWrong = message.contains("authentication failed") || message.contains("does not exist") || message.contains("invalid")
            PQfinish(opened)
            throw PostgresError("The database does not answer: \(message)", isRetryable: !isWrong)
        }
        connection = opened
    }

    deinit { PQfinish(connection) }

    /// Runs one statement with text parameters, `$1` and so on, and waits for all of its rows.
    public func query(_ statement: String, _ parameters: [String?] = []) throws(PostgresError) -> PostgresRows {
        let result = Self.withStrings(parameters) { values in
            PQexecParams(connection, statement, Int32(parameters.count), nil, values, nil, nil, 0)
        }
        let status = PQresultStatus(result)
        guard let result, status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK else {
            let message = Self.sentence(result.map { PQresultErrorMessage($0) } ?? PQerrorMessage(connection))
            let state = result.flatMap { PQresultErrorField($0, 67) }.map { String(cString: $0) } ?? ""  // 'C': SQLSTATE
            PQclear(result)
            // Class 08 is the connection, 57P01…03 a server that stops or starts, 40 a conflict that a repetition solves; without a state the connection is gone.
            let isRetryable = state.isEmpty || state.hasPrefix("08") || state.hasPrefix("57P") || state.hasPrefix("40")
            throw PostgresError("The database refused the query: \(message)", isRetryable: isRetryable)
        }
        return PostgresRows(result)
    }

    /// A name as SQL writes it: in double quotes.
    public static func quoted(_ name: String) -> String {
        "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }

    /// libpq's messages end with a line break and may have several lines.
    private static func sentence(_ text: UnsafePointer<CChar>?) -> String {
        let lines = (text.map { String(cString: $0) } ?? "").split(separator: "\n").map { $0.drop { $0 == " " || $0 == "\t" } }
        return lines.isEmpty ? "it gave no reason." : lines.joined(separator: " ")
    }

    /// The texts as C strings, behind them a null, for the length of the call.
    private static func withStrings<R>(_ texts: [String?], _ body: (UnsafePointer<UnsafePointer<CChar>?>?) -> R) -> R {
        var bytes: [CChar] = []
        var starts: [Int?] = []
        for text in texts {
            starts.append(text == nil ? nil : bytes.count)
            if let text { bytes.append(contentsOf: text.utf8CString) }
        }
        return bytes.withUnsafeBufferPointer { bytes in
            let pointers = starts.map { start in start.flatMap { bytes.baseAddress?.advanced(by: $0) } } + [nil]
            return pointers.withUnsafeBufferPointer { body($0.baseAddress) }
        }
    }
}

/// The rows of a query's answer, all of them in memory.
public struct PostgresRows: ~Copyable {
    private let result: OpaquePointer
    public let count: Int
    /// The columns' names.
    public let columns: [String]
    private let times: [TimeKind]

    private enum TimeKind { case none, local, zoned }

    init(_ result: OpaquePointer) {
        self.result = result
        count = Int(PQntuples(result))
        let width = PQnfields(result)
        columns = (0..<width).map { String(cString: PQfname(result, $0)) }
        // pg_type.h: 1114 is timestamp, 1184 is timestamp with time zone.
        times = (0..<width).map { PQftype(result, $0) == 1114 ? .local : PQftype(result, $0) == 1184 ? .zoned : .none }
    }

    deinit { PQclear(result) }

    /// Appends a value's text, as the server writes it; nothing for a null.
    public func append(row: Int, column: Int, to bytes: inout [UInt8]) {
        guard PQgetisnull(result, Int32(row), Int32(column)) == 0, let text = PQgetvalue(result, Int32(row), Int32(column)) else { return }
        let length = Int(PQgetlength(result, Int32(row), Int32(column)))
        text.withMemoryRebound(to: UInt8.self, capacity: length) { bytes.append(contentsOf: UnsafeBufferPointer(start: $0, count: length)) }
    }

    /// The same, a time as ISO 8601: `2025-10-01 10:30:00.5+00` as `2025-10-01T10:30:00.5Z`; one without a zone gets none.
    public func appendISO(row: Int, column: Int, to bytes: inout [UInt8]) {
        let start = bytes.count
        append(row: row, column: column, to: &bytes)
        guard times[column] != .none, bytes.count > start + 10, bytes[start + 10] == UInt8(ascii: " ") else { return }
        bytes[start + 10] = UInt8(ascii: "T")
        guard times[column] == .zoned, bytes.suffix(3).elementsEqual("+00".utf8) else { return }
        bytes.removeLast(3)
        bytes.append(UInt8(ascii: "Z"))
    }

    public func text(row: Int, column: Int) -> String {
        var bytes: [UInt8] = []
        append(row: row, column: column, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Why the database gave no answer, in a sentence.
public struct PostgresError: Error, Sendable, Equatable, CustomStringConvertible {
    public let message: String
    /// A later attempt, over a new connection, may succeed.
    public let isRetryable: Bool
    public var description: String { message }

    init(_ message: String, isRetryable: Bool) {
        self.message = message
        self.isRetryable = isRetryable
    }
}
