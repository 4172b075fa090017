import Contracts
import Detectors
import FeatureStore
import Features
import HTTPServer
import JSON
import RedisClient
import Scoring
import ServiceKit
import TestSupport
import Testing
import UseCases

@testable import ScoringService

/// A use case with nested fields and features that look back.
private let definition = """
    name: test-case
    title: A test
    partitions: 4
    event:
      entity: sensor
      time: at
      fields:
        sensor:   { type: string }
        at:       { type: timestamp, format: epoch-milliseconds }
        value:    { type: number, above: 0, below: 100, unit: degree }
        place:    { type: string, path: meta.location, values: [in, out], required: false }
        floor:    { type: integer, path: meta.floor, default: 0 }
        armed:    { type: boolean, required: false }
    features:
      reading:
        value: value
        hot: hour(at, "Europe/Berlin") + value
        step: difference(value)
        usual: mean(value, 10 events)
        gap: value - usual
    detector: { name: isolation-forest, trees: 20 }
    threshold: { contamination: 0.02 }
    reply: { id: $entity, s: $score, anomalous: $is_anomaly, v: $field.value, all: $features }

    """

private func useCase(_ change: (String) -> String = { $0 }) throws -> UseCase {
    try UseCase.parse(change(definition), file: "/tmp/usecase.yaml")
}

private func predictor(_ useCase: UseCase, redis: RedisSettings) throws -> Predictor {
    var random = SystemRandomNumberGenerator()
    let active = try useCase.plan.sets.enumerated().map { index, set in
        var rows: [Double] = []
        for _ in 0..<400 { rows += set.features.map { _ in Double.random(in: 0...10, using: &random) } }
        let plan = try TrainingPlan(
            detector: .isolationForest, featureNames: set.features, threshold: .contamination(0.02), seed: 1, createdAt: 0)
        let model = try TrainedModel.fit(FeatureMatrix(values: rows, columns: set.features.count), plan: plan)
        return ActiveModel(model, version: 3, set: index, of: useCase)
    }
    let models = CurrentModels(sets: useCase.plan.sets.count)
    models.put(ActiveModels(generation: 1, models: active))
    return Predictor(useCase, models, redis: redis, onlineTimeout: 1_000)
}

@Suite("scoring service") struct ScoringServiceTests {
    private let metrics = APIMetrics(Metrics())
    private let event = #"{"sensor":"a","at":1767268800000,"value":20,"meta":{"location":"in"}}"#

    private func reply(_ predictor: inout Predictor, _ body: String, explaining: Bool = false) throws -> JSONValue {
        try JSONValue.parse(predictor.predict(Array(body.utf8), explaining: explaining, metrics).body)
    }

    @Test("the features that look back themselves are found; what is made of them by name can be computed") func featuresLookingBack() throws {
        #expect(try useCase().plan.featuresLookingBack == [[2, 3]])
        let without = try self.useCaseWithoutHistory()
        #expect(without.plan.featuresLookingBack == [[]])
        #expect(OnlineJoin(without, set: 0, redis: RedisSettings(port: 1), timeout: 1) == nil)
    }

    private func useCaseWithoutHistory(_ change: (String) -> String = { $0 }) throws -> UseCase {
        try useCase { text in
            change(text).split(separator: "\n", omittingEmptySubsequences: false).filter { line in
                !["step:", "usual:", "gap:"].contains { line.contains($0) }
            }.joined(separator: "\n")
        }
    }

