import CSimdJSON

/// Why a text is not the JSON that was asked for: one sentence, and where it is known the byte it is about.
public struct JSONError: Error, Sendable, Equatable, CustomStringConvertible {
    public let message: String
    public let offset: Int?

    public init(_ message: String, offset: Int? = nil) {
        self.message = message
        self.offset = offset
    }

    public var description: String {
        guard let offset else { return message }
        return "\(message) (at byte \(offset))"
    }
}

/// Why the parser refused a document. One byte, so that the hot path returns it without allocating.
public struct JSONReason: Sendable, Equatable, CustomStringConvertible {
    public let code: UInt8

    init(code: UInt8) { self.code = code }

    init(_ status: vyuha_json_status) {
        self.init(code: UInt8(truncatingIfNeeded: status.rawValue))
    }

    static let none = JSONReason(VYUHA_JSON_OK)
    static let memory = JSONReason(VYUHA_JSON_OUT_OF_MEMORY)
    static let number = JSONReason(VYUHA_JSON_BAD_NUMBER)
    static let empty = JSONReason(VYUHA_JSON_EMPTY)
    /// The caller's range lies outside its bytes.
    static let outside = JSONReason(code: .max)

    /// A sentence for a person; always one of a few constants.
    public var description: String {
        switch vyuha_json_status(rawValue: UInt32(code)) {
        case VYUHA_JSON_TOO_LARGE: "The document is larger than this reader accepts."
        case VYUHA_JSON_OUT_OF_MEMORY: "There is no memory to parse the document."
        case VYUHA_JSON_TOO_DEEP: "The document is nested deeper than this reader accepts."
        case VYUHA_JSON_BAD_STRUCTURE: "The document is not JSON: its brackets, commas, colons or values do not fit together."
        case VYUHA_JSON_BAD_STRING: "A string in the document has an escape that JSON does not know, or half of a surrogate pair."
        case VYUHA_JSON_BAD_ATOM: "A word in the document is not true, false or null."
        case VYUHA_JSON_BAD_NUMBER: "A number in the document is not written as JSON wants it, or is too large for a double."
        case VYUHA_JSON_BAD_UTF8: "The document is not valid UTF-8."
        case VYUHA_JSON_EMPTY: "The document is empty."
        case VYUHA_JSON_CONTROL_CHARACTER: "A string in the document has a control character that is not escaped."
        case VYUHA_JSON_UNCLOSED_STRING: "A string in the document has no closing quote."
        case VYUHA_JSON_OK: "The document is JSON."
        default: self == .outside ? "The range lies outside the bytes that were given." : "The document could not be parsed."
        }
    }
}
