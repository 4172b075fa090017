import CPQ
import Glibc

/// One connection to a PostgreSQL server, by libpq ([manual](https://www.postgresql.org/docs/15/libpq-async.html)). One owner thread; every call waits, and
/// asks its caller several times a second whether it should go on.
///
/// Times come as text in UTC and ISO 8601 order. What the address leaves out comes from libpq's own variables and files, such as `PGPASSWORD` and
/// `PGPASSFILE`.
public final class PostgresConnection {
    private let connection: OpaquePointer
    private let shouldContinue: () -> Bool

    /// How values are written, whatever the server, the database, the user or the environment prefers. Set here and not at the start of the connection,
    /// since connection pools refuse options there.
    private static let session = """
        SET timezone = 'UTC'; SET datestyle = 'ISO'; SET intervalstyle = 'iso_8601'; SET bytea_output = 'hex'; SET extra_float_digits = 1;
        SET lc_monetary = 'C'; SET client_encoding = 'UTF8'
        """

    /// - Parameters:
    ///   - address: `postgresql://user@host:5432/database` or `host=… dbname=…`.
    ///   - shouldContinue: false ends the call that waits, with an error that `isStopped`; a query that runs is cancelled.
    /// - Throws: retryable where the server is away.
    public init(_ address: String, connectTimeout seconds: Int = 5, shouldContinue: @escaping () -> Bool = { true }) throws(PostgresError) {
        // The address as `dbname` is expanded; what comes before it are defaults of ours.
        let names = ["application_name", "keepalives_idle", "client_encoding", "dbname"]
        let values = ["vyuha", "30", "UTF8", address]
        let opened = Self.withStrings(names) { names in Self.withStrings(values) { values in PQconnectStartParams(names, values, 1) } }
        guard let opened else { throw PostgresError("libpq has no memory for a connection.", isRetryable: false) }
        self.shouldContinue = shouldContinue
        connection = opened
        try connect(within: seconds)
        // Notices of the server would go to standard error.
        PQsetNoticeProcessor(opened, { _, _ in }, nil)
        _ = try run { PQsendQuery(connection, Self.session) }
    }

    deinit { PQfinish(connection) }

    private func connect(within seconds: Int) throws(PostgresError) {
        var left = seconds * 10
        // A connection that has just begun wants to write (manual, "PQconnectPoll").
        var wanted = PGRES_POLLING_WRITING
        while wanted != PGRES_POLLING_OK {
            if wanted == PGRES_POLLING_FAILED { throw connectError(Self.sentence(PQerrorMessage(connection))) }
            guard shouldContinue() else { throw .stopped }
            guard left > 0 else { throw connectError("it gave no answer within \(seconds) s.") }
            if Self.wait(for: wanted == PGRES_POLLING_READING ? POLLIN : POLLOUT, on: PQsocket(connection)) {
                wanted = PQconnectPoll(connection)
            } else {
                left -= 1
            }
        }
    }

    private func connectError(_ message: String) -> PostgresError {
        // A wrong password or database does not mend itself.
        let isWrong = message.contains("authentication failed") || message.contains("does not exist") || message.contains("invalid")
        return PostgresError("The database does not answer: \(message)", isRetryable: !isWrong)
    }

    /// Waits up to a tenth of a second.
    private static func wait(for events: Int32, on socket: Int32) -> Bool {
        var descriptor = pollfd(fd: socket, events: Int16(events), revents: 0)
        return poll(&descriptor, 1, 100) > 0
    }

    /// Runs one statement with text parameters, `$1` and so on, and waits for all of its rows.
    public func query(_ statement: String, _ parameters: [String?] = []) throws(PostgresError) -> PostgresRows {
        PostgresRows(
            try run {
                Self.withStrings(parameters) { values in
                    PQsendQueryParams(connection, statement, Int32(parameters.count), nil, values, nil, nil, 0)
                }
            })
    }

    /// Sends and waits for the last result; those before it are dropped.
    private func run(_ send: () -> Int32) throws(PostgresError) -> OpaquePointer {
        guard send() == 1 else { throw PostgresError("The database is away: \(Self.sentence(PQerrorMessage(connection)))", isRetryable: true) }
        var last: OpaquePointer?
        var failure: PostgresError?
        var isCancelled = false
        while true {
            while PQisBusy(connection) == 1 {
                if !isCancelled, !shouldContinue() {
                    isCancelled = true
                    cancel()
                }
                _ = Self.wait(for: POLLIN, on: PQsocket(connection))
                guard PQconsumeInput(connection) == 1 else {
                    PQclear(last)
                    throw PostgresError("The database is away: \(Self.sentence(PQerrorMessage(connection)))", isRetryable: true)
                }
            }
            guard let result = PQgetResult(connection) else { break }
            PQclear(last)
            last = result
            failure = failure ?? Self.failure(of: result)
        }
        if isCancelled {
            PQclear(last)
            throw .stopped
        }
        guard let last, failure == nil else {
            PQclear(last)
            throw failure ?? PostgresError("The database gave no result: \(Self.sentence(PQerrorMessage(connection)))", isRetryable: true)
        }
        return last
    }

    private func cancel() {
        guard let request = PQgetCancel(connection) else { return }
        var reason = [CChar](repeating: 0, count: 256)
        _ = PQcancel(request, &reason, Int32(reason.count))
        PQfreeCancel(request)
    }

    private static func failure(of result: OpaquePointer) -> PostgresError? {
        let status = PQresultStatus(result)
        guard status != PGRES_TUPLES_OK, status != PGRES_COMMAND_OK else { return nil }
        let message = sentence(PQresultErrorMessage(result))
        let state = PQresultErrorField(result, 67).map { String(cString: $0) } ?? ""  // 'C': SQLSTATE
        // Class 08 is the connection, 57P01…03 a server that stops or starts, 40 a conflict that a repetition solves, 53 and 55 a server without room
        // or a lock for now; without a state the connection is gone.
        let isRetryable = state.isEmpty || ["08", "57P", "40", "53", "55"].contains { state.hasPrefix($0) }
        return PostgresError("The database refused the query: \(message)", isRetryable: isRetryable)
    }

    /// A name as SQL writes it: in double quotes.
    public static func quoted(_ name: String) -> String {
        "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }

    /// A table's name, with its schema's before it where there is one.
    public static func quoted(table: String) -> String { table.split(separator: ".").map { quoted(String($0)) }.joined(separator: ".") }

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

/// Why the database gave no answer, in a sentence.
public struct PostgresError: Error, Sendable, Equatable, CustomStringConvertible {
    public let message: String
    /// A later attempt, over a new connection, may succeed.
    public let isRetryable: Bool
    public var description: String { message }

    /// The caller did not want to go on.
    public let isStopped: Bool

    static let stopped = PostgresError("The query was ended by a stop.", isRetryable: false, isStopped: true)

    init(_ message: String, isRetryable: Bool, isStopped: Bool = false) {
        self.message = message
        self.isRetryable = isRetryable
        self.isStopped = isStopped
    }
}