    @Test("features that look back come from the online store, and an unknown entity says so") func join() throws {
        let server = try RedisServer(appendOnly: false)
        let settings = try RedisSettings(url: server.url)
        let useCase = try useCase()
        let features = useCase.plan.sets[0].features
        var batch = OnlineBatch(features: features.count)
        batch.add(entity: "a", id: "x:1", eventTime: 1, offset: 1, vector: [1, 2, 3, 4, 5])
        _ = try OnlineStore(RedisClient(settings), useCase: useCase.name, set: "reading", features: features, timeToLive: 60_000).write(batch)
        var predictor = try predictor(useCase, redis: settings)
        let known = try reply(&predictor, event)
        #expect(known["all"]?["value"]?.double == 20, "what the event says is its own")
        #expect(known["all"]?["hot"]?.double == 33)
        #expect(["step", "usual"].map { known["all"]?[$0]?.double } == [3, 4])
        #expect(known["all"]?["gap"]?.double == 16, "made of what the event says and what is known of its entity")
        #expect(known["online_features"] == nil)
        let unknown = try reply(&predictor, event.replacing("\"a\"", with: "\"b\""))
        #expect(unknown["online_features"]?.string == "unknown-entity")
        #expect(unknown["all"]?["value"]?.double == 20 && unknown["all"]?["step"] == .null)
        let both = try reply(&predictor, "[\(event),\(event.replacing("\"a\"", with: "\"b\""))]")
        #expect(both[0] == known && both[1] == unknown)
        #expect(try reply(&predictor, event, explaining: true)["explanation"]?["online_features"]?.string == "joined")
        server.kill()
        let begin = Clock.monotonicSeconds
        for _ in 0..<50 { #expect(try reply(&predictor, event)["online_features"]?.string == "unavailable") }
        #expect(Clock.monotonicSeconds - begin < 3, "a store that is away is not asked for each request")
        try server.restart()
        #expect(try withDeadline(5) { try reply(&predictor, event)["online_features"]?.string == "unknown-entity" })
    }

    @Test("an event is scored by the first set that takes it, and one that none takes is told") func kinds() throws {
        let useCase = try useCase { text in
            text.replacing("  reading:\n", with: "  armed:\n    when: armed\n    floor: floor\n  reading:\n    when: value > 10\n")
        }
        var predictor = try predictor(useCase, redis: RedisSettings(port: 1))
        let armed = event.replacing("\"value\":20", with: "\"armed\":true,\"value\":20")
        let small = event.replacing("20", with: "5")
        let both = try reply(&predictor, "[\(event),\(armed),\(event)]")
        #expect(both.array?.map { $0["all"]?["value"]?.double } == [20, nil, 20])
        #expect(both.array?.map { $0["all"]?["floor"]?.double } == [nil, 0, nil])
        #expect(both.array?.map { $0["online_features"]?.string } == ["unavailable", nil, "unavailable"])
        #expect(both[0] == both[2])
        let refused = try reply(&predictor, "[\(event),\(small)]")["detail"]
        #expect(refused?[0]?["loc"] == ["body", 1] && refused?[0]?["type"]?.string == "not-taken")
        #expect(try reply(&predictor, small)["detail"]?[0]?["loc"] == ["body"])
    }

    @Test("errors name the path in the document, with the index in an array") func locations() throws {
        var predictor = try predictor(useCase(), redis: RedisSettings(port: 1))
        let bad = event.replacing("\"in\"", with: "5")
        func places(_ body: String) throws -> [[String]] {
            try (reply(&predictor, body)["detail"]?.array ?? []).map { entry in
                (entry["loc"]?.array ?? []).map { $0.string ?? $0.integer.map(String.init) ?? "?" }
            }
        }
        #expect(try places(bad) == [["body", "meta", "location"]])
        #expect(try places("[\(event),\(bad)]") == [["body", "1", "meta", "location"]])
        #expect(try places(event.replacing("\"location\"", with: "\"lokation\"")) == [["body", "meta", "lokation"]])
    }

    @Test("the JSON Schema says what the decoder accepts") func schema() throws {
        let document = EventJSONSchema.document(try useCase())
        #expect(document["required"] == ["sensor", "at", "value"])
        let properties = try #require(document["properties"])
        #expect(
            properties["value"] == [
                "type": "number", "description": "In degree.", "exclusiveMinimum": 0.0, "exclusiveMaximum": 100.0, "x-unit": "degree",
            ])
        #expect(properties["sensor"]?["minLength"]?.integer == 1)
        #expect(properties["armed"]?["type"] == ["boolean", "null"])
        let meta = try #require(properties["meta"])
        #expect(meta["type"]?.string == "object" && meta["required"] == [] && meta["additionalProperties"]?.bool == false)
        #expect(meta["properties"]?["location"]?["enum"] == ["in", "out", .null])
        #expect(meta["properties"]?["floor"]?["default"]?.double == 0)
    }

    @Test("the example is an event that the decoder takes") func example() throws {
        for useCase in [try useCase(), try UseCase.load("nyc-taxi"), try UseCase.load("battlefield")] {
            let decoder = EventDecoder(schema: useCase.plan.schema)
            #expect(decoder.decode(ExampleEvent.of(useCase).serialized), "\(decoder.errors)")
        }
    }

    @Test("a window set is scored with what the online store has") func windowsOnly() throws {
        let text = """
            features:
              minute:
                window: { length: 60s }
                level: mean(value)

            """
        let useCase = try useCase { definition in
            let start = definition.firstRange(of: "features:")
            let end = definition.firstRange(of: "detector:")
            guard let start, let end else { return definition }
            return definition[..<start.lowerBound] + text + definition[end.lowerBound...]
        }
        let server = try RedisServer(appendOnly: false)
        let settings = try RedisSettings(url: server.url)
        var batch = OnlineBatch(features: 1)
        batch.add(entity: "a", id: "x:1", eventTime: 1, offset: 1, vector: [4.5])
        _ = try OnlineStore(RedisClient(settings), useCase: useCase.name, set: "minute", features: ["level"], timeToLive: 60_000).write(batch)
        var predictor = try predictor(useCase, redis: settings)
        #expect(try reply(&predictor, event)["all"]?["level"]?.double == 4.5)
        #expect(try reply(&predictor, event.replacing("\"a\"", with: "\"b\""))["online_features"]?.string == "unknown-entity")
    }

    @Test("a reply names the newest window that holds the event, and the type of an anomaly alone") func windowAndType() throws {
        let useCase = try useCaseWithoutHistory { text in
            text.replacing("detector:", with: "  minute:\n    window: { length: 60s, slide: 10s }\n    level: mean(value)\ndetector:")
                .replacing("reply:", with: "types: { heat: [value, hot] }\nreply:")
                .replacing("reply: {", with: "reply: { from: $window_start, to: $window_end, type: $anomaly_type,")
        }
        var predictor = try predictor(useCase, redis: RedisSettings(port: 1))
        let normal = #"{"sensor":"a","at":1767268817999,"value":5}"#
        let usual = try reply(&predictor, normal)
        #expect(usual["from"]?.integer == 1_767_268_810_000 && usual["to"]?.integer == 1_767_268_870_000)
        // Far from the 0 to 10 of the training.
        let odd = try reply(&predictor, normal.replacing("\"value\":5", with: "\"value\":99"))
        #expect(odd["anomalous"]?.bool == true && odd["type"]?.string == "heat")
        let all = try reply(&predictor, "[" + (1...9).map { normal.replacing("\"value\":5", with: "\"value\":\($0)") }.joined(separator: ",") + "]")
        for index in 0..<9 {
            let isTyped = all[index]?["type"]?.string == "heat"
            #expect(isTyped == (all[index]?["anomalous"]?.bool == true))
        }
        let starts = [Int64(-1), 0, 9_999, 10_000].map { ReplyWriter.windowStart($0, slide: 10_000) }
        #expect(starts == [-10_000, 0, 0, 10_000])
    }

    @Test(
        "an origin is a scheme and a host, or * for all",
        arguments: [
            ("*", true), ("https://a.example", true), ("http://localhost:3000, https://b.example", true), ("", false), ("a.example", false),
            ("https://a.example/", false), ("https://a.example/path", false), ("*, https://a.example", false),
        ]) func origins(list: String, isGood: Bool)
    {
        #expect(((try? CrossOrigin(list)) != nil) == isGood)
    }
}
