import HTTPServer
import JSON
import ServiceKit
import UseCases

/// What clients of the scoring service may ask for: every endpoint with what it takes and every answer that it can give.
struct ScoringOperations {
    let predict: HTTPOperation
    let model: HTTPOperation
    let schema = HTTPOperation(
        .get, "/schema",
        OpenAPIDocument.get("schema", "The event as a JSON Schema, draft 2020-12.", type: "application/schema+json", ["type": "object"]))
    let openAPI = HTTPOperation(
        .get, "/openapi.json", OpenAPIDocument.get("openapi", "This document.", type: "application/json", ["type": "object"]))
    let docs = HTTPOperation(
        .get, "/docs", OpenAPIDocument.get("docs", "A page to read and to try this interface.", type: "text/html", ["type": "string"]))
    /// The page of documents under a second path, which need not be told of.
    let root = HTTPOperation(.get, "/")
    private let useCase: UseCase
    private let needsToken: Bool

    /// - Parameter needsToken: whether calls must carry a bearer token.
    init(_ useCase: UseCase, needsToken: Bool) {
        self.useCase = useCase
        self.needsToken = needsToken
        predict = HTTPOperation(.post, "/predict", OpenAPIDocument.predict(useCase, needsToken))
        model = HTTPOperation(.get, "/model", OpenAPIDocument.model(needsToken))
    }

    /// The document of `/openapi.json`, its paths read from the operations.
    var document: JSONValue {
        OpenAPIDocument.of(useCase, [predict, model, schema, openAPI, docs, root] + AdminOperations.all, needsToken: needsToken)
    }
}
