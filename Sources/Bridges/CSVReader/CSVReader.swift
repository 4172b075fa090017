import Glibc
import Text

/// Reads a CSV file row by row: a file, standard input or bytes, plain or gzip (told by its first two bytes).
///
/// RFC 4180 with a header row: quotes, doubled quotes, line breaks in quotes, CRLF, a byte-order mark. Blanks around a field, outside of its quotes, are
/// none of it. Blank lines are skipped. Every other row is given, a wrong one marked with what is wrong. Memory is bounded by the settings whatever the
/// file holds. One thread; about 300 MB/s of plain rows.
public final class CSVReader {
    /// The name in messages.
    public let file: String
    /// The header's names without surrounding blanks; empty without a header.
    public let columns: [String]
    /// A likely mistake in the delimiter, to be put after another message; nil when nothing hints at one.
    public let hint: String?

    // One thread, and no code of the caller's runs inside `next`: no run-time checks for overlapping access.

    /// The row that `next` has given last, as it stands in the file and, behind that, its unescaped fields.
    @exclusivity(unchecked) public private(set) var bytes: [UInt8] = []
    /// Its fields in `bytes`, unescaped.
    @exclusivity(unchecked) public private(set) var fields: [Range<Int>] = []
    /// The row as it stands in the file, in `bytes`; its beginning when it is too long.
    @exclusivity(unchecked) public private(set) var rawBytes: Range<Int> = 0..<0
    /// Where the row starts: its line, counted from 1 with the header.
    @exclusivity(unchecked) public private(set) var line = 0
    /// Where the row starts in the uncompressed file.
    @exclusivity(unchecked) public private(set) var byteOffset: Int64 = 0
    /// The row's number, counted from 1 without the header; wrong rows count too.
    @exclusivity(unchecked) public private(set) var row: Int64 = 0

    private let settings: CSVSettings
    @exclusivity(unchecked) private var records: RecordWindow
    /// How many fields a row must have; 0 before the first row of a file without a header.
    @exclusivity(unchecked) private var expected: Int

