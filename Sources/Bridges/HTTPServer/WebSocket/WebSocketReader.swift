/// A message as it arrived, its fragments put together.
public enum WebSocketMessage: Sendable, Equatable {
    case text(String)
    case binary([UInt8])
}

/// Bytes of a client in, messages and control frames out ([RFC 6455](https://www.rfc-editor.org/rfc/rfc6455), section 5). Pure; holds at most
/// one message and what was fed last.
struct WebSocketReader {
    enum Event: Equatable {
        case message(WebSocketMessage)
        case ping([UInt8])
        case pong
        /// The code that the client gave; nil for none.
        case close(UInt16?)
    }

    /// What a client did against the protocol, with the code to close by (7.4.1).
    struct Violation: Error, Equatable {
        let code: UInt16
        let reason: String
    }

    private struct Header {
        let isFinal: Bool
        let opcode: WebSocketOpcode
        /// Where the mask and the payload begin, counted from the frame's first byte.
        let mask: Int
        let length: Int
        var payload: Int { mask + 4 }
    }

    private let maximumMessageBytes: Int
    private var pending: [UInt8] = []
    private var start = 0
    /// The fragments so far and what kind of message they are; nil between messages.
    private var fragments: (opcode: WebSocketOpcode, bytes: [UInt8])?

    init(maximumMessageBytes: Int) { self.maximumMessageBytes = maximumMessageBytes }

    mutating func feed(_ bytes: some Collection<UInt8>) {
        pending.removeFirst(start)
        start = 0
        pending.append(contentsOf: bytes)
    }

    /// The next event, nil until more has been fed. After a violation nothing more may be read.
    mutating func next() throws(Violation) -> Event? {
        while let header = try header() {
            guard pending.count - start - header.payload >= header.length else { return nil }
            let payload = take(header)
            if let event = try event(header, payload) { return event }
        }
        return nil
    }

    /// The header of the frame that comes next, nil until it is whole. What is too long is refused here, before it is kept.
    private func header() throws(Violation) -> Header? {
        guard pending.count - start >= 2 else { return nil }
        let (first, second) = (pending[start], pending[start + 1])
        guard first & 0x70 == 0 else { throw Violation(code: 1002, reason: "Reserved bits are set, and no extension was agreed on.") }
        guard let opcode = WebSocketOpcode(rawValue: first & 0x0F) else { throw Violation(code: 1002, reason: "The opcode is unknown.") }
        guard second & 0x80 != 0 else { throw Violation(code: 1002, reason: "A client's frames must be masked.") }
        let isFinal = first & 0x80 != 0
        let short = Int(second & 0x7F)
        if opcode.isControl, !isFinal || short > 125 {
            throw Violation(code: 1002, reason: "A control frame has at most 125 bytes and no fragments.")
        }
        if opcode == .continuation, fragments == nil { throw Violation(code: 1002, reason: "Nothing was begun that could be continued.") }
        if opcode == .text || opcode == .binary, fragments != nil { throw Violation(code: 1002, reason: "A message was begun and not ended.") }
        let wide = short == 126 ? 2 : short == 127 ? 8 : 0
        guard pending.count - start >= 6 + wide else { return nil }
        var length = UInt64(wide == 0 ? short : 0)
        for byte in pending[start + 2..<start + 2 + wide] { length = length << 8 | UInt64(byte) }
        if (wide == 2 && length < 126) || (wide == 8 && (length < 65_536 || length >> 63 != 0)) {
            throw Violation(code: 1002, reason: "The length is not in its shortest form.")
        }
        if !opcode.isControl, length > UInt64(max(0, maximumMessageBytes - (fragments?.bytes.count ?? 0))) {
            throw Violation(code: 1009, reason: "A message is at most \(maximumMessageBytes) bytes.")
        }
        return Header(isFinal: isFinal, opcode: opcode, mask: 2 + wide, length: Int(length))
    }

    /// Takes the frame out, its payload unmasked.
    private mutating func take(_ header: Header) -> [UInt8] {
        let mask = start + header.mask
        let first = start + header.payload
        var payload = Array(pending[first..<first + header.length])
        for index in payload.indices { payload[index] ^= pending[mask + index & 3] }
        start = first + header.length
        return payload
    }

    private mutating func event(_ header: Header, _ payload: [UInt8]) throws(Violation) -> Event? {
        switch header.opcode {
        case .ping: return .ping(payload)
        case .pong: return .pong
        case .close: return .close(try Self.code(payload))
        case .continuation: fragments?.bytes += payload
        case .text, .binary: fragments = (header.opcode, payload)
        }
        guard header.isFinal, let whole = fragments else { return nil }
        fragments = nil
        guard whole.opcode == .text else { return .message(.binary(whole.bytes)) }
        guard let text = String(validating: whole.bytes, as: UTF8.self) else { throw Violation(code: 1007, reason: "A text is not UTF-8.") }
        return .message(.text(text))
    }

    /// The code of a closing frame (7.4): only those that an endpoint may send.
    private static func code(_ payload: [UInt8]) throws(Violation) -> UInt16? {
        if payload.isEmpty { return nil }
        guard payload.count >= 2 else { throw Violation(code: 1002, reason: "A closing frame of one byte has no code.") }
        let code = UInt16(payload[0]) << 8 | UInt16(payload[1])
        switch code {
        case 1000...1003, 1007...1014, 3000...4999: break
        default: throw Violation(code: 1002, reason: "The closing code \(code) may not be sent.")
        }
        guard String(validating: payload[2...], as: UTF8.self) != nil else { throw Violation(code: 1007, reason: "A reason is not UTF-8.") }
        return code
    }
}
