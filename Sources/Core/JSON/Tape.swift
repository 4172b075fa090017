import CSimdJSON

/// simdjson's parser, owned. One thread at a time; grows with its documents up to a limit.
///
/// Source: https://github.com/simdjson/simdjson/blob/master/doc/dom.md
struct Parser: ~Copyable {
    private let handle: OpaquePointer?
    /// Documents that come without readable bytes after their end are copied here, and a repaired document too.
    private var copy: [UInt8] = []

    init(maximumBytes: Int, maximumDepth: Int) {
        handle = vyuha_json_create(max(1, maximumBytes), max(1, maximumDepth))
    }

    deinit {
        vyuha_json_destroy(handle)
    }

    /// Validates the whole range and returns the tape, valid until the next parse, or the reason.
    mutating func parse(_ bytes: [UInt8], _ range: Range<Int>, into tape: inout Tape?) -> JSONReason {
        guard range.lowerBound >= 0, range.upperBound <= bytes.count else { return .outside }
        let reason: JSONReason
        if bytes.count - range.upperBound >= Self.padding {
            reason = run(bytes, range, into: &tape)
        } else {
            copy.removeAll(keepingCapacity: true)
            copy.reserveCapacity(range.count + Self.padding)
            copy.append(contentsOf: bytes[range])
            copy.append(contentsOf: repeatElement(0, count: Self.padding))
            reason = run(copy, 0..<range.count, into: &tape)
        }
        guard reason == .number, let repaired = LongIntegers.asDoubles(bytes, range) else { return reason }
        copy = repaired
        copy.append(contentsOf: repeatElement(0, count: Self.padding))
        return run(copy, 0..<repaired.count, into: &tape)
    }

    private func run(_ bytes: [UInt8], _ range: Range<Int>, into tape: inout Tape?) -> JSONReason {
        guard let handle else { return .memory }
        return bytes.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return .empty }
            var raw = vyuha_json_tape()
            let status = vyuha_json_parse(handle, base + range.lowerBound, range.count, &raw)
            guard status == VYUHA_JSON_OK, let words = raw.words, let strings = raw.strings else {
                return JSONReason(status)
            }
            tape = Tape(words: words, strings: UnsafeRawPointer(strings))
            return .none
        }
    }

    static let padding = Int(VYUHA_JSON_PADDING)
}

/// Read access to a parsed document: words of a type byte and 56 bits of payload, in document order.
///
/// Only this module sees it, and only until the parser that made it parses again. The parser has checked the document,
/// so positions that come from the tape need no check here.
///
/// Source: https://github.com/simdjson/simdjson/blob/master/doc/tape.md
struct Tape {
    let words: UnsafePointer<UInt64>
    let strings: UnsafeRawPointer

    /// The document's value; word 0 is the root.
    static let start = 1

    @inline(__always)
    func kind(_ index: Int) -> UInt8 { UInt8(truncatingIfNeeded: words[index] >> 56) }

    /// Where a container's contents end: the index of its closing word.
    @inline(__always)
    func close(_ index: Int) -> Int { Int(words[index] & 0xFFFF_FFFF) - 1 }

    /// The index after the value at `index`.
    @inline(__always)
    func after(_ index: Int) -> Int {
        switch kind(index) {
        case Kind.object, Kind.array: Int(words[index] & 0xFFFF_FFFF)
        case Kind.integer, Kind.unsigned, Kind.double: index + 2
        default: index + 1
        }
    }

    /// The unescaped bytes of the string at `index`: valid UTF-8, with at least 8 readable bytes after it.
    @inline(__always)
    func string(_ index: Int) -> UnsafeRawBufferPointer { string(at: words[index] & 0x00FF_FFFF_FFFF_FFFF) }

    @inline(__always)
    func string(at offset: UInt64) -> UnsafeRawBufferPointer {
        let header = strings + Int(offset)
        let length = header.loadUnaligned(as: UInt32.self)
        return UnsafeRawBufferPointer(start: header + 4, count: Int(length))
    }

    @inline(__always)
    func integer(_ index: Int) -> Int64 { Int64(bitPattern: words[index + 1]) }

    @inline(__always)
    func unsigned(_ index: Int) -> UInt64 { words[index + 1] }

    @inline(__always)
    func double(_ index: Int) -> Double { Double(bitPattern: words[index + 1]) }

    /// The type bytes of the tape.
    enum Kind {
        static let object = UInt8(ascii: "{")
        static let array = UInt8(ascii: "[")
        static let string = UInt8(ascii: "\"")
        static let integer = UInt8(ascii: "l")
        static let unsigned = UInt8(ascii: "u")
        static let double = UInt8(ascii: "d")
        static let yes = UInt8(ascii: "t")
        static let no = UInt8(ascii: "f")
        static let null = UInt8(ascii: "n")
    }
}
