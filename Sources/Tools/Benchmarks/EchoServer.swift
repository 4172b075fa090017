import Glibc
import HTTPServer
import ServiceKit

/// The HTTP server of the suite with nothing behind it: answers with the request's body. The ceiling for every endpoint.
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
        let server = try HTTPServer(settings) { HTTPServerResponse(body: $0.body) }
        print("listening on \(server.port)")
        fflush(nil)
        while true { pause() }
    }
}
