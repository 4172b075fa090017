import HTTPServer
import Synchronization
import TestSupport
import Testing

/// Sends back what it receives, and knows its open sockets.
private final class EchoSockets: Sendable {
    let open = Mutex<[WebSocket]>([])
    let closed = Atomic<Int>(0)

    func server(_ change: (inout HTTPServerSettings) -> Void = { _ in }) throws -> HTTPServer {
        var settings = HTTPServerSettings()
        change(&settings)
        return try HTTPServer(settings) { [self] request in
            guard request.isPath("/ws") else { return .text("here") }
            return .webSocket(
                request,
                WebSocketHandler(
                    opened: { [self] socket in open.withLock { $0.append(socket) } },
                    received: { socket, message in
                        switch message {
                        case .text(let text): _ = socket.send(.text(Array(text.utf8)))
                        case .binary(let bytes): _ = socket.send(.binary(bytes))
                        }
                    }, closed: { [self] _ in closed.wrappingAdd(1, ordering: .relaxed) }))
        }
    }
}

private let upgradeRequest =
    "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

@Suite("WebSocket over libmicrohttpd", .timeLimit(.minutes(1))) struct WebSocketTests {
    @Test("the handshake of RFC 6455, a message sent along with it, a ping and the closing") func conversation() throws {
        let sockets = EchoSockets()
        let server = try sockets.server()
        defer { server.stop() }
        let client = try RawClient(port: server.port)
        client.send(Array(upgradeRequest.utf8) + clientFrame(1, Array("early".utf8)))
        let opening = client.receive { $0.hasSuffix("early") }
        #expect(opening.hasPrefix("HTTP/1.1 101"))
        #expect(opening.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "\(opening)")
        client.send(clientFrame(9, Array("there?".utf8)))
        // The first byte, final and pong, is no UTF-8.
        #expect(client.receive { $0.hasSuffix("there?") } == "\u{FFFD}\u{6}there?")
        client.send(clientFrame(8, [0x03, 0xE8]))
        #expect(client.isClosedByServer())
        #expect(withDeadline(5) { sockets.closed.load(ordering: .relaxed) == 1 })
    }

    @Test(
        "a request that is no proper handshake is told what is missing",
        arguments: [
            ("Upgrade: websocket", "Upgrade: h2c", "426"), ("Version: 13", "Version: 8", "426"), ("keep-alive, Upgrade", "keep-alive", "426"),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhl", "400"), ("GET /ws", "POST /ws", "405"),
        ])
    func refused(part: String, other: String, status: String) throws {
        let server = try EchoSockets().server()
        defer { server.stop() }
        let client = try RawClient(port: server.port)
        let pieces = upgradeRequest.split(separator: part, omittingEmptySubsequences: false)
        client.send(pieces.joined(separator: other))
        #expect(client.receive { $0.contains("\r\n\r\n") }.hasPrefix("HTTP/1.1 \(status)"))
    }

    @Test("a client that breaks the rules is closed by the code of its fault") func violation() throws {
        let server = try EchoSockets().server()
        defer { server.stop() }
        let client = try RawClient(port: server.port)
        client.send(upgradeRequest)
        _ = client.receive { $0.contains("\r\n\r\n") }
        client.send([0x81, 0x00])
        let answer = client.receive()
        #expect(answer.contains("must be masked"), "\(answer)")
    }

    @Test("one that reads nothing is refused more when its buffer is full, others are served, and skipping makes room") func slow() throws {
        let sockets = EchoSockets()
        let server = try sockets.server()
        defer { server.stop() }
        let client = try RawClient(port: server.port)
        client.send(upgradeRequest)
        #expect(withDeadline(5) { sockets.open.withLock { $0.count } == 1 })
        let socket = try #require(sockets.open.withLock { $0.first })
        let frame = WebSocketFrame.text([UInt8](repeating: 0x61, count: 16 << 10))
        // The system's own buffers take some megabytes first.
        #expect(withDeadline(20) { !socket.send(frame) })
        let other = try RawClient(port: server.port)
        other.send(Array(upgradeRequest.utf8) + clientFrame(1, Array("still here".utf8)))
        #expect(other.receive { $0.hasSuffix("still here") }.hasSuffix("still here"))
        #expect(withDeadline(20) { socket.skipAhead() > 0 || socket.send(frame) })
        #expect(socket.send(.text(Array("you were skipped ahead".utf8))))
        #expect(client.receive { $0.hasSuffix("you were skipped ahead") }.hasSuffix("you were skipped ahead"))
    }

    @Test("a stop closes open sockets and streams and does not wait for them") func stop() throws {
        let sockets = EchoSockets()
        let server = try sockets.server { $0.maximumRequests = 1 }
        let clients = try (0..<3).map { _ in try RawClient(port: server.port) }
        for client in clients {
            client.send(upgradeRequest)
            #expect(client.receive { $0.contains("\r\n\r\n") }.hasPrefix("HTTP/1.1 101"))
        }
        #expect(withDeadline(5) { sockets.open.withLock { $0.count } == 3 })
        server.stop(graceSeconds: 5)
        for client in clients { #expect(client.receive().contains("The server stops.")) }
        #expect(sockets.closed.load(ordering: .relaxed) == 3)
    }
}

@Suite("Server-sent events", .timeLimit(.minutes(1))) struct EventStreamTests {
    @Test("events arrive as they are sent, and a client that leaves is noticed at the next one") func events() throws {
        let streams = Mutex<[EventStream]>([])
        let closed = Atomic<Int>(0)
        let server = try HTTPServer(HTTPServerSettings()) { _ in
            let stream = EventStream { closed.wrappingAdd(1, ordering: .relaxed) }
            streams.withLock { $0.append(stream) }
            _ = stream.send(Array("data: hello\n\n".utf8))
            return .events(stream)
        }
        var leaving: RawClient? = try RawClient(port: server.port)
        leaving?.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        let start = try #require(leaving?.receive { $0.contains("hello") })
        #expect(start.contains("Content-Type: text/event-stream"), "\(start)")
        let stream = try #require(streams.withLock { $0.first })
        #expect(stream.send(Array("data: again\n\n".utf8)))
        #expect(leaving?.receive { $0.contains("again") }.contains("again") == true)
        leaving = nil
        #expect(withDeadline(10) { !stream.send(Array(": heartbeat\n\n".utf8)) || closed.load(ordering: .relaxed) == 1 })
        let staying = try RawClient(port: server.port)
        staying.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        #expect(staying.receive { $0.contains("hello") }.contains("hello"))
        server.stop(graceSeconds: 5)
        #expect(staying.isClosedByServer())
        #expect(withDeadline(5) { closed.load(ordering: .relaxed) == 2 })
    }
}

@Suite("Route table") struct HTTPRoutesTests {
    private static let table = HTTPRoutes([
        HTTPRoute(HTTPOperation(.get, "/a", ["operationId": "a"])) { _, _ in .text("a") },
        HTTPRoute(HTTPOperation(.post, "/a", ["operationId": "put-a"])) { _, _ in .text("posted") },
        HTTPRoute(HTTPOperation(.get, "/a/{name}/b/{other}", ["operationId": "b"])) { _, found in .text(found[0] + "|" + found[1]) },
        HTTPRoute(HTTPOperation(.get, "/hidden")) { _, _ in .text("hidden") },
    ])

    @Test(
        "paths, parameters and methods find their handler",
        arguments: [
            ("GET", "/a", 200, "a"), ("POST", "/a", 200, "posted"), ("GET", "/a/x%20y/b/z", 200, "x y|z"), ("GET", "/a//b/z", 404, ""),
            ("GET", "/a/x/b", 404, ""), ("GET", "/aa", 404, ""), ("GET", "/", 404, ""), ("DELETE", "/a", 405, ""), ("POST", "/a/x/b/z", 405, ""),
        ])
    func dispatch(method: String, path: String, status: Int, text: String) throws {
        let server = try HTTPServer(HTTPServerSettings()) { request in Self.table.answer(request)?.response ?? .notFound }
        defer { server.stop() }
        let client = try RawClient(port: server.port)
        client.send("\(method) \(path) HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        let answer = client.receive()
        #expect(answer.hasPrefix("HTTP/1.1 \(status)"), "\(answer)")
        if status == 200 { #expect(answer.hasSuffix("\r\n\r\n" + text), "\(answer)") }
        if status == 405 { #expect(answer.contains(path == "/a" ? "Allow: GET, HEAD, POST" : "Allow: GET, HEAD\r\n"), "\(answer)") }
    }

    @Test("the OpenAPI document lists what is documented, methods of one path together") func document() {
        let paths = HTTPOperation.openAPIPaths(Self.table.routes.map(\.operation))
        #expect(
            paths == ["/a": ["get": ["operationId": "a"], "post": ["operationId": "put-a"]], "/a/{name}/b/{other}": ["get": ["operationId": "b"]]])
    }
}
