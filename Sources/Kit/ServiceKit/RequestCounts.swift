import HTTPServer

/// How often each route was asked and how it answered; the labels are the routes' paths, so that no client can make up a series.
struct RequestCounts: Sendable {
    private static let classes = ["1xx", "2xx", "3xx", "4xx", "5xx"]
    private let counters: [[Counter]]

    init(_ routes: [HTTPRoute], in metrics: Metrics) {
        counters = routes.map { route in
            Self.classes.map { status in
                metrics.counter(
                    "vyuha_http_requests_total", "Requests that a route answered, by status.",
                    [("method", "\(route.operation.method)"), ("path", route.operation.path), ("status", status)])
            }
        }
    }

    func add(_ route: Int, _ status: Int) { counters[route][max(0, min(4, status / 100 - 1))].add() }
}
