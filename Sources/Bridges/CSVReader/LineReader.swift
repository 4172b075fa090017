import Glibc
import Text

/// What a line is worth. Every line that is not blank is given with one of these; none is dropped.
public enum LineStatus: Sendable, Equatable {
    case ok
    /// Longer than the limit; the bytes are its beginning. The reader goes on with the next line.
    case tooLong(limit: Int)
    /// A NUL byte, which no text has.
    case binary
    /// The byte of the line, counted from 1, that is not UTF-8.
    case notUTF8(byte: Int)
}

/// Reads a text file line by line: a file, standard input or a descriptor, plain or gzip (told by its first two bytes).
///
/// Lines end with LF or CRLF; a byte-order mark is passed over, blank lines are skipped. Memory is bounded by the longest allowed line, whatever
/// the file holds. With `follows`, a line without its end is not given yet, and `next` may be asked again after nil. One thread.
public final class LineReader {
    public let file: String
    /// The buffer that the line is in. At least 64 bytes are readable behind it.
    @exclusivity(unchecked) public private(set) var bytes: [UInt8]
    /// The line in `bytes`, without its end.
    @exclusivity(unchecked) public private(set) var range = 0..<0
    /// Counted from 1; blank lines count.
    @exclusivity(unchecked) public private(set) var line = 0
    public let follows: Bool

    @exclusivity(unchecked) private var source: ByteSource
    private let limit: Int
    /// What is known and not given yet.
    @exclusivity(unchecked) private var start = 0
    @exclusivity(unchecked) private var end = 0
    @exclusivity(unchecked) private var isSkipping = false
    @exclusivity(unchecked) private var failure: ByteSource.Failure?
    @exclusivity(unchecked) private var isAtEnd = false

    private static let windowBytes = 256 << 10
    private static let padding = 64
    private static let keptBytes = 4_096

