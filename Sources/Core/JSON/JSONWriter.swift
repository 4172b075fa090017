import CSimdJSON

/// Writes JSON into one growing buffer. Commas and colons are placed by the writer; that objects and arrays are closed and
/// that each value in an object has a key is the caller's part. No allocation once the buffer has grown.
public struct JSONWriter: Sendable {
    /// What has been written so far.
    public private(set) var bytes: [UInt8]
    /// Whether the next key or value in the current container needs a comma before it.
    private var needsComma = false

    public init(capacity: Int = 256) {
        bytes = []
        bytes.reserveCapacity(capacity)
    }

    public var count: Int { bytes.count }

    /// The bytes as a string. Allocates.
    public var text: String { String(decoding: bytes, as: UTF8.self) }

    /// Starts a new document in the same memory.
    public mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        needsComma = false
    }

    public mutating func beginObject() { open(UInt8(ascii: "{")) }
    public mutating func endObject() { close(UInt8(ascii: "}")) }
    public mutating func beginArray() { open(UInt8(ascii: "[")) }
    public mutating func endArray() { close(UInt8(ascii: "]")) }

    /// A name that needs no escaping: a literal in the source.
    public mutating func key(_ name: StaticString) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        append(name)
        bytes.append(UInt8(ascii: "\""))
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    /// Disfavoured, so that a literal takes the way without a look at each byte.
    @_disfavoredOverload
    public mutating func key(_ name: String) {
        separate()
        quote(name)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    /// A name made by `escapedKey`: the way for names from settings that are written per event.
    public mutating func key(raw name: [UInt8]) {
        separate()
        bytes.append(contentsOf: name)
        needsComma = false
    }

    /// A part of what `escapedKey` made: many names kept in one array cost no reference count each.
    @inline(__always)
    public mutating func key(raw name: UnsafeRawBufferPointer) {
        separate()
        bytes.append(contentsOf: name)
        needsComma = false
    }

    /// `"name":`, escaped, to be kept and written with `key(raw:)`.
    public static func escapedKey(_ name: String) -> [UInt8] {
        var writer = JSONWriter(capacity: name.utf8.count + 3)
        writer.key(name)
        return writer.bytes
    }

    /// Shortest text that reads back as the same double; NaN and infinities become null.
    public mutating func value(_ value: Double) {
        separate()
        NumberText.append(value, to: &bytes)
        needsComma = true
    }

    public mutating func value(_ value: Int64) {
        separate()
        NumberText.append(value, to: &bytes)
        needsComma = true
    }

    public mutating func value(_ value: Int) { self.value(Int64(value)) }

    public mutating func value(_ value: UInt64) {
        separate()
        NumberText.append(value, to: &bytes)
        needsComma = true
    }

    public mutating func value(_ value: Bool) {
        separate()
        append(value ? "true" : "false")
        needsComma = true
    }

    public mutating func value(_ value: String) {
        separate()
        quote(value)
        needsComma = true
    }

    /// A text that needs no escaping: a literal in the source.
    public mutating func value(_ value: StaticString) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        append(value)
        bytes.append(UInt8(ascii: "\""))
        needsComma = true
    }

    /// A string from bytes. What is not UTF-8 in them becomes U+FFFD, so the document is always valid.
    public mutating func value(utf8 source: [UInt8], _ range: Range<Int>) {
        source.withUnsafeBytes { value(utf8: UnsafeRawBufferPointer(rebasing: $0[range])) }
    }

    public mutating func value(utf8 source: UnsafeRawBufferPointer) {
        separate()
        if Self.isValid(source) {
            quote(source)
        } else {
            quote(String(decoding: source, as: UTF8.self))
        }
        needsComma = true
    }

    public mutating func null() {
        separate()
        append("null")
        needsComma = true
    }

    /// One finished JSON value, copied as it is.
    public mutating func raw(_ json: [UInt8]) {
        separate()
        bytes.append(contentsOf: json)
        needsComma = true
    }

    public mutating func raw(_ json: [UInt8], _ range: Range<Int>) {
        separate()
        bytes.append(contentsOf: json[range])
        needsComma = true
    }

    /// Ends a document of a JSON Lines file; the next value starts afresh.
    public mutating func newline() {
        bytes.append(UInt8(ascii: "\n"))
        needsComma = false
    }

    /// A line break and spaces, for people; the caller has placed the comma.
    mutating func indent(_ level: Int) {
        if needsComma {
            bytes.append(UInt8(ascii: ","))
            needsComma = false
        }
        bytes.append(UInt8(ascii: "\n"))
        bytes.append(contentsOf: repeatElement(UInt8(ascii: " "), count: 2 * level))
    }

    /// The space after a colon, for people.
    mutating func space() { bytes.append(UInt8(ascii: " ")) }

    /// The line break before a closing bracket, for people.
    mutating func outdent(_ level: Int) {
        needsComma = false
        indent(level)
    }

    @inline(__always)
    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
    }

    private mutating func open(_ bracket: UInt8) {
        separate()
        bytes.append(bracket)
        needsComma = false
    }

    private mutating func close(_ bracket: UInt8) {
        bytes.append(bracket)
        needsComma = true
    }

    private mutating func append(_ text: StaticString) {
        if text.hasPointerRepresentation {
            bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
        } else {
            bytes.append(contentsOf: String(text.unicodeScalar).utf8)
        }
    }

    private mutating func quote(_ text: String) {
        let done: Void? = text.utf8.withContiguousStorageIfAvailable { quote(UnsafeRawBufferPointer($0)) }
        if done == nil { Array(text.utf8).withUnsafeBytes { quote($0) } }
    }

    /// Escapes what RFC 8259 section 7 demands: quotation mark, reverse solidus and control characters.
    private mutating func quote(_ utf8: UnsafeRawBufferPointer) {
        bytes.append(UInt8(ascii: "\""))
        var plain = 0
        for index in 0..<utf8.count {
            let byte = utf8[index]
            if byte >= 0x20, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") { continue }
            bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: utf8[plain..<index]))
            escape(byte)
            plain = index + 1
        }
        bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: utf8[plain..<utf8.count]))
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func escape(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""): append("\\\"")
        case UInt8(ascii: "\\"): append("\\\\")
        case UInt8(ascii: "\n"): append("\\n")
        case UInt8(ascii: "\r"): append("\\r")
        case UInt8(ascii: "\t"): append("\\t")
        case 0x08: append("\\b")
        case 0x0C: append("\\f")
        default:
            append("\\u00")
            bytes.append(Self.hex(byte >> 4))
            bytes.append(Self.hex(byte & 15))
        }
    }

    private static func hex(_ digit: UInt8) -> UInt8 {
        digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
    }

    private static func isValid(_ utf8: UnsafeRawBufferPointer) -> Bool {
        guard let base = utf8.baseAddress else { return true }
        return vyuha_utf8_is_valid(base.assumingMemoryBound(to: UInt8.self), utf8.count)
    }
}
