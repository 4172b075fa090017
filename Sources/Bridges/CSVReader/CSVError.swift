import Text

/// Why a file cannot be read on: `file:line: sentence`.
public struct CSVError: Error, Sendable, Equatable, CustomStringConvertible {
    public let file: String
    /// Counted from 1; 0 when the file as a whole is meant.
    public let line: Int
    /// Where the record starts that could not be read, in the uncompressed file.
    public let byteOffset: Int64
    public let message: String

    public init(file: String, line: Int = 0, byteOffset: Int64 = 0, message: String) {
        self.file = file
        self.line = line
        self.byteOffset = byteOffset
        self.message = message
    }

    public var description: String { line == 0 ? "\(file): \(message)" : "\(file):\(line): \(message)" }
}

/// What a row is worth. Every row of the file is given with one of these; none is dropped.
public enum CSVRowStatus: Sendable, Equatable {
    case ok
    /// The fields hold what is there.
    case wrongColumnCount(found: Int, expected: Int)
    /// Longer than the limit: there are no fields, and the raw bytes are its beginning. The reader goes on behind it.
    case tooLong(limit: Int)
    /// A quote that opens in this line is not closed before the file's end or the limit. The line alone is given up, without
    /// fields; the reader goes on with the next line.
    case unterminatedQuote
    /// A NUL byte, which no text has.
    case binary
    /// The byte of the row, counted from 1, that is not UTF-8. The fields hold what is there.
    case notUTF8(byte: Int)

    /// What is wrong, for a person; nil when nothing is.
    public var sentence: String? {
        switch self {
        case .ok: nil
        case .wrongColumnCount(let found, let expected): "The row has \(found) columns, the header has \(expected)."
        case .tooLong(let limit): "The row is longer than \(limit) bytes."
        case .unterminatedQuote: "A quote opens in this line and is never closed."
        case .binary: "The row has a NUL byte, so it is not text."
        case .notUTF8(let byte): "Byte \(byte) of the row is not UTF-8. Is the file of another encoding, such as `encoding: windows-1252`?"
        }
    }
}

public struct CSVSettings: Sendable {
    /// Between fields; not a quote and not a line break.
    public var delimiter: UInt8
    /// Whether the first record names the columns; without one, the first row says how many columns there are.
    public var hasHeader: Bool
    /// A longer record is skipped and reported. The reader's memory is about twice this at most.
    public var maximumRecordBytes: Int

    /// The file may still grow: a record without its line break is not given yet, and `next` may be asked again after nil.
    public var follows = false
    /// How the file's text is encoded; it is read as UTF-8.
    public var encoding: TextEncoding
    /// Asked several times a second while standard input has nothing: false ends it as its end would. Nil waits.
    public var shouldWait: (@Sendable () -> Bool)?

    public init(
        delimiter: UInt8 = UInt8(ascii: ","), hasHeader: Bool = true, maximumRecordBytes: Int = 1 << 20, encoding: TextEncoding = .utf8
    ) {
        self.encoding = encoding
        self.delimiter = delimiter
        self.hasHeader = hasHeader
        self.maximumRecordBytes = max(16, maximumRecordBytes)
    }
}
