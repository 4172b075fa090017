import CSVReader

/// Small files of text, such as tokens.
enum TextFile {
    /// The lines that are neither blank nor begin with `#`.
    static func lines(of path: String) throws -> [String] {
        let reader = try LineReader(path: path, maximumLineBytes: 16 << 10)
        var lines: [String] = []
        while let status = try reader.next() {
            guard status == .ok else { throw SourceError("\(path):\(reader.line): This is not a line of text.") }
            var text = reader.bytes[reader.range].drop(while: isBlank)
            while let last = text.last, isBlank(last) { text.removeLast() }
            if let first = text.first, first != UInt8(ascii: "#") { lines.append(String(decoding: text, as: UTF8.self)) }
        }
        return lines
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r") }

    static func firstLine(of path: String) throws -> String {
        guard let line = try lines(of: path).first else { throw SourceError("\(path): The file is empty; its first line must be the token.") }
        return line
    }
}
