import Text

/// How far back a rolling aggregate looks: a time, or a number of events.
enum Span: Equatable, Hashable, Sendable {
    /// Milliseconds.
    case time(Int64)
    case events(Int)
}

/// A word or sign of an expression.
enum Token: Equatable {
    case number(Double)
    case text(String)
    case span(Span)
    case name(String)
    /// An operator, a parenthesis or a comma.
    case sign(String)
    case end
}

/// Cuts the text of an expression into tokens.
struct Lexer {
    private let bytes: [UInt8]
    private var position = 0

    init(_ text: String) { bytes = Array(text.utf8) }

    static func isNameStart(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte | 0x20) || byte == 0x5F }
    static func isNamePart(_ byte: UInt8) -> Bool { isNameStart(byte) || isDigit(byte) }
    private static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

    private func byte(_ ahead: Int = 0) -> UInt8? { position + ahead < bytes.count ? bytes[position + ahead] : nil }

    private mutating func skipSpace() {
        while let byte = byte(), byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { position += 1 }
    }

    private mutating func skip(while test: (UInt8) -> Bool) {
        while let byte = byte(), test(byte) { position += 1 }
    }

    /// The next token and where it stands.
    mutating func next() throws(ExpressionError) -> (Token, Place) {
        skipSpace()
        let start = position
        guard let first = byte() else { return (.end, Place(offset: start, length: 0)) }
        let token: Token
        if Self.isDigit(first) || (first == 0x2E && byte(1).map(Self.isDigit) == true) {
            token = try number()
        } else if Self.isNameStart(first) {
            skip(while: Self.isNamePart)
            token = .name(String(decoding: bytes[start..<position], as: UTF8.self))
        } else if first == 0x22 || first == 0x27 {
            token = .text(try text(first))
        } else {
            token = try sign(first)
        }
        return (token, Place(offset: start, length: position - start))
    }

    private mutating func number() throws(ExpressionError) -> Token {
        let start = position
        skip(while: Self.isDigit)
        if byte() == 0x2E {
            position += 1
            skip(while: Self.isDigit)
        }
        if let e = byte(), e | 0x20 == 0x65 {
            let sign = byte(1) == 0x2B || byte(1) == 0x2D ? 1 : 0
            if let digit = byte(1 + sign), Self.isDigit(digit) {
                position += 1 + sign
                skip(while: Self.isDigit)
            }
        }
        guard let value = TextNumber.parse(bytes, start..<position) else {
            throw ExpressionError("This number is too large.", Place(offset: start, length: position - start))
        }
        let unitStart = position
        skip(while: Self.isNamePart)
        let unit = String(decoding: bytes[unitStart..<position], as: UTF8.self)
        func place() -> Place { Place(offset: start, length: position - start) }
        if unit.isEmpty {
            let afterNumber = position
            skipSpace()
            let wordStart = position
            skip(while: Self.isNamePart)
            let word = String(decoding: bytes[wordStart..<position], as: UTF8.self)
            guard word == "events" || word == "event" else {
                position = afterNumber
                return .number(value)
            }
            guard value == value.rounded(), (1...10_000).contains(value) else {
                throw ExpressionError("A number of events is a whole number between 1 and 10000.", place())
            }
            return .span(.events(Int(value)))
        }
        let units = ["ms": 1.0, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000]
        guard let factor = units[unit] else {
            throw ExpressionError("`\(unit)` is no unit of time; write 500ms, 30s, 5m, 1h or 1d.", place())
        }
        let milliseconds = value * factor
        guard milliseconds == milliseconds.rounded(), milliseconds >= 1, milliseconds <= 366 * 86_400_000 else {
            throw ExpressionError("A time span is a whole number of milliseconds between 1ms and 366d.", place())
        }
        return .span(.time(Int64(milliseconds)))
    }

    private mutating func text(_ quote: UInt8) throws(ExpressionError) -> String {
        let start = position
        position += 1
        var content: [UInt8] = []
        while let byte = byte() {
            position += 1
            if byte == quote { return String(decoding: content, as: UTF8.self) }
            guard byte == 0x5C else {
                content.append(byte)
                continue
            }
            guard let escaped = self.byte() else { break }
            position += 1
            switch escaped {
            case 0x6E: content.append(0x0A)
            case 0x74: content.append(0x09)
            case 0x22, 0x27, 0x5C: content.append(escaped)
            default:
                throw ExpressionError("Only \\\\, \\\", \\', \\n and \\t can follow a backslash.", Place(offset: position - 2, length: 2))
            }
        }
        throw ExpressionError("This text has no closing quote.", Place(offset: start, length: bytes.count - start))
    }

    private mutating func sign(_ first: UInt8) throws(ExpressionError) -> Token {
        let start = position
        if let second = byte(1) {
            let pair = String(decoding: [first, second], as: UTF8.self)
            if ["==", "!=", "<=", ">="].contains(pair) {
                position += 2
                return .sign(pair)
            }
            let replacements = ["&&": "and", "||": "or", "<>": "!=", "**": "^"]
            if let replacement = replacements[pair] {
                throw ExpressionError("Write `\(replacement)` instead of `\(pair)`.", Place(offset: start, length: 2))
            }
        }
        if first < 0x80, "+-*/%^<>(),".utf8.contains(first) {
            position += 1
            return .sign(String(decoding: [first], as: UTF8.self))
        }
        switch first {
        case 0x3D: throw ExpressionError("Write `==` to compare.", Place(offset: start, length: 1))
        case 0x21: throw ExpressionError("Write `not` instead of `!`.", Place(offset: start, length: 1))
        default: break
        }
        let character = String(decoding: bytes[start...].prefix(8), as: UTF8.self).prefix(1)
        throw ExpressionError("`\(character)` has no meaning in an expression.", Place(offset: start, length: max(1, character.utf8.count)))
    }
}
