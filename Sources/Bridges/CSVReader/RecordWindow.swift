/// One record of a file after another, in a window of bounded size.
struct RecordWindow: ~Copyable {
    enum Found: Equatable {
        /// The record is the first `length` bytes, its fields are the parser's.
        case record(length: Int)
        /// The first bytes of a record beyond the limit.
        case tooLong(length: Int)
        /// The first line of a record whose quote does not end.
        case unterminatedQuote(length: Int)
        case end
    }

    private var source: ByteSource
    var parser: RecordParser
    private let limit: Int
    /// At the end of the file, what is left waits for more; `finish` ends the wait.
    private var follows: Bool
    /// Bytes of the file; the current record starts at `start`, what is known ends at `end`.
    private(set) var window: [UInt8]
    private(set) var start = 0
    private var end = 0
    /// The place of the current record in the uncompressed file.
    private(set) var offset: Int64 = 0
    private(set) var line = 1
    /// What the current record takes, to be passed over by the next call.
    private var taken = 0
    private var takenLines = 0
    private var isSkipping = false
    private var isAtEnd = false
    private var failure: ByteSource.Failure?

    init(_ source: consuming ByteSource, _ settings: CSVSettings) {
        self.source = source
        self.source.follows = settings.follows
        limit = settings.maximumRecordBytes
        follows = settings.follows
        parser = RecordParser(delimiter: settings.delimiter)
        window = Array(repeating: 0, count: Self.windowBytes)
    }

    var bytesRead: Int64 { source.bytesRead }
    var totalBytes: Int64? { source.totalBytes }

    /// The line behind the current record; blank lines may follow.
    var nextLine: Int { line + takenLines + (isSkipping ? 1 : 0) }

    mutating func rewind() throws(ByteSource.Failure) {
        try source.rewind()
        (start, end, offset, line, taken, takenLines) = (0, 0, 0, 1, 0, 0)
        (isSkipping, isAtEnd, failure) = (false, false, nil)
    }

    /// The file does not grow any more: what is left without a line break is its last record.
    mutating func finish() {
        follows = false
        source.follows = false
    }

    /// The first bytes of the file, without passing over them.
    mutating func peek(_ count: Int) -> ArraySlice<UInt8> {
        while end - start < count, !isAtEnd { fill() }
        return window[start..<min(end, start + count)]
    }

    /// Passes over bytes at the start of the file that are no record.
    mutating func drop(_ count: Int) {
        start += count
        offset += Int64(count)
    }

    /// The next record that is no blank line.
    /// - Throws: once, when the source fails and everything before that has been given.
    mutating func next() throws(ByteSource.Failure) -> Found {
        pass()
        if isSkipping { skipLine() }
        while true {
            if follows, isAtEnd, failure == nil {
                // More may have come since.
                isAtEnd = false
                fill()
                let isComplete = window[start..<end].contains(RecordParser.lineFeed)
                if isAtEnd, !isComplete { return .end }
            }
            if start == end, isAtEnd {
                try report()
                return .end
            }
            let isLast = isAtEnd && failure == nil && !follows
            let range = start..<end
            let outcome = window.withUnsafeBufferPointer { parser.parse(UnsafeBufferPointer(rebasing: $0[range]), isLast: isLast) }
            switch outcome {
            case .record(let length, let next):
                taken = next
                takenLines = parser.innerLines + 1
                if length == 0 { pass() } else { return length > limit ? .tooLong(length: limit) : .record(length: length) }
            case .more(let inQuotes):
                if follows, isAtEnd, failure == nil, end - start <= limit { return .end }
                guard isAtEnd || end - start > limit else {
                    fill()
                    continue
                }
                try report()
                if inQuotes {
                    let newline = window[range].firstIndex(of: RecordParser.lineFeed)
                    if newline != nil || isAtEnd {
                        let length = (newline ?? end) - start
                        taken = newline == nil ? length : length + 1
                        takenLines = 1
                        return length > limit ? .tooLong(length: limit) : .unterminatedQuote(length: length)
                    }
                }
                isSkipping = true
                return .tooLong(length: limit)
            }
        }
    }

    private mutating func pass() {
        start += taken
        offset += Int64(taken)
        line += takenLines
        taken = 0
        takenLines = 0
    }

    /// To the line after this one.
    private mutating func skipLine() {
        isSkipping = false
        while true {
            let newline = window[start..<end].firstIndex(of: RecordParser.lineFeed)
            taken = newline.map { $0 + 1 - start } ?? end - start
            takenLines = newline == nil ? 0 : 1
            pass()
            if newline != nil || isAtEnd { return }
            fill()
        }
    }

    private mutating func report() throws(ByteSource.Failure) {
        guard isAtEnd, let failure else { return }
        self.failure = nil
        // Half a record is none.
        start = end
        throw failure
    }

    private mutating func fill() {
        if start > 0 {
            window.withUnsafeMutableBufferPointer { window in
                for index in 0..<end - start { window[index] = window[start + index] }
            }
            end -= start
            start = 0
        }
        if end == window.count { window.append(contentsOf: repeatElement(0, count: window.count)) }
        let from = end
        do {
            let count = try window.withUnsafeMutableBufferPointer { window throws(ByteSource.Failure) in
                try source.read(into: UnsafeMutableBufferPointer(rebasing: window[from...]))
            }
            end += count
            isAtEnd = count == 0
        } catch {
            failure = error
            isAtEnd = true
        }
    }

    private static let windowBytes = 256 << 10
}
