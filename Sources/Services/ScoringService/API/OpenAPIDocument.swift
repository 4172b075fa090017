import Features
import HTTPServer
import JSON
import ServiceKit
import UseCases

/// The parts of `/openapi.json` ([OpenAPI 3.1](https://spec.openapis.org/oas/v3.1.1.html)).
enum OpenAPIDocument {
    static func of(_ useCase: UseCase, _ operations: [HTTPOperation], needsToken: Bool) -> JSONValue {
        var components: [JSONMember] = [JSONMember("schemas", schemas(useCase))]
        if needsToken {
            components.append(JSONMember("securitySchemes", ["bearer": ["type": "http", "scheme": "bearer"]]))
        }
        return [
            "openapi": "3.1.0",
            "info": [
                "title": .string("Vyuha scoring: " + useCase.title), "version": .string(vyuhaVersion), "description": .string(useCase.summary),
            ],
            "servers": [["url": "/"]],
            "paths": HTTPOperation.openAPIPaths(operations),
            "components": .object(components),
        ]
    }

    // MARK: Operations

    static func predict(_ useCase: UseCase, _ needsToken: Bool) -> JSONValue {
        let event = reference("Event")
        let reply = reference("Reply")
        let example = ExampleEvent.of(useCase)
        var responses: [JSONMember] = [
            JSONMember(
                "200",
                answer(
                    "One reply, or an array of replies in the order of the events.", "application/json",
                    ["oneOf": [reply, ["type": "array", "items": reply]]])),
            JSONMember("422", answer("One entry for each wrong field; nothing was scored.", "application/json", reference("ValidationErrors"))),
        ]
        responses.append(JSONMember("413", problem("The body is larger than 1 MiB.")))
        responses.append(JSONMember("503", problem("There is no model yet, or there are too many requests; see `Retry-After`.")))
        if needsToken { responses.append(JSONMember("401", problem("The token is missing or unknown."))) }
        var operation: [JSONMember] = [
            JSONMember("operationId", "predict"), JSONMember("summary", "Score one event or an array of events."),
            JSONMember(
                "parameters",
                [
                    [
                        "name": "explain", "in": "query", "required": false,
                        "description": "Adds what each feature was, what was expected and what it contributed; at most 100 events.",
                        "schema": ["type": "boolean", "default": false],
                    ]
                ]),
            JSONMember(
                "requestBody",
                [
                    "required": true,
                    "content": [
                        "application/json": [
                            "schema": ["oneOf": [event, ["type": "array", "items": event]]],
                            "examples": [
                                "one": ["summary": "One event", "value": example], "several": ["summary": "An array", "value": [example, example]],
                            ],
                        ]
                    ],
                ]),
            JSONMember("responses", .object(responses)),
        ]
        if needsToken { operation.append(JSONMember("security", [["bearer": []]])) }
        return .object(operation)
    }

    static func model(_ needsToken: Bool) -> JSONValue {
        var responses = [JSONMember("200", answer("The models in use.", "application/json", reference("Models")))]
        if needsToken { responses.append(JSONMember("401", problem("The token is missing or unknown."))) }
        var operation: [JSONMember] = [
            JSONMember("operationId", "model"),
            JSONMember("summary", "The model of each feature set: version, features, calibration, threshold, age."),
            JSONMember("responses", .object(responses)),
        ]
        if needsToken { operation.append(JSONMember("security", [["bearer": []]])) }
        return .object(operation)
    }

    static func get(_ id: String, _ summary: String, type: String, _ schema: JSONValue) -> JSONValue {
        ["operationId": .string(id), "summary": .string(summary), "responses": ["200": answer(summary, type, schema)]]
    }

    private static func answer(_ text: String, _ type: String, _ schema: JSONValue) -> JSONValue {
        AdminOperations.answer(text, type, schema)
    }

    private static func problem(_ text: String) -> JSONValue { answer(text, "application/problem+json", reference("Problem")) }
    private static func reference(_ name: String) -> JSONValue { ["$ref": .string("#/components/schemas/" + name)] }