    /// - Parameters:
    ///   - path: a file, or `-` for standard input.
    ///   - follows: the file may still grow.
    ///   - encoding: how the file's text is encoded; it is read as UTF-8.
    ///   - shouldWait: asked several times a second while standard input has nothing: false ends it as its end would.
    public convenience init(
        path: String, maximumLineBytes: Int = 1 << 18, follows: Bool = false, encoding: TextEncoding = .utf8,
        shouldWait: (@Sendable () -> Bool)? = nil
    ) throws(CSVError) {
        if path == "-" {
            self.init(
                ByteSource(descriptor: STDIN_FILENO, closing: false, encoding: encoding, shouldWait: shouldWait), "standard input", maximumLineBytes,
                follows)
            return
        }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw CSVError(file: path, message: "The file cannot be opened: \(String(cString: strerror(errno))).")
        }
        self.init(ByteSource(descriptor: descriptor, closing: true, encoding: encoding), path, maximumLineBytes, follows)
    }

    public convenience init(bytes: [UInt8], maximumLineBytes: Int = 1 << 18) {
        self.init(ByteSource(bytes: bytes), "bytes", maximumLineBytes, false)
    }

    private init(_ source: consuming ByteSource, _ name: String, _ limit: Int, _ follows: Bool) {
        self.source = source
        self.source.follows = follows
        file = name
        self.limit = max(16, limit)
        self.follows = follows
        bytes = Array(repeating: 0, count: Self.windowBytes + Self.padding)
    }

    /// Bytes taken from the file so far, compressed if it is: for progress.
    public var bytesRead: Int64 { source.bytesRead }
    /// The file's size on disk, or nil for a pipe.
    public var totalBytes: Int64? { source.totalBytes }

    /// Reads the next line that is not blank; nil at the end, or with `follows` at the end for now.
    /// - Throws: once, when the file cannot be read on or its gzip is damaged or cut off, after all lines before that.
    public func next() throws(CSVError) -> LineStatus? {
        var scanned = start
        while true {
            let found = bytes.withUnsafeBytes { buffer -> Int? in
                guard scanned < end, let base = buffer.baseAddress,
                    let place = memchr(base + scanned, Int32(UInt8(ascii: "\n")), end - scanned)
                else { return nil }
                return UnsafeRawPointer(place) - base
            }
            if let found {
                if let status = take(to: found, next: found + 1) { return status }
                scanned = start
                continue
            }
            scanned = end
            if isSkipping || end - start > limit {
                if !isSkipping {
                    // The line's beginning is kept at the front of the buffer; what follows it is read over.
                    isSkipping = true
                    move(keeping: Self.keptBytes)
                }
                end = min(end, Self.keptBytes)
                scanned = end
            }
            let known = end - start
            let grew = try fill()
            // The window may have moved to the front.
            scanned = start + known
            guard !grew else { continue }
            if follows { return nil }
            guard start < end else { return nil }
            if let status = take(to: end, next: end) { return status }
            return nil
        }
    }

    /// Gives up waiting for the rest of a last line: the file has been replaced, and this is all that will come.
    public func finish() throws(CSVError) -> LineStatus? {
        guard start < end else { return nil }
        return take(to: end, next: end)
    }

    /// Passes over lines, so that the next one is this or a later one.
    public func skip(toLine line: Int) throws(CSVError) {
        while self.line + 1 < line {
            if try next() == nil { return }
        }
    }

    /// Back to the first line. A pipe cannot go back.
    public func rewind() throws(CSVError) {
        do { try source.rewind() } catch { throw CSVError(file: file, message: error.message) }
        (start, end, line, isSkipping, isAtEnd, range) = (0, 0, 0, false, false, 0..<0)
        failure = nil
    }

    /// - Returns: nil for a blank line.
    private func take(to lineEnd: Int, next: Int) -> LineStatus? {
        var first = start
        line += 1
        if line == 1, bytes[first..<lineEnd].starts(with: [0xEF, 0xBB, 0xBF]) { first += 3 }
        let last = lineEnd > first && bytes[lineEnd - 1] == UInt8(ascii: "\r") ? lineEnd - 1 : lineEnd
        start = next
        if isSkipping || lineEnd - first > limit {
            isSkipping = false
            range = first..<min(last, first + Self.keptBytes)
            return .tooLong(limit: limit)
        }
        range = first..<last
        guard !range.isEmpty else { return nil }
        let hasNUL = bytes.withUnsafeBytes { $0.baseAddress.map { memchr($0 + range.lowerBound, 0, range.count) != nil } ?? false }
        if hasNUL { return .binary }
        return UTF8Text.firstInvalid(bytes, range).map { .notUTF8(byte: $0 - range.lowerBound + 1) } ?? .ok
    }

    /// The rest to the front of the buffer.
    private func move(keeping count: Int) {
        let kept = min(count, end - start)
        bytes.withUnsafeMutableBytes { buffer in
            guard let base = buffer.baseAddress, start > 0 else { return }
            memmove(base, base + start, kept)
        }
        start = 0
        end = kept
    }

    /// - Returns: false at the end, or at the end for now.
    private func fill() throws(CSVError) -> Bool {
        if let failure {
            // Half a line is none.
            self.failure = nil
            isAtEnd = true
            start = end
            throw CSVError(file: file, line: line + 1, message: failure.message)
        }
        guard !isAtEnd else { return false }
        if start > 0, !isSkipping { move(keeping: end - start) }
        if end + Self.padding >= bytes.count { bytes.append(contentsOf: repeatElement(0, count: bytes.count)) }
        do {
            let (from, room) = (end, bytes.count - Self.padding - end)
            let count = try bytes.withUnsafeMutableBufferPointer { buffer throws(ByteSource.Failure) in
                try source.read(into: UnsafeMutableBufferPointer(rebasing: buffer[from..<from + room]))
            }
            end += count
            if count == 0, !follows { isAtEnd = true }
            return count > 0
        } catch {
            failure = error
            return try fill()
        }
    }
}
