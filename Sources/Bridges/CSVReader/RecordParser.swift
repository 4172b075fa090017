/// Finds one record in a window of bytes. RFC 4180, read kindly: a quote inside an unquoted field and text after a closing
/// quote are taken as they are.
struct RecordParser {
    enum Outcome {
        /// The record without its line break ends before `end`; the next one starts at `next`.
        case record(end: Int, next: Int)
        /// The window ends inside the record.
        case more(inQuotes: Bool)
    }

    private let delimiter: UInt8
    /// Which bytes end the scan of an unquoted field.
    private let isSpecial: [Bool]
    /// Where the fields are, relative to the record's start; `isQuoted` ones with their quotes.
    var fields: [Range<Int>] = []
    /// How many fields the record has, also beyond those that are kept.
    private(set) var fieldCount = 0
    /// The fields that are quoted.
    var quoted: [Int] = []
    /// Line breaks inside the record.
    var innerLines = 0
    var hasNUL = false

    init(delimiter: UInt8) {
        self.delimiter = delimiter
        var special = [Bool](repeating: false, count: 256)
        for byte in [delimiter, Self.lineFeed, 0] { special[Int(byte)] = true }
        isSpecial = special
    }

    /// - Parameter isLast: the window ends where the file ends, so the end ends a record too.
    mutating func parse(_ bytes: UnsafeBufferPointer<UInt8>, isLast: Bool) -> Outcome {
        fields.removeAll(keepingCapacity: true)
        quoted.removeAll(keepingCapacity: true)
        fieldCount = 0
        innerLines = 0
        hasNUL = false
        return isSpecial.withUnsafeBufferPointer { special in
            var index = 0
            while true {
                let start = index
                // Blanks before a quote do not hide it.
                if index < bytes.count, bytes[index] == UInt8(ascii: " ") {
                    var next = index + 1
                    while next < bytes.count, bytes[next] == UInt8(ascii: " ") { next += 1 }
                    if next < bytes.count, bytes[next] == Self.quote { index = next }
                }
                if index < bytes.count, bytes[index] == Self.quote {
                    if fieldCount < Self.keptFields { quoted.append(fieldCount) }
                    guard let closed = skipQuoted(bytes, from: index + 1) else { return .more(inQuotes: true) }
                    index = closed
                }
                while index < bytes.count, !special[Int(bytes[index])] { index += 1 }
                guard index < bytes.count else {
                    guard isLast else { return .more(inQuotes: false) }
                    return finish(bytes, start, index, next: index)
                }
                switch bytes[index] {
                case delimiter:
                    add(start..<index)
                    index += 1
                case Self.lineFeed:
                    return finish(bytes, start, index, next: index + 1)
                default:
                    // A NUL is part of the field, and noted. The scan goes on behind it.
                    hasNUL = true
                    index += 1
                    while index < bytes.count, !special[Int(bytes[index])] || bytes[index] == 0 { index += 1 }
                    guard index < bytes.count || isLast else { return .more(inQuotes: false) }
                    if index == bytes.count { return finish(bytes, start, index, next: index) }
                    if bytes[index] == delimiter {
                        add(start..<index)
                        index += 1
                    } else {
                        return finish(bytes, start, index, next: index + 1)
                    }
                }
            }
        }
    }

    @inline(__always)
    private mutating func add(_ field: Range<Int>) {
        fieldCount += 1
        if fieldCount <= Self.keptFields { fields.append(field) }
    }

    private mutating func finish(_ bytes: UnsafeBufferPointer<UInt8>, _ start: Int, _ end: Int, next: Int) -> Outcome {
        // CRLF, but not a carriage return inside quotes, which `start..<end` ends with a quote.
        let end = end > start && bytes[end - 1] == Self.carriageReturn ? end - 1 : end
        add(start..<end)
        return .record(end: end, next: next)
    }

    /// The index behind the closing quote.
    private mutating func skipQuoted(_ bytes: UnsafeBufferPointer<UInt8>, from first: Int) -> Int? {
        var index = first
        while index < bytes.count {
            switch bytes[index] {
            case Self.quote:
                guard index + 1 < bytes.count, bytes[index + 1] == Self.quote else { return index + 1 }
                index += 2
            case Self.lineFeed:
                innerLines += 1
                index += 1
            case 0:
                hasNUL = true
                index += 1
            default:
                index += 1
            }
        }
        return nil
    }

    /// A record of nothing but delimiters must not take sixteen times its size in memory.
    static let keptFields = 16_384

    static let quote = UInt8(ascii: "\"")
    static let lineFeed = UInt8(ascii: "\n")
    static let carriageReturn = UInt8(ascii: "\r")
}
