import Glibc

/// Bytes that can be read from anywhere: a file, an object of a store, memory.
public protocol ParquetSource {
    var size: Int { get }
    /// Exactly `count` bytes; the range is within `size`.
    func read(at offset: Int, count: Int) throws -> [UInt8]
}

extension [UInt8]: ParquetSource {
    public var size: Int { count }
    public func read(at offset: Int, count: Int) -> [UInt8] { Array(self[offset..<offset + count]) }
}

/// A file of the machine.
public final class ParquetFileSource: ParquetSource {
    public let size: Int
    private let path: String
    private let descriptor: Int32

    public init(path: String) throws {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw ParquetError(.unreadable, "`\(path)` cannot be opened: \(String(cString: strerror(errno))).") }
        var information = stat()
        guard fstat(descriptor, &information) == 0, information.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw ParquetError(.unreadable, "`\(path)` is not a file.")
        }
        size = Int(information.st_size)
    }

    deinit { close(descriptor) }

    public func read(at offset: Int, count: Int) throws -> [UInt8] {
        var done = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while done < count, let base = buffer.baseAddress {
                let read = pread(descriptor, base + done, count - done, off_t(offset + done))
                if read < 0, errno == EINTR { continue }
                guard read > 0 else { break }
                done += read
            }
            filled = done
        }
        guard done == count else { throw ParquetError(.unreadable, "`\(path)` cannot be read, or became shorter while it was read.") }
        return bytes
    }
}

/// Reads Parquet files of any writer ([format](https://github.com/apache/parquet-format)): plain, dictionary, run-length, bit-packed, delta and byte-stream-split
/// encodings; pages of both versions; uncompressed, Snappy, gzip, Zstandard, LZ4. Columns with at most one value per row; those in lists and maps are
/// listed in the schema, and refused when asked for.
///
/// Memory: the footer, and one column of one row group at a time, within the limits. One thread.
public final class ParquetFile {
    public let fields: [ParquetField]
    public let rowCount: Int
    /// The rows of each row group.
    public let rowGroups: [Int]
    public let keyValues: [(key: String, value: String)]
    public let createdBy: String

    private let source: any ParquetSource
    private let metadata: FileMetadata
    private let limits: ParquetLimits

    public init(_ source: any ParquetSource, limits: ParquetLimits = ParquetLimits()) throws {
        let magic = Array("PAR1".utf8)
        guard source.size >= 12, try source.read(at: 0, count: 4) == magic else {
            throw ParquetError.damaged("This is not a Parquet file: it does not begin with PAR1.")
        }
        let tail = try source.read(at: source.size - 8, count: 8)
        guard Array(tail[4...]) == magic else {
            let isEncrypted = Array(tail[4...]) == Array("PARE".utf8)
            throw isEncrypted
                ? ParquetError.unsupported("The file is encrypted.")
                : ParquetError.damaged("The Parquet file does not end with PAR1. Is it cut off, or still being written?")
        }
        let length = tail[..<4].reversed().reduce(0) { $0 << 8 | Int($1) }
        guard length <= source.size - 12 else { throw ParquetError.damaged("The footer is announced to be larger than the file.") }
        guard length <= limits.metadataBytes else {
            throw ParquetError(.tooLarge, "The footer has \(length) bytes, more than \(limits.metadataBytes).")
        }
        metadata = try source.read(at: source.size - 8 - length, count: length).withUnsafeBytes { bytes in
            var reader = ByteReader(bytes)
            return try FileMetadata(ThriftValue.structure(&reader))
        }
        self.source = source
        self.limits = limits
        fields = metadata.leaves.map(\.field)
        rowCount = metadata.rows
        rowGroups = metadata.rowGroups.map(\.rows)
        keyValues = metadata.keyValues
        createdBy = metadata.createdBy
    }

    /// - Returns: nil when the file says nothing of this column in this row group.
    public func statistics(column: Int, rowGroup: Int) -> ParquetStatistics? { metadata.rowGroups[rowGroup].chunks[column].statistics }

    /// Cost: one read of the column's bytes, then 1 to 10 ns a value.
    public func read(column: Int, rowGroup: Int) throws -> ParquetColumn {
        let group = metadata.rowGroups[rowGroup]
        let chunk = group.chunks[column]
        // A row group without rows need not have pages, nor a place for them.
        guard group.rows > 0 else { return ValueBuffer(metadata.leaves[column], limit: 0).column(present: nil) }
        guard chunk.offset >= 4, chunk.compressedSize <= source.size, chunk.offset <= source.size - chunk.compressedSize else {
            throw ParquetError.damaged("Column `\(fields[column].name)` lies outside of the file.")
        }
        guard chunk.compressedSize <= limits.chunkBytes else {
            throw ParquetError(.tooLarge, "Column `\(fields[column].name)` has \(chunk.compressedSize) bytes in a row group.")
        }
        var reader = try ColumnChunkReader(metadata.leaves[column], chunk, rows: group.rows, limits: limits)
        return try source.read(at: chunk.offset, count: chunk.compressedSize).withUnsafeBytes { try reader.column($0) }
    }
}