    // MARK: Schemas

    private static func schemas(_ useCase: UseCase) -> JSONValue {
        [
            "Event": EventJSONSchema.event(useCase),
            "Reply": reply(useCase),
            "Explanation": [
                "type": "object",
                "properties": [
                    "score": ["type": "number"], "threshold": ["type": "number"], "confidence": ["type": "number"], "model": ["type": "string"],
                    "version": ["type": "integer"], "online_features": online,
                    "features": byFeature("What the model saw; null is missing."),
                    "expected": byFeature("What would have been normal."),
                    "contributions": byFeature("Positive above what was expected, negative below; absolute values sum to 1."),
                ],
                "required": [
                    "score", "threshold", "confidence", "model", "version", "online_features", "features", "expected", "contributions",
                ],
            ],
            "ValidationErrors": [
                "type": "object",
                "properties": [
                    "detail": [
                        "type": "array",
                        "items": [
                            "type": "object",
                            "properties": [
                                "loc": ["type": "array", "items": ["type": ["string", "integer"]]], "msg": ["type": "string"],
                                "type": ["type": "string"],
                            ],
                            "required": ["loc", "msg", "type"],
                        ],
                    ],
                    "more": ["type": "integer", "description": "How many further mistakes are not listed."],
                ],
                "required": ["detail"],
            ],
            "Problem": [
                "type": "object", "description": "RFC 9457.",
                "properties": [
                    "type": ["type": "string"], "title": ["type": "string"], "status": ["type": "integer"], "detail": ["type": "string"],
                ],
                "required": ["type", "title", "status", "detail"],
            ],
            "Status": AdminOperations.statusSchema,
            "Models": [
                "type": "object",
                "properties": [
                    "use_case": ["type": "string"],
                    "predicts": ["type": "string", "description": "The feature sets that /predict scores an event by: the first that takes it."],
                    "models": ["type": "array", "items": ["type": "object"]],
                ],
                "required": ["use_case", "predicts", "models"],
            ],
        ]
    }

    private static let online: JSONValue = ["type": "string", "enum": .array(OnlineStatus.allCases.map { .string($0.rawValue) })]

    private static func byFeature(_ text: String) -> JSONValue {
        ["type": "object", "description": .string(text), "additionalProperties": ["type": ["number", "null"]]]
    }

    private static func reply(_ useCase: UseCase) -> JSONValue {
        let schema = useCase.plan.schema
        var properties: [JSONMember] = []
        for member in useCase.reply.members {
            let value: JSONValue =
                switch member.value {
                case .entity: ["type": schema.fields[schema.entityIndex].type == .integer ? "integer" : "string"]
                case .score, .confidence: ["type": "number", "minimum": 0, "maximum": 1]
                case .isAnomaly: ["type": "boolean"]
                case .status: ["type": "string", "enum": [.string(useCase.status.normal), .string(useCase.status.anomaly)]]
                case .eventTime: ["type": "integer", "description": "Milliseconds since 1970."]
                case .windowStart, .windowEnd:
                    ["type": "integer", "description": "Of the newest window that holds the event, milliseconds since 1970."]
                case .version: ["type": "integer"]
                case .anomalyType: ["type": ["string", "null"], "enum": .array(useCase.types.map { .string($0.name) } + [.null])]
                case .model: ["type": "string"]
                case .features: byFeature("What the model saw.")
                case .field: ["type": ["number", "null"]]
                case .constant(let json): (try? JSONValue.parse(json)).map { ["const": $0] } ?? .object([])
                }
            properties.append(JSONMember(member.name, value))
        }
        let required = properties.map { JSONValue.string($0.name) }
        properties.append(
            JSONMember(
                "online_features",
                [
                    "type": "string", "enum": [.string(OnlineStatus.unknownEntity.rawValue), .string(OnlineStatus.unavailable.rawValue)],
                    "description": "Only where features of earlier events were missing.",
                ]))
        properties.append(JSONMember("explanation", reference("Explanation")))
        return ["type": "object", "properties": .object(properties), "required": .array(required)]
    }
}
