import Glibc
import HTTPServer
import ServiceKit

/// The HTTP server of the suite with nothing behind it: answers with the request's body, and at `/ws` with each message of a WebSocket. The
/// ceiling for every endpoint, and what `make websocket-test` talks to.
struct EchoServer {
    private let port: Int

    init(_ arguments: [String]) {
        port = Service.readSettings("benchmarks echo", "Answers with the request's body until it is ended.", arguments: arguments) { reader in
            reader.integer("--port", default: 0, in: 0...65_535, "Port on the loopback address; 0 takes a free one.")
        }
    }

    func run() throws {
        var settings = HTTPServerSettings(port: port)
        settings.repeatsRequestID = false
        let sockets = WebSocketHandler(opened: { _ in }, received: Self.echo, closed: { _ in })
        let server = try HTTPServer(settings) { request in
            request.isPath("/ws") ? .webSocket(request, sockets) : HTTPServerResponse(body: request.body)
        }
        print("listening on \(server.port)")
        fflush(nil)
        while true { pause() }
    }

    @Sendable private static func echo(_ socket: WebSocket, _ message: WebSocketMessage) {
        let frame: WebSocketFrame =
            switch message {
            case .text(let text): .text(Array(text.utf8))
            case .binary(let bytes): .binary(bytes)
            }
        if !socket.send(frame) { socket.close(1013, "You read too slowly.") }
    }
}
