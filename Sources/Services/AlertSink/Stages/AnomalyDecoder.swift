import Alerting
import Contracts
import JSON

/// The stage `decode`: what the other stages must know of an anomaly, read without building the whole record.
///
/// Every field that an alert needs is checked here, so that a record which could not be told about never becomes one. One thread.
struct AnomalyDecoder {
    struct Refusal: Error, Equatable {
        let reason: DeadLetterReason
        let field: String
        let detail: String
    }

    private enum Field: Int, CaseIterable {
        case id, entity, set, status, model, producedAt, offset, eventTime, version, score, confidence, kind, anomalyType, isAnomaly, revision,
            sequence

        var path: String {
            switch self {
            case .producedAt: "produced_at"
            case .eventTime: "event_time"
            case .anomalyType: "anomaly_type"
            case .isAnomaly: "is_anomaly"
            default: "\(self)"
            }
        }

        /// What the value must be, and how it is called in a sentence; nil for what may be missing.
        var expectation: (kinds: [JSONSlotKind], text: String)? {
            switch self {
            case .id, .entity, .set, .status, .model: ([.string], "a string")
            case .producedAt, .offset, .eventTime, .version: ([.integer], "an integer")
            case .score, .confidence: ([.number, .integer], "a number")
            case .kind, .anomalyType, .isAnomaly, .revision, .sequence: nil
            }
        }
    }

    private let fields: JSONFields

    init() throws(JSONError) { fields = try JSONFields(paths: Field.allCases.map(\.path)) }

    func decode(_ bytes: [UInt8], _ value: Range<Int>?, source: Sighting.Source) throws(Refusal) -> Sighting {
        guard let value, !value.isEmpty else { throw Refusal(reason: .empty, field: "", detail: "The anomaly has no bytes.") }
        switch fields.read(bytes, value) {
        case .ok: break
        case .malformed(let reason): throw Refusal(reason: .malformed, field: "", detail: reason.description)
        case .notAnObject: throw Refusal(reason: .notAnObject, field: "", detail: "The anomaly is not a JSON object.")
        case .repeatedField(let slot):
            throw Refusal(reason: .repeatedField, field: fields.paths[slot], detail: "The field \(fields.paths[slot]) is given twice.")
        }
        for field in Field.allCases {
            guard let expectation = field.expectation else { continue }
            let kind = fields.slots[field.rawValue].kind
            if kind == .missing { throw Refusal(reason: .missingField, field: field.path, detail: "The field \(field.path) is missing.") }
            guard expectation.kinds.contains(kind) else {
                throw Refusal(reason: .wrongType, field: field.path, detail: "The field \(field.path) must be \(expectation.text).")
            }
        }
        func text(_ field: Field) -> String {
            let slot = fields.slots[field.rawValue]
            return slot.kind == .string ? String(decoding: fields.text[slot.text], as: UTF8.self) : ""
        }
        let isAnomaly = fields.slots[Field.isAnomaly.rawValue]
        let sequence = fields.slots[Field.sequence.rawValue]
        let isCleared = isAnomaly.kind == .bool && isAnomaly.number == 0
        // An entity that speaks again ends its being missing.
        let type = isCleared && text(.kind) == "resumed" ? "missing" : text(.anomalyType)
        return Sighting(
            id: text(.id), labels: AlertLabels(entity: text(.entity), set: text(.set), type: type),
            score: fields.slots[Field.score.rawValue].number, eventTime: fields.slots[Field.eventTime.rawValue].integer,
            producedAt: fields.slots[Field.producedAt.rawValue].integer, offset: fields.slots[Field.offset.rawValue].integer,
            sequence: sequence.kind == .integer ? sequence.integer : nil,
            isCleared: isCleared, isWindow: text(.kind) == "window",
            revision: UInt32(clamping: fields.slots[Field.revision.rawValue].integer), evidence: Array(bytes[value]), source: source)
    }
}
