extension JSONValue {
    /// Documents nested deeper than this are refused.
    public static let maximumDepth = 64
    /// Larger documents are refused.
    public static let maximumBytes = 64 << 20

    /// The whole of a document, strictly as RFC 8259: bytes after its end, repeated names, invalid UTF-8, deeper nesting than
    /// `maximumDepth` and more than `maximumBytes` are errors.
    public static func parse(_ bytes: [UInt8], _ range: Range<Int>) throws(JSONError) -> JSONValue {
        var parser = Parser(maximumBytes: maximumBytes, maximumDepth: maximumDepth)
        var parsed: Tape?
        let reason = parser.parse(bytes, range, into: &parsed)
        guard reason == .none, let tape = parsed else { throw JSONError(reason.description) }
        var index = Tape.start
        let value = try read(tape, &index)
        // The tape lives as long as the parser, which Swift may otherwise end after its last use.
        extendLifetime(parser)
        return value
    }

    public static func parse(_ bytes: [UInt8]) throws(JSONError) -> JSONValue { try parse(bytes, 0..<bytes.count) }

    public static func parse(_ text: String) throws(JSONError) -> JSONValue { try parse(Array(text.utf8)) }

    /// The value at `index`, which moves behind it. The parser has limited the depth.
    private static func read(_ tape: Tape, _ index: inout Int) throws(JSONError) -> JSONValue {
        let at = index
        index = tape.after(at)
        switch tape.kind(at) {
        case Tape.Kind.object: return .object(try members(tape, at))
        case Tape.Kind.array:
            var elements: [JSONValue] = []
            var inner = at + 1
            let end = tape.close(at)
            while inner < end { elements.append(try read(tape, &inner)) }
            return .array(elements)
        case Tape.Kind.string: return .string(String(decoding: tape.string(at), as: UTF8.self))
        case Tape.Kind.integer: return .integer(tape.integer(at))
        case Tape.Kind.unsigned: return .number(Double(tape.unsigned(at)))
        case Tape.Kind.double: return .number(tape.double(at))
        case Tape.Kind.yes: return .bool(true)
        case Tape.Kind.no: return .bool(false)
        default: return .null
        }
    }

    private static func members(_ tape: Tape, _ at: Int) throws(JSONError) -> [JSONMember] {
        var members: [JSONMember] = []
        var inner = at + 1
        let end = tape.close(at)
        while inner < end {
            let name = String(decoding: tape.string(inner), as: UTF8.self)
            inner += 1
            members.append(JSONMember(name, try read(tape, &inner)))
        }
        // By bytes: Swift's own equality calls differently composed characters the same name, JSON does not.
        if members.count > 1 {
            var seen = Set<[UInt8]>(minimumCapacity: members.count)
            for member in members where !seen.insert(Array(member.name.utf8)).inserted {
                throw JSONError("The name \"\(member.name)\" occurs twice in one object.")
            }
        }
        return members
    }
}
