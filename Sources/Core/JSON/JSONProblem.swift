import Text

/// Finds the first thing that is wrong with a document, for a sentence to the person who sent it. The fast parser only knows that something is.
///
/// [RFC 8259](https://www.rfc-editor.org/rfc/rfc8259), one pass, about 10 ns a byte; for documents that were refused.
public struct JSONProblem: Sendable, Equatable, CustomStringConvertible {
    /// What is wrong, without a full stop: "NaN is no JSON value".
    public let reason: String
    /// Counted from 0 at the document's first byte.
    public let byte: Int
    /// Counted from 1.
    public let line: Int

    /// `NaN is no JSON value, at byte 60`; with the line where there are several.
    public var description: String { reason + (line > 1 ? ", on line \(line)" : "") + ", at byte \(byte)" }

    /// The reason where a whole document is followed by something, such as the next one.
    public static let goesOn = "Something stands behind the end of the document"

    /// Nil when this check finds nothing: the document is JSON, or only a limit of the parser was passed.
    public static func first(in bytes: [UInt8], _ range: Range<Int>) -> JSONProblem? {
        var check = Check(bytes: bytes, end: range.upperBound, at: range.lowerBound)
        do throws(JSONError) {
            try check.document()
            return nil
        } catch {
            let at = error.offset ?? range.lowerBound
            return JSONProblem(
                reason: error.message, byte: at - range.lowerBound, line: bytes[range.lowerBound..<min(at, range.upperBound)].count { $0 == 10 } + 1)
        }
    }

    private struct Check {
        let bytes: [UInt8]
        let end: Int
        var at: Int

        mutating func document() throws(JSONError) {
            if bytes[at..<end].starts(with: [0xEF, 0xBB, 0xBF]) { throw JSONError("It begins with a byte-order mark", offset: at) }
            if bytes[at..<end].starts(with: [0x1F, 0x8B]) { throw JSONError("It is compressed (gzip)", offset: at) }
            blanks()
            if at < end, bytes[at] == UInt8(ascii: "<") { throw JSONError("It is HTML or XML", offset: at) }
            try value(depth: 0)
            blanks()
            if at < end { throw JSONError(JSONProblem.goesOn, offset: at) }
        }

        private mutating func blanks() { while at < end, Self.isBlank(bytes[at]) { at += 1 } }

        private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D }

        private static func endsAtom(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: ","), UInt8(ascii: "]"), UInt8(ascii: "}"), UInt8(ascii: "["), UInt8(ascii: "{"), UInt8(ascii: ":"), UInt8(ascii: "\""):
                true
            default: isBlank(byte)
            }
        }

        private func next() throws(JSONError) -> UInt8 {
            guard at < end else { throw JSONError("It ends too early", offset: end) }
            return bytes[at]
        }

        private mutating func value(depth: Int) throws(JSONError) {
            guard depth <= JSONValue.maximumDepth else { throw JSONError("It is nested too deep", offset: at) }
            blanks()
            switch try next() {
            case UInt8(ascii: "{"): try container(UInt8(ascii: "}"), depth)
            case UInt8(ascii: "["): try container(UInt8(ascii: "]"), depth)
            case UInt8(ascii: "\""): try string()
            default: try atom()
            }
        }

        private mutating func container(_ close: UInt8, _ depth: Int) throws(JSONError) {
            at += 1
            blanks()
            if try next() == close {
                at += 1
                return
            }
            while true {
                if close == UInt8(ascii: "}") {
                    blanks()
                    guard try next() == UInt8(ascii: "\"") else { throw JSONError("A name in double quotes must stand here", offset: at) }
                    try string()
                    blanks()
                    guard try next() == UInt8(ascii: ":") else { throw JSONError("A colon must stand here", offset: at) }
                    at += 1
                }
                try value(depth: depth + 1)
                blanks()
                let byte = try next()
                guard byte == close || byte == UInt8(ascii: ",") else {
                    throw JSONError("A comma or `\(UnicodeScalar(close))` must stand here", offset: at)
                }
                at += 1
                if byte == close { return }
            }
        }

        private mutating func string() throws(JSONError) {
            let start = at
            at += 1
            while at < end, bytes[at] != UInt8(ascii: "\"") {
                if bytes[at] < 0x20 { throw JSONError("A control character stands in a text", offset: at) }
                if bytes[at] == UInt8(ascii: "\\") {
                    at += 1
                    guard at < end, "\"\\/bfnrtu".utf8.contains(bytes[at]) else {
                        throw JSONError("A backslash is followed by no known sign", offset: at - 1)
                    }
                }
                at += 1
            }
            guard at < end else { throw JSONError("The text that begins here does not end", offset: start) }
            if let wrong = UTF8Text.firstInvalid(bytes, start..<at) { throw JSONError("The text is not UTF-8", offset: wrong) }
            at += 1
        }

        private mutating func atom() throws(JSONError) {
            let start = at
            while at < end, !Self.endsAtom(bytes[at]) { at += 1 }
            let text = String(decoding: bytes[start..<min(at, start + 40)], as: UTF8.self)
            guard !text.isEmpty else { throw JSONError("A value must stand here", offset: start) }
            if ["true", "false", "null"].contains(text) || Self.isNumber(bytes[start..<at]) { return }
            throw JSONError("\(text) is no JSON value", offset: start)
        }

        private static func isNumber(_ text: ArraySlice<UInt8>) -> Bool {
            var rest = text
            func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }
            func digits() -> Int {
                let count = rest.prefix(while: isDigit).count
                rest = rest.dropFirst(count)
                return count
            }
            if rest.first == UInt8(ascii: "-") { rest = rest.dropFirst() }
            let leadsWithZero = rest.first == UInt8(ascii: "0")
            let whole = digits()
            guard whole > 0, !leadsWithZero || whole == 1 else { return false }
            if rest.first == UInt8(ascii: ".") {
                rest = rest.dropFirst()
                guard digits() > 0 else { return false }
            }
            if let byte = rest.first, byte | 0x20 == UInt8(ascii: "e") {
                rest = rest.dropFirst()
                if let sign = rest.first, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { rest = rest.dropFirst() }
                guard digits() > 0 else { return false }
            }
            return rest.isEmpty
        }
    }
}
