import JSON
import Testing

@testable import Detectors

@Suite("A trained model")
struct ModelTests {
    @Test("its metadata is one JSON object with parameters, features and threshold")
    func metadata() throws {
        var model = try TrainedModel.fit(
            Sample.normal(rows: 400), plan: Sample.plan(.isolationForest, parameters: ["trees": .integer(20)], eventsPerEntityPerDay: 1000))
        model.metadata.metrics["roc_auc"] = 0.97
        model.metadata.notes["use_case"] = "nyc-taxi"
        var writer = JSONWriter()
        model.writeMetadata(to: &writer)
        let json = try JSONValue.parse(writer.bytes)
        #expect(json["detector"]?.string == "isolation-forest")
        #expect(json["parameters"]?["trees"]?.integer == 20)
        #expect(json["features"]?[4]?["name"]?.string == "f4")
        #expect(json["threshold"]?["false_alerts_per_entity_per_day"]?.double == 10)
        #expect(json["metrics"]?["roc_auc"]?.double == 0.97)
        #expect(json["notes"]?["use_case"]?.string == "nyc-taxi")
        #expect(json["training_rows"]?.integer == 400 && json["held_back_rows"]?.integer == 100)
        #expect(try TrainedModel(decoding: model.encoded()).metadata == model.metadata)
    }

    @Test("bytes of something else and of a later format are refused in words")
    func foreignBytes() throws {
        #expect { try TrainedModel(decoding: Array("{\"not\":\"a model at all, but JSON\"}".utf8)) } throws: {
            "\($0)".contains("not a stored model")
        }
        var later = try TrainedModel.fit(Sample.normal(rows: 50), plan: Sample.plan(.isolationForest)).encoded()
        later[8] = 200
        #expect { try TrainedModel(decoding: later) } throws: { "\($0)".contains("format 200") }
    }

    @Test("the fingerprint follows the data and nothing else")
    func fingerprint() throws {
        let first = try TrainedModel.fit(Sample.normal(rows: 100), plan: Sample.plan(.isolationForest, seed: 1))
        let second = try TrainedModel.fit(Sample.normal(rows: 100), plan: Sample.plan(.isolationForest, seed: 2))
        let other = try TrainedModel.fit(Sample.normal(rows: 100, seed: 5), plan: Sample.plan(.isolationForest, seed: 1))
        #expect(first.metadata.dataFingerprint == second.metadata.dataFingerprint)
        #expect(first.metadata.dataFingerprint != other.metadata.dataFingerprint)
    }

    @Test("the threshold moves without training anew")
    func movesThreshold() throws {
        var model = try TrainedModel.fit(Sample.normal(rows: 400), plan: Sample.plan(.isolationForest))
        try model.setThreshold(.falseAlerts(perEntityPerDay: 1), eventsPerEntityPerDay: 100_000)
        #expect(abs(model.threshold.probability - 1e-5) < 1e-12)
        #expect(model.threshold.score > 0.95)
    }

    @Test("rows of another width than the names are an error")
    func wrongWidth() throws {
        #expect(throws: DetectorError.self) {
            try TrainedModel.fit(Sample.normal(rows: 50, columns: 3), plan: Sample.plan(.isolationForest))
        }
    }

    @Test("a checksum is that of zlib")
    func checksum() { #expect(crc32(Array("123456789".utf8)[...]) == 0xCBF4_3926) }

    @Test("a streaming state survives storage, and damage to it is noticed")
    func stateRoundTrip() throws {
        let state = DetectorState(numbers: [1.5, -0.25, .infinity], integers: [7, -9])
        let bytes = state.encoded()
        #expect(try DetectorState(decoding: bytes) == state)
        for index in bytes.indices {
            var altered = bytes
            altered[index] ^= 0x40
            #expect(throws: DetectorError.self) { try DetectorState(decoding: altered) }
        }
    }
}
