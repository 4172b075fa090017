import HTTPServer
import JSON
import ServiceKit
import UseCases

/// In:        HTTP on the service's port: `/predict`, `/model`, `/schema`, `/openapi.json`, `/docs`
/// Out:       answers in the use case's shape; 422 with one entry per wrong field; every other error is a problem document (RFC 9457)
/// State:     current models, shared with the stream; the file of tokens
/// Guarantee: the same event has the same score here and in the stream, but for models that learn from it: here it is the first of its entity
/// On error:  no model: 503 with `Retry-After`; no online store: scored with what is known, and says so
///
/// `/health`, `/ready` and `/metrics` are the admin server's; they and the documents need no token, so that probes, scrapers and readers
/// work without one.
final class ScoringAPI: Sendable {
    private let settings: APISettings
    private let predict: PredictEndpoint
    private let model: ModelEndpoint
    private let schema: [UInt8]
    private let useCase: UseCase
    private let docs: [UInt8]
    private let metrics = APIMetricsOnce()

    init(_ useCase: UseCase, _ models: CurrentModels, _ settings: APISettings, common: CommonSettings) {
        self.settings = settings
        predict = PredictEndpoint(
            useCase, models, redis: common.redis, onlineTimeout: settings.onlineTimeout, threads: settings.threads)
        model = ModelEndpoint(useCase: useCase, models: models)
        schema = Array(EventJSONSchema.document(useCase).pretty.utf8)
        self.useCase = useCase
        docs = Array(DocsPage.html.utf8)
    }

    /// Registers the metrics and watches the file of tokens.
    func start(_ service: Service) {
        _ = metrics.get(service)
        settings.tokens?.watch(service)
    }

    /// What the scoring service adds to the admin server.
    func routes() -> AdminRoutes {
        guard let origins = settings.crossOrigin else { return AdminRoutes(beforeScrape: flush) { [self] in table(metrics.get($0)) } }
        return AdminRoutes(preflight: { request in origins.preflight(request) }, beforeScrape: flush) { [self] service in
            table(metrics.get(service)).map { Self.shared($0, with: origins) }
        }
    }

    /// The same route, its answers readable by pages of these origins.
    private static func shared(_ route: HTTPRoute, with origins: CrossOrigin) -> HTTPRoute {
        HTTPRoute(route.operation) { request, parameters in
            var response = route.handler(request, parameters)
            origins.apply(to: &response, request)
            return response
        }
    }

    @Sendable private func flush() {
        if let metrics = metrics.known { predict.flush(metrics) }
    }

    private func table(_ metrics: APIMetrics) -> [HTTPRoute] {
        let operations = ScoringOperations(useCase, needsToken: settings.tokens != nil)
        let document = Array(operations.document.pretty.utf8)
        let page = HTTPServerResponse(
            contentType: "text/html; charset=utf-8",
            headers: [("Content-Security-Policy", DocsPage.policy), ("X-Content-Type-Options", "nosniff")], body: docs)
        return [
            HTTPRoute(operations.predict) { [self] request, _ in refusal(request) ?? predict.answer(request, metrics) },
            HTTPRoute(operations.model) { [self] request, _ in refusal(request) ?? model.answer() },
            HTTPRoute(operations.schema) { [self] _, _ in HTTPServerResponse(contentType: "application/schema+json", body: schema) },
            HTTPRoute(operations.openAPI) { _, _ in HTTPServerResponse(body: document) },
            HTTPRoute(operations.docs) { _, _ in page },
            HTTPRoute(operations.root) { _, _ in page },
        ]
    }

    /// Nil where the request may pass.
    private func refusal(_ request: borrowing HTTPServerRequest) -> HTTPServerResponse? {
        guard let tokens = settings.tokens, !tokens.allows(request) else { return nil }
        return BearerTokens.challenge
    }
}
