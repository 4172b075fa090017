import HTTPServer
import JSON

/// More endpoints on a service's port. Returns nil for a path that it does not know. Runs on the HTTP server's thread.
public typealias AdminRoutes = @Sendable (borrowing HTTPServerRequest, Service) -> HTTPServerResponse?

/// The HTTP side of a service: `/health` (the loop turns), `/ready` (assigned, loaded, not held up), `/metrics` (Prometheus), and its own routes.
struct AdminServer {
    private let server: HTTPServer
    var port: Int { server.port }

    /// A loop that has not turned for this long is stuck: longer than any bounded wait in a pipeline.
    private static let staleAfter = 60.0

    init(_ settings: HTTPServerSettings, service: Service, routes: AdminRoutes?) throws {
        server = try HTTPServer(settings) { request in
            if let response = routes?(request, service) { return response }
            let known = request.isPath("/health") || request.isPath("/ready") || request.isPath("/metrics")
            guard known else { return .notFound }
            guard request.method == .get else { return .methodNotAllowed(allow: "GET, HEAD") }
            if request.isPath("/health") {
                let silent = service.life.secondsSinceTurn ?? 0
                return silent < Self.staleAfter ? Self.status(200, "ok") : Self.status(503, "the loop has not turned for \(Int(silent)) s")
            }
            if request.isPath("/ready") {
                let (obstacle, trouble) = (service.life.obstacle, service.life.trouble)
                // One that is only held up goes on answering its clients, where it has any, so it stays in its load balancer.
                let isOut = obstacle != nil || (trouble != nil && routes == nil)
                return Self.status(isOut ? 503 : 200, trouble ?? obstacle ?? "ready")
            }
            return HTTPServerResponse(contentType: "text/plain; version=0.0.4; charset=utf-8", body: service.metrics.render())
        }
    }

    func stop() { server.stop(graceSeconds: 2) }

    private static func status(_ code: Int, _ text: String) -> HTTPServerResponse {
        HTTPServerResponse(status: code, body: JSONValue.object([JSONMember("status", .string(text))]).serialized)
    }
}
