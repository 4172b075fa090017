import Alerting
import Contracts
import JSON
import Testing

@testable import AlertSink

@Suite("Decoding an anomaly")
struct AnomalyDecoderTests {
    private let source = Sighting.Source(partition: 3, offset: 9, timestamp: 17)

    @Test("What admission needs is read from the record, which is kept as it came")
    func good() throws {
        let decoder = try AnomalyDecoder()
        let json = anomalyJSON(id: "trips:42", group: "Zürich \"1\"", at: 1_763_718_000_123, offset: 41)
        let bytes = Array("before".utf8) + json + Array("after".utf8)
        let decoded = try decoder.decode(bytes, 6..<6 + json.count, source: source)
        #expect(decoded.id == "trips:42")
        #expect(decoded.labels.entity == "Zürich \"1\"")
        #expect(decoded.producedAt == 1_763_718_000_123)
        #expect(decoded.offset == 41)
        #expect(decoded.evidence == json)
        #expect(decoded.source == source)
    }

    @Test(
        "What is no anomaly is refused with its reason and field",
        arguments: [
            ("", .empty, ""), ("nonsense", .malformed, ""), ("[1]", .notAnObject, ""),
            ("{\"id\":\"a\",\"id\":\"b\"}", .repeatedField, "id"),
            ("{}", .missingField, "id"), ("{\"id\":7}", .wrongType, "id"),
        ] as [(String, DeadLetterReason, String)])
    func bad(_ text: String, _ reason: DeadLetterReason, _ field: String) throws {
        let decoder = try AnomalyDecoder()
        let bytes = Array(text.utf8)
        let refusal = #expect(throws: AnomalyDecoder.Refusal.self) { try decoder.decode(bytes, 0..<bytes.count, source: source) }
        #expect(refusal?.reason == reason)
        #expect(refusal?.field == field)
        #expect(refusal?.detail.isEmpty == false)
    }

    @Test(
        "Every field that an alert shows must be there and of its type",
        arguments: ["id", "entity", "set", "status", "model", "produced_at", "offset", "event_time", "version", "score", "confidence"])
    func everyField(_ name: String) throws {
        let decoder = try AnomalyDecoder()
        let whole = try #require(try JSONValue.parse(anomalyJSON(id: "x")).object)
        let cases: [(JSONMember?, DeadLetterReason)] = [
            (nil, .missingField), (JSONMember(name, .null), .wrongType), (JSONMember(name, ["nested": 1]), .wrongType),
        ]
        for (replacement, reason) in cases {
            let members = whole.compactMap { $0.name == name ? replacement : $0 }
            let bytes = JSONValue.object(members).serialized
            let refusal = #expect(throws: AnomalyDecoder.Refusal.self) { try decoder.decode(bytes, 0..<bytes.count, source: source) }
            #expect(refusal?.reason == reason)
            #expect(refusal?.field == name)
        }
    }

    @Test("That all is well again is told by is_anomaly; an entity that speaks again ends its being missing")
    func cleared() throws {
        let decoder = try AnomalyDecoder()
        var members = try #require(try JSONValue.parse(anomalyJSON(id: "x")).object).filter { $0.name != "is_anomaly" }
        members += [JSONMember("is_anomaly", false), JSONMember("kind", "resumed"), JSONMember("anomaly_type", "resumed")]
        let bytes = JSONValue.object(members).serialized
        let decoded = try decoder.decode(bytes, 0..<bytes.count, source: source)
        #expect(decoded.isCleared)
        #expect(decoded.labels.type == "missing")
    }

    @Test("A tombstone is refused as empty")
    func tombstone() throws {
        let refusal = #expect(throws: AnomalyDecoder.Refusal.self) { try AnomalyDecoder().decode([], nil, source: source) }
        #expect(refusal?.reason == .empty)
    }
}