    /// - Parameter path: a file, or `-` for standard input.
    /// - Throws: when the file cannot be read, is no text or has no usable header.
    public convenience init(path: String, _ settings: CSVSettings = CSVSettings()) throws(CSVError) {
        if path == "-" {
            try self.init(
                source: ByteSource(descriptor: STDIN_FILENO, closing: false, encoding: settings.encoding, shouldWait: settings.shouldWait),
                name: "standard input", settings)
            return
        }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw CSVError(file: path, message: "The file cannot be opened: \(String(cString: strerror(errno))).")
        }
        try self.init(source: ByteSource(descriptor: descriptor, closing: true, encoding: settings.encoding), name: path, settings)
    }

    /// - Parameter closing: whether the reader closes the descriptor when it ends.
    public convenience init(
        fileDescriptor: Int32, name: String, closing: Bool, _ settings: CSVSettings = CSVSettings()
    ) throws(CSVError) {
        try self.init(source: ByteSource(descriptor: fileDescriptor, closing: closing, encoding: settings.encoding), name: name, settings)
    }

    public convenience init(bytes: [UInt8], name: String = "bytes", _ settings: CSVSettings = CSVSettings()) throws(CSVError) {
        try self.init(source: ByteSource(bytes: bytes, encoding: settings.encoding), name: name, settings)
    }

    private init(source: consuming ByteSource, name: String, _ settings: CSVSettings) throws(CSVError) {
        file = name
        self.settings = settings
        var records = RecordWindow(source, settings)
        let header = try CSVHeader(&records, settings, file: name)
        columns = header.columns
        hint = header.hint
        expected = header.columns.count
        self.records = records
    }

    /// The index of a column, or nil when the header does not have it.
    public func column(_ name: String) -> Int? { columns.firstIndex(of: name) }

    /// Bytes taken from the file so far, compressed if it is: for progress.
    public var bytesRead: Int64 { records.bytesRead }

    /// The file's size on disk, or nil for a pipe.
    public var totalBytes: Int64? { records.totalBytes }

    /// Reads the next row. Its parts are valid until the following call.
    /// - Returns: what the row is worth; nil at the end of the file.
    /// - Throws: once, when the file cannot be read on or its gzip is damaged or cut off, after all rows before that.
    public func next() throws(CSVError) -> CSVRowStatus? {
        let record: RecordWindow.Found
        do {
            record = try records.next()
        } catch {
            throw CSVError(file: file, line: records.line, byteOffset: records.offset, message: error.message)
        }
        line = records.line
        byteOffset = records.offset
        fields.removeAll(keepingCapacity: true)
        switch record {
        case .end:
            take(0)
            return nil
        case .tooLong(let length):
            row += 1
            take(min(length, Self.keptBytes))
            return .tooLong(limit: settings.maximumRecordBytes)
        case .unterminatedQuote(let length):
            row += 1
            take(min(length, Self.keptBytes))
            return .unterminatedQuote
        case .record(let length):
            row += 1
            take(length)
            swap(&fields, &records.parser.fields)
            trim()
            if !records.parser.quoted.isEmpty { unquote() }
        }
        if records.parser.hasNUL { return .binary }
        let found = records.parser.fieldCount
        if expected == 0 { expected = found }
        guard found == expected, found == fields.count else { return .wrongColumnCount(found: found, expected: expected) }
        return UTF8Text.firstInvalid(bytes, rawBytes).map { .notUTF8(byte: $0 - rawBytes.lowerBound + 1) } ?? .ok
    }

    /// A field as text. Allocates.
    public func string(_ index: Int) -> String {
        fields.indices.contains(index) ? String(decoding: bytes[fields[index]], as: UTF8.self) : ""
    }

    /// Passes over rows, so that the next one is the first that starts in this line or behind it. `row` counts on.
    public func skip(toLine line: Int) throws(CSVError) {
        while records.nextLine < line {
            if try next() == nil { return }
        }
    }

    /// With `follows`: the file has been replaced, and what is left of it without a line break is its last row.
    public func finish() { records.finish() }

    /// Back to the first row behind the header. A pipe cannot go back.
    public func rewind() throws(CSVError) {
        do {
            try records.rewind()
        } catch {
            throw CSVError(file: file, message: error.message)
        }
        row = 0
        _ = try CSVHeader(&records, settings, file: file)
    }

    private func take(_ length: Int) {
        bytes.removeAll(keepingCapacity: true)
        bytes.append(contentsOf: records.window[records.start..<records.start + length])
        rawBytes = 0..<length
    }

    /// Fields without the blanks around them, as the header's names are; blanks inside of quotes stay.
    private func trim() {
        let delimiter = settings.delimiter
        bytes.withUnsafeBufferPointer { bytes in
            fields.withUnsafeMutableBufferPointer { fields in
                func isBlank(_ byte: UInt8) -> Bool { (byte == 0x20 || byte == 0x09) && byte != delimiter }
                for index in fields.indices where !fields[index].isEmpty {
                    var (lower, upper) = (fields[index].lowerBound, fields[index].upperBound)
                    guard isBlank(bytes[lower]) || isBlank(bytes[upper - 1]) else { continue }
                    while lower < upper, isBlank(bytes[lower]) { lower += 1 }
                    while lower < upper, isBlank(bytes[upper - 1]) { upper -= 1 }
                    fields[index] = lower..<upper
                }
            }
        }
    }

    /// Quoted fields without their quotes: in place where nothing is escaped, otherwise written behind the row.
    private func unquote() {
        for index in records.parser.quoted {
            let field = fields[index]
            let inner = field.lowerBound + 1..<field.upperBound
            guard let closing = bytes[inner].firstIndex(of: RecordParser.quote) else { continue }
            if closing == field.upperBound - 1 {
                fields[index] = inner.lowerBound..<closing
                continue
            }
            let lower = bytes.count
            var position = inner.lowerBound
            var isOpen = true
            while position < inner.upperBound {
                let byte = bytes[position]
                position += 1
                if isOpen, byte == RecordParser.quote {
                    guard position < inner.upperBound, bytes[position] == RecordParser.quote else {
                        isOpen = false
                        continue
                    }
                    position += 1
                }
                bytes.append(byte)
            }
            fields[index] = lower..<bytes.count
        }
    }

    /// How much of a row is kept that is given up.
    private static let keptBytes = 4096
}
