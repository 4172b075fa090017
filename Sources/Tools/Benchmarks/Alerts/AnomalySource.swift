import Alerting
import Contracts
import JSON

/// Anomalies as the scorer writes them, in bursts of some entities at a time, and their ends.
struct AnomalySource {
    private let entities: Int
    private let perSecond: Double
    private let writer: ScoreRecordWriter
    private let fields: JSONFields
    private var number: Int64 = 0
    private var state: UInt64 = 7
    private var json = JSONWriter(capacity: 1 << 10)

    init(entities: Int, perSecond: Double) throws(JSONError) {
        self.entities = entities
        self.perSecond = perSecond
        writer = ScoreRecordWriter(
            set: "trip", features: ["speed", "fare_per_mile", "duration", "tip_share"], statusNormal: "NORMAL", statusAnomaly: "SUSPICIOUS",
            model: Array("\"isolation-forest\"".utf8), version: 3)
        fields = try JSONFields(paths: ["id", "entity", "set", "produced_at", "offset", "event_time", "score", "is_anomaly", "anomaly_type"])
    }

    /// The next records, each of them JSON.
    mutating func next(_ count: Int) -> [[UInt8]] {
        (0..<count).map { _ in
            number += 1
            let at = 1_763_683_200_000 + Int64(Double(number) * 1_000 / perSecond)
            let isAnomaly = random(20) != 0
            let (id, entity) = (Array("trips:\(number)".utf8), Array("zone-\(random(UInt64(entities)))".utf8))
            json.removeAll()
            id.withUnsafeBytes { id in
                entity.withUnsafeBytes { entity in
                    Array("event".utf8).withUnsafeBytes { kind in
                        let head = ScoreRecordWriter.Head(
                            id: id, kind: kind, entity: entity, eventTime: at - 500, window: nil, producedAt: at, scoredAt: at + 2, offset: number,
                            score: 0.9 + Double(random(1_000)) / 10_001, isAnomaly: isAnomaly, confidence: 0.9)
                        let reason = ScoreRecordWriter.Reason(
                            actual: [0.4, 41.25, 8.1, 0.02], expected: [11, 3.1, 14, 0.2], contributions: [-0.25, 0.5, 0.15, 0.1])
                        writer.write(head, reason: isAnomaly ? reason : nil, into: &json)
                    }
                }
            }
            return json.bytes
        }
    }

    /// The same that the service's stage `decode` reads.
    func decode(_ lines: [[UInt8]]) throws -> [Sighting] {
        try lines.map { line in
            guard case .ok = fields.read(line) else { throw BenchmarkError("An anomaly of the benchmark is no JSON.") }
            func text(_ slot: Int) -> String { fields.string(slot) ?? "" }
            return Sighting(
                id: text(0), labels: AlertLabels(entity: text(1), set: text(2), type: text(8)), score: fields.slots[6].number,
                eventTime: fields.slots[5].integer, producedAt: fields.slots[3].integer, offset: fields.slots[4].integer,
                isCleared: fields.slots[7].number == 0, evidence: line,
                source: Sighting.Source(partition: 0, offset: fields.slots[4].integer, timestamp: fields.slots[3].integer))
        }
    }

    private mutating func random(_ bound: UInt64) -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return (state >> 33) % bound
    }
}
