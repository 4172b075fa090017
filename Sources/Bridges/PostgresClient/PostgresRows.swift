import CPQ

/// The rows of a query's answer, all of them in memory.
public struct PostgresRows: ~Copyable {
    private let result: OpaquePointer
    public let count: Int
    /// The columns' names.
    public let columns: [String]
    private let forms: [PostgresForm]

    init(_ result: OpaquePointer) {
        self.result = result
        count = Int(PQntuples(result))
        let width = PQnfields(result)
        columns = (0..<width).map { String(cString: PQfname(result, $0)) }
        forms = (0..<width).map { PostgresForm(type: PQftype(result, $0)) }
    }

    deinit { PQclear(result) }

    public func isNull(row: Int, column: Int) -> Bool { PQgetisnull(result, Int32(row), Int32(column)) == 1 }

    /// Appends a value's text, as the server writes it, which is how it takes it back; nothing for a null.
    public func append(row: Int, column: Int, to bytes: inout [UInt8]) {
        guard !isNull(row: row, column: column), let text = PQgetvalue(result, Int32(row), Int32(column)) else { return }
        let length = Int(PQgetlength(result, Int32(row), Int32(column)))
        text.withMemoryRebound(to: UInt8.self, capacity: length) { bytes.append(contentsOf: UnsafeBufferPointer(start: $0, count: length)) }
    }

    /// The same in the form that an event has: see `PostgresForm`.
    public func appendEventText(row: Int, column: Int, to bytes: inout [UInt8]) {
        let start = bytes.count
        append(row: row, column: column, to: &bytes)
        if forms[column] != .text, bytes.count > start { forms[column].convert(&bytes, from: start) }
    }

    public func text(row: Int, column: Int) -> String {
        var bytes: [UInt8] = []
        append(row: row, column: column, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }
}
