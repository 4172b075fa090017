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
    private let openAPI: [UInt8]
    private let docs: [UInt8]
    private let metrics = APIMetricsOnce()

    init(_ useCase: UseCase, _ models: CurrentModels, _ settings: APISettings, common: CommonSettings) {
        self.settings = settings
        predict = PredictEndpoint(
            useCase, models, redis: common.redis, onlineTimeout: settings.onlineTimeout, threads: settings.threads)
        model = ModelEndpoint(useCase: useCase, models: models)
        schema = Array(EventJSONSchema.document(useCase).pretty.utf8)
        openAPI = Array(OpenAPIDocument.of(useCase, needsToken: settings.tokens != nil).pretty.utf8)
        docs = Array(DocsPage.html.utf8)
    }

    /// Registers the metrics and watches the file of tokens.
    func start(_ service: Service) {
        _ = metrics.get(service)
        settings.tokens?.watch(service)
    }

    /// What the scoring service adds to the admin server.
    func routes() -> AdminRoutes {
        { [self] request, service in
            if request.method == .options, let origins = settings.crossOrigin { return origins.preflight(request) }
            guard var response = route(request, metrics.get(service)) else { return nil }
            settings.crossOrigin?.apply(to: &response, request)
            return response
        }
    }

    private func route(_ request: borrowing HTTPServerRequest, _ metrics: APIMetrics) -> HTTPServerResponse? {
        if request.isPath("/predict") { return refusal(request) ?? predict.answer(request, metrics) }
        if request.isPath("/metrics") {
            predict.flush(metrics)
            return nil
        }
        if request.isPath("/model") { return page(request) { refusal(request) ?? model.answer() } }
        if request.isPath("/schema") {
            return page(request) { HTTPServerResponse(contentType: "application/schema+json", body: schema) }
        }
        if request.isPath("/openapi.json") { return page(request) { HTTPServerResponse(body: openAPI) } }
        if request.isPath("/docs") || request.isPath("/") {
            return page(request) {
                HTTPServerResponse(
                    contentType: "text/html; charset=utf-8",
                    headers: [("Content-Security-Policy", DocsPage.policy), ("X-Content-Type-Options", "nosniff")], body: docs)
            }
        }
        return nil
    }

    private func page(_ request: borrowing HTTPServerRequest, _ body: () -> HTTPServerResponse) -> HTTPServerResponse {
        request.method == .get ? body() : .methodNotAllowed(allow: "GET, HEAD")
    }

    /// Nil where the request may pass.
    private func refusal(_ request: borrowing HTTPServerRequest) -> HTTPServerResponse? {
        guard let tokens = settings.tokens, !tokens.allows(request) else { return nil }
        return BearerTokens.challenge
    }
}
