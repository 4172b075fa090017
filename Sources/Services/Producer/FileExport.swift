import Features
import Glibc
import ServiceKit

/// Writes a source's rows to a CSV file with one column per field of the schema and three for the truth: `label`, `ignore`, `anomaly_type`.
///
/// The file appears under its name only when it is whole.
final class FileExport {
    private let path: String
    private let partial: String
    private let descriptor: Int32
    private let columns: [Int]
    private var buffer: [UInt8] = []
    private static let bufferBytes = 1 << 18

    /// - Parameter columns: per field of the schema the source's column, or -1.
    init(path: String, schema: EventSchema, columns: [Int]) throws {
        self.path = path
        self.columns = columns
        partial = path + ".partial"
        descriptor = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw SourceError("\(partial) cannot be written: \(Self.reason()).") }
        buffer.reserveCapacity(Self.bufferBytes + 4_096)
        for name in schema.fields.map(\.name) + ["label", "ignore", "anomaly_type"] {
            append(Array(name.utf8)[...])
            buffer.append(UInt8(ascii: ","))
        }
        endLine()
    }

    deinit {
        close(descriptor)
        // Gone already when the file was finished.
        unlink(partial)
    }

    func add<S: EventSource>(_ source: S) throws {
        for column in columns {
            if column >= 0, column < source.fields.count { append(source.bytes[source.fields[column]]) }
            buffer.append(UInt8(ascii: ","))
        }
        let truth = source.truth
        // Training with it would learn from a guess.
        if let problem = truth.problem { throw SourceError(problem) }
        buffer.append(UInt8(ascii: truth.isAnomaly ? "1" : "0"))
        buffer.append(UInt8(ascii: ","))
        buffer.append(UInt8(ascii: truth.ignore ? "1" : "0"))
        buffer.append(UInt8(ascii: ","))
        append(Array(truth.kind.utf8)[...])
        buffer.append(UInt8(ascii: ","))
        endLine()
        if buffer.count >= Self.bufferBytes { try flush() }
    }

    /// The comma after the last column becomes the end of the line.
    private func endLine() { buffer[buffer.count - 1] = UInt8(ascii: "\n") }

    /// One field, quoted where RFC 4180 asks for it.
    private func append(_ field: ArraySlice<UInt8>) {
        let quote = UInt8(ascii: "\"")
        let needsQuotes = field.contains { $0 == quote || $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }
        guard needsQuotes else {
            buffer.append(contentsOf: field)
            return
        }
        buffer.append(quote)
        for byte in field {
            if byte == quote { buffer.append(quote) }
            buffer.append(byte)
        }
        buffer.append(quote)
    }

    private func flush() throws {
        var written = 0
        while written < buffer.count {
            let result = buffer.withUnsafeBytes { bytes in
                write(descriptor, bytes.baseAddress?.advanced(by: written), bytes.count - written)
            }
            if result < 0 {
                if errno == EINTR { continue }
                throw SourceError("\(partial) cannot be written: \(Self.reason()).")
            }
            written += result
        }
        buffer.removeAll(keepingCapacity: true)
    }

    /// Makes the file appear under its name, on disk.
    func finish() throws {
        try flush()
        guard fsync(descriptor) == 0, rename(partial, path) == 0 else { throw SourceError("\(path) cannot be written: \(Self.reason()).") }
    }

    private static func reason() -> String { String(cString: strerror(errno)) }
}
