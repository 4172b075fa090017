/// Why a Parquet file, or a part of it, cannot be read or written: one sentence.
public struct ParquetError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Kind: Sendable, Equatable {
        /// The bytes contradict the format or themselves, or the file is cut off.
        case damaged
        /// Right, but nothing that this reader knows: a codec, an encoding, a repeated column.
        case unsupported
        /// More than the reader's limits allow.
        case tooLarge
        /// The file cannot be opened or read.
        case unreadable
        /// The columns given to the writer do not fit its schema.
        case mismatch
    }

    public let kind: Kind
    public let message: String

    public init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    public var description: String { message }

    static func damaged(_ message: String) -> ParquetError { ParquetError(.damaged, message) }
    static func unsupported(_ message: String) -> ParquetError { ParquetError(.unsupported, message) }
}

/// What a file may cost its reader, whatever its bytes claim.
public struct ParquetLimits: Sendable {
    /// Of the footer.
    public var metadataBytes = 16 << 20
    /// Of a page, expanded.
    public var pageBytes = 256 << 20
    /// Of the values of one column in one row group, expanded, and of its bytes in the file.
    public var chunkBytes = 1 << 30
    public var rowGroupRows = 1 << 26

    public init() {}
}
