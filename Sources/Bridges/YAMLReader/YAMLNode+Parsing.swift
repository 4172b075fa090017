import Glibc

extension YAMLNode {
    /// Values inside values; deeper files are refused.
    public static let maximumDepth = 32
    /// Larger files are refused.
    public static let maximumBytes = 1 << 20

    /// The one document of a text, strictly: repeated keys, anchors, aliases, merge keys, tags and a second document are errors.
    public static func parse(_ bytes: [UInt8], file: String) throws(YAMLError) -> YAMLNode {
        guard bytes.count <= maximumBytes else {
            throw YAMLError(file: file, mark: .none, message: "The file is larger than \(maximumBytes >> 20) MiB.")
        }
        let bytes = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(bytes.dropFirst(3)) : bytes
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw YAMLError(file: file, mark: firstInvalid(bytes), message: "The file is not valid UTF-8 here.")
        }
        let parser = YAMLParser(YAMLSource(file: file, text: text))
        do {
            return try bytes.withUnsafeBufferPointer { buffer throws(YAMLError) in try parser.parse(buffer) }
        }
    }

    public static func parse(_ text: String, file: String) throws(YAMLError) -> YAMLNode {
        try parse(Array(text.utf8), file: file)
    }

    /// The document in a file.
    public static func load(_ path: String) throws(YAMLError) -> YAMLNode { try parse(try bytes(of: path), file: path) }

    /// The bytes of a file of at most `maximumBytes`.
    public static func bytes(of path: String) throws(YAMLError) -> [UInt8] {
        func failed() -> YAMLError {
            YAMLError(file: path, mark: .none, message: "The file cannot be read: \(String(cString: strerror(errno))).")
        }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failed() }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw failed() }
            guard count > 0 else { return bytes }
            bytes.append(contentsOf: chunk[..<count])
            guard bytes.count <= maximumBytes else {
                throw YAMLError(file: path, mark: .none, message: "The file is larger than \(maximumBytes >> 20) MiB.")
            }
        }
    }

    /// Where the first byte that is not UTF-8 stands.
    private static func firstInvalid(_ bytes: [UInt8]) -> YAMLMark {
        // The longest valid beginning, found line by line.
        for (index, line) in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
            guard String(validating: line, as: UTF8.self) == nil else { continue }
            let decoded = String(decoding: line, as: UTF8.self).unicodeScalars
            var column = 1
            var original = String(decoding: line, as: UTF8.self).utf8.makeIterator()
            var iterator = line.makeIterator()
            for scalar in decoded {
                for _ in 0..<UTF8.width(scalar) where original.next() != iterator.next() {
                    return YAMLMark(line: index + 1, column: column)
                }
                column += 1
            }
            return YAMLMark(line: index + 1, column: 1)
        }
        return .none
    }
}
