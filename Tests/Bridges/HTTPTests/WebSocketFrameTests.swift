import Testing

@testable import HTTPServer

/// A client's frame: masked, in its shortest form.
func clientFrame(_ opcode: UInt8, _ payload: [UInt8], isFinal: Bool = true, mask: [UInt8] = [0x37, 0xFA, 0x21, 0x3D]) -> [UInt8] {
    var bytes = [opcode | (isFinal ? 0x80 : 0)]
    switch payload.count {
    case ..<126: bytes.append(0x80 | UInt8(payload.count))
    case ..<65_536: bytes += [0x80 | 126, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
    default:
        bytes.append(0x80 | 127)
        for shift in stride(from: 56, through: 0, by: -8) { bytes.append(UInt8(truncatingIfNeeded: payload.count >> shift)) }
    }
    return bytes + mask + payload.enumerated().map { $1 ^ mask[$0 & 3] }
}

private func events(_ bytes: [UInt8], limit: Int = 1_000, chunk: Int = .max) throws(WebSocketReader.Violation) -> [WebSocketReader.Event] {
    var reader = WebSocketReader(maximumMessageBytes: limit)
    var found: [WebSocketReader.Event] = []
    var rest = bytes[...]
    while !rest.isEmpty {
        reader.feed(rest.prefix(chunk))
        rest = rest.dropFirst(chunk)
        while let event = try reader.next() { found.append(event) }
    }
    return found
}

@Suite("WebSocket framing") struct WebSocketFrameTests {
    @Test("RFC 6455's own examples are read and written") func examples() throws {
        let masked: [UInt8] = [0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58]
        #expect(try events(masked) == [.message(.text("Hello"))])
        #expect(WebSocketFrame.text(Array("Hello".utf8)).bytes == [0x81, 0x05, 0x48, 0x65, 0x6C, 0x6C, 0x6F])
        #expect(WebSocketFrame.binary([UInt8](repeating: 7, count: 256)).bytes.prefix(4) == [0x82, 0x7E, 0x01, 0x00])
        #expect(WebSocketFrame.binary([UInt8](repeating: 7, count: 65_536)).bytes.prefix(10) == [0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0])
    }

    @Test("any cut of the bytes gives the same events", arguments: [1, 2, 3, 7, 64])
    func chunks(size: Int) throws {
        let bytes =
            clientFrame(1, Array("first ".utf8), isFinal: false) + clientFrame(9, [1, 2]) + clientFrame(0, Array("and ".utf8), isFinal: false)
            + clientFrame(0, Array("last".utf8)) + clientFrame(2, [UInt8](repeating: 9, count: 300)) + clientFrame(10, []) + clientFrame(8, [3, 232])
        let expected: [WebSocketReader.Event] = [
            .ping([1, 2]), .message(.text("first and last")), .message(.binary([UInt8](repeating: 9, count: 300))), .pong, .close(1000),
        ]
        #expect(try events(bytes) == expected)
        #expect(try events(bytes, chunk: size) == expected)
    }

    @Test("a character may be cut between two fragments") func character() throws {
        let snowman = Array("☃".utf8)
        #expect(
            try events(clientFrame(1, Array(snowman[..<1]), isFinal: false) + clientFrame(0, Array(snowman[1...])))
                == [.message(.text("☃"))])
    }

    @Test("a message as long as allowed passes, one byte more does not, also in fragments and before it has arrived")
    func limits() throws {
        #expect(try events(clientFrame(2, [UInt8](repeating: 1, count: 1_000))).count == 1)
        let long = clientFrame(2, [UInt8](repeating: 1, count: 1_001))
        #expect(throws: WebSocketReader.Violation.self) { try events(Array(long.prefix(8))) }
        let halves = clientFrame(2, [UInt8](repeating: 1, count: 600), isFinal: false) + clientFrame(0, [UInt8](repeating: 1, count: 401))
        let violation = #expect(throws: WebSocketReader.Violation.self) { try events(halves) }
        #expect(violation?.code == 1009)
        let huge: [UInt8] = [0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0]
        #expect(#expect(throws: WebSocketReader.Violation.self) { try events(huge) }?.code == 1009)
    }

    @Test(
        "what the protocol forbids has its closing code",
        arguments: [
            ([0x81, 0x05, 0x48, 0x65, 0x6C, 0x6C, 0x6F], 1002),  // not masked
            ([0xC1, 0x80, 0, 0, 0, 0], 1002),  // a reserved bit
            ([0x83, 0x80, 0, 0, 0, 0], 1002),  // an unknown opcode
            ([0x09, 0x80, 0, 0, 0, 0], 1002),  // a ping in fragments
            ([0x89, 0xFE, 0, 126, 0, 0, 0, 0], 1002),  // a long ping
            ([0x80, 0x80, 0, 0, 0, 0], 1002),  // continues nothing
            ([0x82, 0xFE, 0, 125, 0, 0, 0, 0], 1002),  // a length not in its shortest form
            ([0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0], 1002),
            ([0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1002),  // the highest bit of the length
            (clientFrame(1, [1], isFinal: false) + clientFrame(1, [1]), 1002),  // begun twice
            (clientFrame(8, [3]), 1002),  // half a code
            (clientFrame(8, [3, 237]), 1002),  // 1005
            (clientFrame(8, [3, 238]), 1002),  // 1006
            (clientFrame(8, [3, 247]), 1002),  // 1015
            (clientFrame(8, [0, 0]), 1002),
            (clientFrame(8, [0x13, 0x88]), 1002),  // 5000
            (clientFrame(8, [3, 232, 0xFF]), 1007),
            (clientFrame(1, [0xFF]), 1007), (clientFrame(1, [0xED, 0xA0, 0x80]), 1007),  // half of a surrogate pair
            (clientFrame(1, [0xE2, 0x98]), 1007),
        ] as [([UInt8], UInt16)])
    func violations(bytes: [UInt8], code: UInt16) {
        let violation = #expect(throws: WebSocketReader.Violation.self) { try events(bytes) }
        #expect(violation?.code == code)
    }

    @Test("a closing frame may have no code, one of an application or a reason") func closing() throws {
        #expect(try events(clientFrame(8, [])) == [.close(nil)])
        #expect(try events(clientFrame(8, [0x0F, 0xA0] + Array("bye".utf8))) == [.close(4000)])
    }
}

@Suite("Buffer of a slow client") struct OutgoingBufferTests {
    @Test("what does not fit is refused, control frames still fit, and skipping keeps a message that has begun") func limits() {
        var buffer = OutgoingBuffer(limit: 10)
        let (first, second, third) = (buffer.append([1, 2, 3, 4]), buffer.append([5, 6, 7, 8]), buffer.append([9, 9, 9]))
        #expect(first && second && !third)
        #expect(buffer.send { _ in 1 } == 1)
        #expect(buffer.bytes == 7)
        #expect(buffer.skipAhead() == 1)
        #expect(buffer.bytes == 3)
        let control = buffer.append([UInt8](repeating: 0, count: 200), isControl: true)
        #expect(control)
        var seen: [UInt8] = []
        while !buffer.isEmpty {
            _ = buffer.send { bytes in
                seen += bytes
                return bytes.count
            }
        }
        #expect(seen == [2, 3, 4] + [UInt8](repeating: 0, count: 200))
        #expect(buffer.skipAhead() == 0)
    }

    @Test("many messages come out in order, whatever part of each is taken") func order() {
        var buffer = OutgoingBuffer(limit: 100_000)
        var sent: [UInt8] = []
        var seen: [UInt8] = []
        for index in 0..<500 {
            let message = [UInt8](repeating: UInt8(index & 0xFF), count: index % 7 + 1)
            if buffer.append(message) { sent += message }
            if index % 3 == 0 {
                _ = buffer.send { bytes in
                    let count = min(bytes.count, index % 4 + 1)
                    seen += bytes.prefix(count)
                    return count
                }
            }
        }
        while !buffer.isEmpty {
            _ = buffer.send { bytes in
                seen += bytes
                return bytes.count
            }
        }
        #expect(seen == sent)
    }
}
