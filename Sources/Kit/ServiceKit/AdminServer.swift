import HTTPServer
import JSON

/// What a service has on its port besides `/health`, `/ready` and `/metrics`. All of it runs on the HTTP server's threads.
public struct AdminRoutes: Sendable {
    let routes: @Sendable (Service) -> [HTTPRoute]
    let preflight: (@Sendable (borrowing HTTPServerRequest) -> HTTPServerResponse)?
    let beforeScrape: @Sendable () -> Void

    /// - Parameters:
    ///   - preflight: answers OPTIONS of any path; nil leaves them to the routes.
    ///   - beforeScrape: called before the metrics are read.
    ///   - routes: called once, when the server starts.
    public init(
        preflight: (@Sendable (borrowing HTTPServerRequest) -> HTTPServerResponse)? = nil, beforeScrape: @escaping @Sendable () -> Void = {},
        routes: @escaping @Sendable (Service) -> [HTTPRoute]
    ) {
        self.routes = routes
        self.preflight = preflight
        self.beforeScrape = beforeScrape
    }
}

/// The HTTP side of a service: `/health` (the loop turns), `/ready` (assigned, loaded, not held up), `/metrics` (Prometheus), and its own routes.
struct AdminServer {
    private let server: HTTPServer
    var port: Int { server.port }

    /// A loop that has not turned for this long is stuck: longer than any bounded wait in a pipeline.
    private static let staleAfter = 60.0

    init(_ settings: HTTPServerSettings, service: Service, routes: AdminRoutes?) throws {
        let preflight = routes?.preflight
        let added = routes?.routes(service) ?? []
        let table = HTTPRoutes(added + Self.own(service, routes))
        let counts = RequestCounts(table.routes, in: service.metrics)
        server = try HTTPServer(settings) { request in
            if request.method == .options, let preflight { return preflight(request) }
            guard let answer = table.answer(request) else { return HTTPServerResponse.notFound }
            if let route = answer.route { counts.add(route, answer.response.status) }
            return answer.response
        }
    }

    private static func own(_ service: Service, _ added: AdminRoutes?) -> [HTTPRoute] {
        [
            HTTPRoute(AdminOperations.health) { _, _ in
                let silent = service.life.secondsSinceTurn ?? 0
                return silent < staleAfter ? status(200, "ok") : status(503, "the loop has not turned for \(Int(silent)) s")
            },
            HTTPRoute(AdminOperations.ready) { _, _ in
                let (obstacle, trouble) = (service.life.obstacle, service.life.trouble)
                // One that is only held up goes on answering its clients, where it has any, so it stays in its load balancer.
                let isOut = obstacle != nil || (trouble != nil && added == nil)
                return status(isOut ? 503 : 200, trouble ?? obstacle ?? "ready")
            },
            HTTPRoute(AdminOperations.metrics) { _, _ in
                added?.beforeScrape()
                return HTTPServerResponse(contentType: "text/plain; version=0.0.4; charset=utf-8", body: service.metrics.render())
            },
        ]
    }

    func stop() { server.stop(graceSeconds: 2) }

    private static func status(_ code: Int, _ text: String) -> HTTPServerResponse {
        HTTPServerResponse(status: code, body: JSONValue.object([JSONMember("status", .string(text))]).serialized)
    }
}
