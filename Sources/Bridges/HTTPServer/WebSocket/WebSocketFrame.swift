/// A frame as a server sends it, unmasked and whole ([RFC 6455, 5.2](https://www.rfc-editor.org/rfc/rfc6455#section-5.2)). Made once, it can
/// be sent to many clients.
public struct WebSocketFrame: Sendable {
    let bytes: [UInt8]

    /// A text message; the bytes must be UTF-8.
    public static func text(_ utf8: [UInt8]) -> WebSocketFrame { WebSocketFrame(.text, utf8) }

    /// A binary message.
    public static func binary(_ bytes: [UInt8]) -> WebSocketFrame { WebSocketFrame(.binary, bytes) }

    static func close(_ code: UInt16, _ reason: String = "") -> WebSocketFrame {
        // A control frame holds at most 125 bytes, two of them the code.
        let text = Array(reason.utf8)
        return WebSocketFrame(.close, [UInt8(code >> 8), UInt8(code & 0xFF)] + (text.count <= 123 ? text : []))
    }

    init(_ opcode: WebSocketOpcode, _ payload: [UInt8]) {
        var bytes: [UInt8] = [0x80 | opcode.rawValue]
        bytes.reserveCapacity(payload.count + 10)
        switch payload.count {
        case ..<126: bytes.append(UInt8(payload.count))
        case ..<65_536: bytes += [126, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
        default:
            bytes.append(127)
            for shift in stride(from: 56, through: 0, by: -8) { bytes.append(UInt8(truncatingIfNeeded: payload.count >> shift)) }
        }
        self.bytes = bytes + payload
    }
}

/// Kinds of frames ([RFC 6455, 11.8](https://www.rfc-editor.org/rfc/rfc6455#section-11.8)).
enum WebSocketOpcode: UInt8 {
    case continuation = 0, text, binary
    case close = 8, ping, pong

    var isControl: Bool { rawValue >= 8 }
}
