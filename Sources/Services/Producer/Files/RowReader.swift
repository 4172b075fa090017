import CSVReader
import Contracts
import Features
import UseCases

/// The rows of one file of some format: columns of text. One owner thread.
protocol RowReader: AnyObject {
    /// - Parameters:
    ///   - follows: the file may still grow; a last row without its end waits for it.
    ///   - shouldWait: false ends a pipe that has nothing for now.
    init(path: String, format: FileFormat, schema: EventSchema, follows: Bool, shouldWait: (@Sendable () -> Bool)?) throws

    /// The names of the columns.
    var columns: [String] { get }
    /// A likely mistake in the settings, to be put behind another message.
    var hint: String? { get }
    /// How many lines tell a file from another one of the same name.
    static var identifyingLines: Int { get }

    /// The next row; nil at the end, or at the end for now.
    func next() throws -> SourceRow?
    /// The file does not grow any more.
    func finish()
    func rewind() throws
    /// Passes over rows, so that the next one is the first that starts in this line or behind it.
    func skip(toLine line: Int) throws

    // Of the row that was read last:

    var bytes: [UInt8] { get }
    var fields: [Range<Int>] { get }
    var raw: ArraySlice<UInt8> { get }
    /// The line on which it starts, from 1.
    var line: Int { get }

    var bytesRead: Int64 { get }
    var totalBytes: Int64? { get }
}

/// The longest row that is read; a longer one is a dead letter.
let maximumRowBytes = 1 << 18

/// Rows of CSV.
final class CSVRows: RowReader {
    private let reader: CSVReader

    init(path: String, format: FileFormat, schema: EventSchema, follows: Bool, shouldWait: (@Sendable () -> Bool)?) throws {
        var settings = CSVSettings(delimiter: format.delimiter, maximumRecordBytes: maximumRowBytes)
        settings.follows = follows
        settings.encoding = format.encoding
        settings.shouldWait = shouldWait
        reader = try CSVReader(path: path, settings)
    }

    var columns: [String] { reader.columns }
    var hint: String? { reader.hint }
    /// The header is the same in every file.
    static let identifyingLines = 2
    var bytes: [UInt8] { reader.bytes }
    var fields: [Range<Int>] { reader.fields }
    var raw: ArraySlice<UInt8> { reader.bytes[reader.rawBytes] }
    var line: Int { reader.line }
    var bytesRead: Int64 { reader.bytesRead }
    var totalBytes: Int64? { reader.totalBytes }

    func next() throws -> SourceRow? {
        guard let status = try reader.next() else { return nil }
        switch status {
        case .ok: return .event
        case .wrongColumnCount: return .unmappable(.columnCount, Self.sentence(status))
        case .tooLong: return .unmappable(.tooLarge, Self.sentence(status))
        case .unterminatedQuote, .binary: return .unmappable(.malformed, Self.sentence(status))
        case .notUTF8: return .unmappable(.malformed, "Line \(reader.line): " + Self.sentence(status))
        }
    }

    private static func sentence(_ status: CSVRowStatus) -> String { status.sentence ?? "The row cannot be read." }

    func finish() { reader.finish() }
    func rewind() throws { try reader.rewind() }
    func skip(toLine line: Int) throws { try reader.skip(toLine: line) }
}

/// Lines of text, each of which a format makes into columns.
class LineRows {
    let reader: LineReader
    private var isFinished = false

    init(path: String, format: FileFormat, follows: Bool, shouldWait: (@Sendable () -> Bool)?) throws {
        reader = try LineReader(
            path: path, maximumLineBytes: maximumRowBytes, follows: follows, encoding: format.encoding, shouldWait: shouldWait)
    }

    static var identifyingLines: Int { 1 }
    var hint: String? { nil }
    var raw: ArraySlice<UInt8> { reader.bytes[reader.range] }
    var line: Int { reader.line }
    var bytesRead: Int64 { reader.bytesRead }
    var totalBytes: Int64? { reader.totalBytes }

    /// - Returns: nil at the end; `.event` for a line that the format may now look at.
    final func nextLine() throws -> SourceRow? {
        switch try isFinished ? reader.next() ?? reader.finish() : reader.next() {
        case nil: nil
        case .ok: .event
        case .tooLong(let limit): .unmappable(.tooLarge, "The line is longer than \(limit) bytes.")
        case .binary: .unmappable(.malformed, "The line has a NUL byte, so it is not text.")
        case .notUTF8(let byte):
            .unmappable(
                .malformed, "Byte \(byte) of line \(reader.line) is not UTF-8. Is the file of another encoding, such as `encoding: windows-1252`?")
        }
    }

    final func finish() { isFinished = true }
    final func rewind() throws { try reader.rewind() }
    final func skip(toLine line: Int) throws { try reader.skip(toLine: line) }
}
