import Contracts
import Features
import Foundation

/// Schema of the soldiers of the battlefield: an integer entity, epoch seconds, two bounded numbers.
func soldiers(_ more: [EventField] = [], unknown: UnknownFields = .reject) throws -> EventSchema {
    try EventSchema(
        fields: [
            EventField("soldier_id", .integer, minimum: 1),
            EventField("heart_rate", .number, minimum: 20, maximum: 250, unit: "beats/min"),
            EventField("stamina", .number, above: 0, below: 100.5),
            EventField("timestamp", .timestamp, format: .epochSeconds),
        ] + more, entity: "soldier_id", time: "timestamp", unknownFields: unknown)
}

/// Schema with one field of each type, for expressions: x, y, n, s, b, t, u, w and the entity.
func plainSchema() throws -> EventSchema {
    try EventSchema(
        fields: [
            EventField("entity", .string), EventField("t", .timestamp, format: .epochMilliseconds),
            EventField("x", .number, isRequired: false), EventField("y", .number, isRequired: false),
            EventField("n", .integer, isRequired: false), EventField("s", .string, isRequired: false),
            EventField("b", .boolean, isRequired: false), EventField("u", .timestamp, isRequired: false, format: .epochMilliseconds),
        ], entity: "entity", time: "t")
}

func zone(_ name: String) -> TimeZoneRules? {
    guard let data = FileManager.default.contents(atPath: "/usr/share/zoneinfo/\(name)") else { return nil }
    return try? TimeZoneRules(name: name, tzif: [UInt8](data))
}

/// The row of a JSON event, or its errors as text.
func decode(_ schema: EventSchema, _ json: String) -> Result<[Double], DecodeFailure> {
    let decoder = EventDecoder(schema: schema)
    return decoder.decode(Array(json.utf8)) ? .success(decoder.row) : .failure(DecodeFailure(errors: decoder.errors))
}

struct DecodeFailure: Error {
    var errors: [FieldError]
    var classes: [String] { errors.map { "\($0.field): \($0.reason.rawValue)" } }
}

/// The value of one expression over an event of the plain schema.
func evaluate(_ expression: String, _ json: String = #"{"entity":"a","t":0,"x":6,"y":4,"n":3,"s":"red","b":true}"#) throws -> Double {
    let schema = try plainSchema()
    let plan = try FeaturePlan(
        schema: schema, sets: [FeatureSetDefinition(name: "set", features: [FeatureDefinition("f", expression)])], zones: zone)
    let row = try decode(schema, json).get()
    var vector: [Double] = []
    FeatureEvaluator(plan: plan, set: 0).compute(row, into: &vector)
    return vector[0]
}

/// Why a set of features is refused.
func refusal(_ features: [(String, String)], scope: FeatureScope = .event) throws -> FeaturePlanError? {
    let set = FeatureSetDefinition(name: "set", scope: scope, features: features.map { FeatureDefinition($0.0, $0.1) })
    do {
        _ = try FeaturePlan(schema: try plainSchema(), sets: [set], zones: zone)
        return nil
    } catch let error as FeaturePlanError {
        return error
    }
}

func isSame(_ a: Double, _ b: Double) -> Bool { a == b || (a.isNaN && b.isNaN) }
