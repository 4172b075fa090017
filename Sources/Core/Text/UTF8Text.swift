/// Whether bytes are text in UTF-8 ([RFC 3629](https://www.rfc-editor.org/rfc/rfc3629)): no overlong form, no surrogate, nothing above U+10FFFF.
public enum UTF8Text {
    /// The index of the first byte that begins no character, or nil when everything is UTF-8. ASCII is looked at eight bytes at a time.
    public static func firstInvalid(_ bytes: [UInt8], _ range: Range<Int>) -> Int? {
        bytes.withUnsafeBytes { bytes in
            var index = range.lowerBound
            let end = range.upperBound
            while index < end {
                while index + 8 <= end, bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self) & 0x8080_8080_8080_8080 == 0 { index += 8 }
                guard index < end else { return nil }
                let length = characterLength(bytes, index, end)
                guard length > 0 else { return index }
                index += length
            }
            return nil
        }
    }

    /// Bytes of the character that begins here; 0 when none does.
    private static func characterLength(_ bytes: UnsafeRawBufferPointer, _ at: Int, _ end: Int) -> Int {
        func follows(_ distance: Int, _ allowed: ClosedRange<UInt8> = 0x80...0xBF) -> Bool {
            at + distance < end && allowed.contains(bytes[at + distance])
        }
        switch bytes[at] {
        case 0..<0x80: return 1
        case 0xC2...0xDF: return follows(1) ? 2 : 0
        case 0xE0: return follows(1, 0xA0...0xBF) && follows(2) ? 3 : 0
        case 0xED: return follows(1, 0x80...0x9F) && follows(2) ? 3 : 0
        case 0xE1...0xEF: return follows(1) && follows(2) ? 3 : 0
        case 0xF0: return follows(1, 0x90...0xBF) && follows(2) && follows(3) ? 4 : 0
        case 0xF1...0xF3: return follows(1) && follows(2) && follows(3) ? 4 : 0
        case 0xF4: return follows(1, 0x80...0x8F) && follows(2) && follows(3) ? 4 : 0
        default: return 0
        }
    }
}
