import Crypto

/// What happens on a WebSocket. All three are called on the server's socket thread, which serves every socket: they must be short.
public struct WebSocketHandler: Sendable {
    let opened: @Sendable (WebSocket) -> Void
    let received: @Sendable (WebSocket, WebSocketMessage) -> Void
    let closed: @Sendable (WebSocket) -> Void

    /// - Parameters:
    ///   - opened: called once, before any other.
    ///   - received: a whole message.
    ///   - closed: called once, whatever the reason; nothing can be sent any more.
    public init(
        opened: @escaping @Sendable (WebSocket) -> Void, received: @escaping @Sendable (WebSocket, WebSocketMessage) -> Void,
        closed: @escaping @Sendable (WebSocket) -> Void
    ) {
        self.opened = opened
        self.received = received
        self.closed = closed
    }
}

extension HTTPServerResponse {
    /// Makes the connection a WebSocket ([RFC 6455, 4.2](https://www.rfc-editor.org/rfc/rfc6455#section-4.2)); where the request does not
    /// ask for one as it should, the answer says so. Whether the page's origin may is the caller's to check before.
    public static func webSocket(_ request: borrowing HTTPServerRequest, _ handler: WebSocketHandler) -> HTTPServerResponse {
        guard request.method == .get else { return .methodNotAllowed(allow: "GET") }
        guard hasToken(request.header("Upgrade"), "websocket"), hasToken(request.header("Connection"), "upgrade"),
            request.header("Sec-WebSocket-Version") == "13"
        else {
            return .problem(
                426, "This path takes WebSockets of version 13 only.", headers: [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")])
        }
        guard let key = request.header("Sec-WebSocket-Key"), isKey(key) else {
            return .problem(400, "The header `Sec-WebSocket-Key` is not 16 bytes in base64.")
        }
        let accept = Crypto.base64(Crypto.sha1(Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8)))
        var response = HTTPServerResponse(
            status: 101, contentType: nil, headers: [("Upgrade", "websocket"), ("Sec-WebSocket-Accept", accept)])
        response.continuation = .webSocket(handler)
        return response
    }

    /// Whether a list of tokens has this one, which is in lower case.
    private static func hasToken(_ list: String?, _ token: String) -> Bool {
        list?.split(separator: ",").contains { $0.lowercased().filter { $0 != " " && $0 != "\t" } == token } ?? false
    }

    private static func isKey(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        return bytes.count == 24 && text.hasSuffix("==")
            && bytes.dropLast(2).allSatisfy {
                switch $0 {
                case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                    UInt8(ascii: "+"), UInt8(ascii: "/"):
                    true
                default: false
                }
            }
    }
}
