import HTTPServer
import JSON

/// What every service answers on its port, as its OpenAPI document lists it; the document must have the schema `Status`.
public enum AdminOperations {
    public static let health = HTTPOperation(.get, "/health", probe("health", "Whether the process is alive."))
    public static let ready = HTTPOperation(.get, "/ready", probe("ready", "Whether it is ready to work."))
    public static let metrics = HTTPOperation(
        .get, "/metrics",
        [
            "operationId": "metrics", "summary": "Metrics for Prometheus.",
            "responses": ["200": answer("Metrics for Prometheus.", "text/plain", ["type": "string"])],
        ])
    public static let all = [health, ready, metrics]

    /// The schema of `/health` and `/ready`.
    public static let statusSchema: JSONValue = ["type": "object", "properties": ["status": ["type": "string"]], "required": ["status"]]

    /// A response object of OpenAPI with one media type.
    public static func answer(_ text: String, _ type: String, _ schema: JSONValue) -> JSONValue {
        [
            "description": .string(text),
            "headers": ["X-Request-Id": ["description": "The request's own, or a new one.", "schema": ["type": "string"]]],
            "content": .object([JSONMember(type, ["schema": schema])]),
        ]
    }

    private static func probe(_ id: String, _ summary: String) -> JSONValue {
        let status: JSONValue = ["$ref": "#/components/schemas/Status"]
        return [
            "operationId": .string(id), "summary": .string(summary),
            "responses": [
                "200": answer(summary, "application/json", status),
                "503": answer("It is not; `status` says why.", "application/json", status),
            ],
        ]
    }
}
