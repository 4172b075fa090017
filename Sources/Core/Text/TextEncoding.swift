/// In which encoding a text came, by its names in the [Encoding Standard](https://encoding.spec.whatwg.org/#names-and-labels).
public enum TextEncoding: String, Sendable, Equatable, CaseIterable {
    case utf8 = "utf-8"
    case latin1 = "iso-8859-1"
    case windows1252 = "windows-1252"
    /// The byte-order mark says which of the two below.
    case utf16 = "utf-16"
    case utf16LittleEndian = "utf-16le"
    case utf16BigEndian = "utf-16be"

    /// - Parameter name: a name or one of its usual aliases, in any case, as in `charset=` of a media type.
    public init?(named name: String) {
        switch name.lowercased() {
        case "utf-8", "utf8", "us-ascii", "ascii": self = .utf8
        case "iso-8859-1", "iso8859-1", "iso_8859-1", "latin1", "latin-1": self = .latin1
        case "windows-1252", "cp1252", "cp-1252": self = .windows1252
        case "utf-16", "utf16": self = .utf16
        case "utf-16le": self = .utf16LittleEndian
        case "utf-16be": self = .utf16BigEndian
        default: return nil
        }
    }

    /// The whole of a text as UTF-8; see `TextDecoder`.
    public func decode(_ bytes: [UInt8]) -> [UInt8] {
        guard self != .utf8 else { return bytes }
        var decoder = TextDecoder(self)
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count * 2)
        decoder.append(bytes[...], to: &result)
        decoder.finish(into: &result)
        return result
    }
}

/// Writes text of another encoding as UTF-8, piece by piece.
///
/// What is no text stays none, so that whoever checks the result for UTF-8 finds it: half a surrogate pair and half a unit at the end become bytes that are
/// not UTF-8. A byte-order mark of UTF-16 is left out. UTF-16 without one is read as little-endian, as Windows writes it.
public struct TextDecoder: Sendable {
    private var encoding: TextEncoding
    /// The first byte of a unit of two.
    private var half: UInt8?
    /// The first of a pair of surrogates.
    private var high: UInt32?
    private var isFirst = true

    /// The most bytes that one byte can become.
    public static let growth = 3

    public init(_ encoding: TextEncoding) { self.encoding = encoding }

    public mutating func append(_ bytes: ArraySlice<UInt8>, to output: inout [UInt8]) {
        switch encoding {
        case .utf8: output.append(contentsOf: bytes)
        case .latin1: for byte in bytes { Self.append(UInt32(byte), to: &output) }
        case .windows1252: for byte in bytes { Self.append(byte & 0xE0 == 0x80 ? Self.windows[Int(byte & 0x1F)] : UInt32(byte), to: &output) }
        case .utf16, .utf16LittleEndian, .utf16BigEndian:
            for byte in bytes {
                guard let first = half else {
                    half = byte
                    continue
                }
                half = nil
                take(first, byte, &output)
            }
        }
    }

    /// Writes what waits for more.
    public mutating func finish(into output: inout [UInt8]) {
        flushHigh(&output)
        if half != nil { output.append(0xFF) }
        half = nil
    }

    private mutating func take(_ first: UInt8, _ second: UInt8, _ output: inout [UInt8]) {
        if isFirst {
            isFirst = false
            let (mark, isSwapped) = (first == 0xFF && second == 0xFE, first == 0xFE && second == 0xFF)
            if encoding == .utf16 { encoding = isSwapped ? .utf16BigEndian : .utf16LittleEndian }
            if (encoding == .utf16LittleEndian && mark) || (encoding == .utf16BigEndian && isSwapped) { return }
        }
        let unit = encoding == .utf16BigEndian ? UInt32(first) << 8 | UInt32(second) : UInt32(second) << 8 | UInt32(first)
        switch unit {
        case 0xD800..<0xDC00:
            flushHigh(&output)
            high = unit
        case 0xDC00..<0xE000:
            guard let high else { return Self.append(unit, to: &output) }
            self.high = nil
            Self.append(0x10000 + (high - 0xD800) << 10 + (unit - 0xDC00), to: &output)
        default:
            flushHigh(&output)
            Self.append(unit, to: &output)
        }
    }

    private mutating func flushHigh(_ output: inout [UInt8]) {
        if let high { Self.append(high, to: &output) }
        high = nil
    }

    private static func append(_ scalar: UInt32, to output: inout [UInt8]) {
        func tail(_ shift: UInt32) -> UInt8 { UInt8(0x80 | scalar >> shift & 0x3F) }
        switch scalar {
        case 0..<0x80: output.append(UInt8(scalar))
        case 0x80..<0x800: output.append(contentsOf: [UInt8(0xC0 | scalar >> 6), tail(0)])
        case 0x800..<0x10000: output.append(contentsOf: [UInt8(0xE0 | scalar >> 12), tail(6), tail(0)])
        default: output.append(contentsOf: [UInt8(0xF0 | scalar >> 18), tail(12), tail(6), tail(0)])
        }
    }

    /// 0x80 to 0x9F of [windows-1252](https://encoding.spec.whatwg.org/index-windows-1252.txt).
    private static let windows: [UInt32] = [
        0x20AC, 0x81, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8D, 0x017D, 0x8F,
        0x90, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D, 0x017E, 0x0178,
    ]
}
