import Text

/// The first record of a file: its column names, and checks that this is a text with columns at all.
struct CSVHeader {
    var columns: [String] = []
    var hint: String?

    init(_ records: inout RecordWindow, _ settings: CSVSettings, file: String) throws(CSVError) {
        let first = Array(records.peek(4))
        if settings.encoding == .utf8, first.starts(with: [0xFF, 0xFE]) || first.starts(with: [0xFE, 0xFF]) {
            throw CSVError(file: file, message: "This is UTF-16 text, not a CSV file in UTF-8; say `encoding: utf-16`.")
        }
        if let format = Self.foreignFormat(first) {
            throw CSVError(file: file, message: "This is \(format), not a CSV file in UTF-8.")
        }
        if first.starts(with: [0xEF, 0xBB, 0xBF]) { records.drop(3) }
        guard settings.hasHeader else { return }
        let found: RecordWindow.Found
        do {
            found = try records.next()
        } catch {
            throw CSVError(file: file, line: records.line, message: error.message)
        }
        guard case .record(let length) = found else {
            throw CSVError(file: file, line: found == .end ? 0 : records.line, message: Self.problem(found))
        }
        guard !records.parser.hasNUL else {
            throw CSVError(file: file, line: records.line, message: "The first line has a NUL byte, so this is not a text file.")
        }
        let record = Array(records.window[records.start..<records.start + length])
        if let wrong = UTF8Text.firstInvalid(record, 0..<record.count) {
            throw CSVError(
                file: file, line: records.line,
                message: "Byte \(wrong + 1) of the header is not UTF-8. Is the file of another encoding, such as `encoding: windows-1252`?")
        }
        for field in records.parser.fields {
            let name = Self.trimmed(Self.unquoted(record[field]))
            guard name.isEmpty || !columns.contains(name) else {
                throw CSVError(file: file, line: records.line, message: "The header names the column `\(name)` twice.")
            }
            columns.append(name)
        }
        hint = Self.hint(record, columns, settings.delimiter)
    }

    private static func problem(_ found: RecordWindow.Found) -> String {
        switch found {
        case .end: "The file is empty; its first line must name the columns."
        case .unterminatedQuote: "A quote opens in the header and is never closed."
        default: "The first line is too long to be a header."
        }
    }

    private static func hint(_ record: [UInt8], _ columns: [String], _ delimiter: UInt8) -> String? {
        guard columns.count == 1 else { return nil }
        let others: [(UInt8, String)] = [
            (UInt8(ascii: ";"), "`;`"), (UInt8(ascii: "\t"), "a tab"), (UInt8(ascii: ","), "`,`"), (UInt8(ascii: "|"), "`|`"),
        ]
        for (byte, name) in others where byte != delimiter && record.contains(byte) { return "Is the delimiter \(name)?" }
        return nil
    }

    private static func foreignFormat(_ first: [UInt8]) -> String? {
        let formats: [([UInt8], String)] = [
            ([0x50, 0x4B, 0x03, 0x04], "a zip or Excel file"),
            (Array("PAR1".utf8), "a Parquet file"), ([0x28, 0xB5, 0x2F, 0xFD], "a zstd file"), (Array("BZh".utf8), "a bzip2 file"),
            ([0xFD, 0x37, 0x7A, 0x58], "an xz file"),
        ]
        return formats.first { first.starts(with: $0.0) }?.1
    }

    private static func unquoted(_ field: ArraySlice<UInt8>) -> String {
        guard field.count >= 2, field.first == RecordParser.quote, field.last == RecordParser.quote else {
            return String(decoding: field, as: UTF8.self)
        }
        var name: [UInt8] = []
        var skips = false
        for byte in field.dropFirst().dropLast() {
            skips = byte == RecordParser.quote && !skips
            if !skips { name.append(byte) }
        }
        return String(decoding: name, as: UTF8.self)
    }

    private static func trimmed(_ text: String) -> String {
        let start = text.drop { $0.isWhitespace }
        let blanks = start.reversed().prefix { $0.isWhitespace }.count
        return String(start.dropLast(blanks))
    }
}
