import Contracts
import JSON

/// The stage `decode`: what admission must know of an anomaly, read without building the whole record.
///
/// Every field that an alert needs is checked here, so that a record which could not be told about never reaches the outbox. One thread.
struct AnomalyDecoder {
    /// An anomaly on its way to admission.
    struct Decoded: Equatable {
        let id: String
        /// The entity: anomalies of one group share a cooldown.
        let group: String
        /// Kafka timestamp of the event, milliseconds.
        let producedAt: Int64
        /// Offset of the event in its partition.
        let offset: Int64
        /// The record as it came.
        let json: [UInt8]
        /// Where it was read: partition and offset on `<uc>.anomalies`, and its Kafka timestamp.
        let source: Source
    }

    struct Source: Equatable {
        let partition: Int32
        let offset: Int64
        let timestamp: Int64
    }

    struct Refusal: Error, Equatable {
        let reason: DeadLetterReason
        let field: String
        let detail: String
    }

    private enum Field: Int, CaseIterable {
        case id, entity, set, status, model, producedAt, offset, eventTime, version, score, confidence

        var path: String {
            switch self {
            case .producedAt: "produced_at"
            case .eventTime: "event_time"
            default: "\(self)"
            }
        }

        /// What the value must be, and how it is called in a sentence.
        var expectation: (kinds: [JSONSlotKind], text: String) {
            switch self {
            case .id, .entity, .set, .status, .model: ([.string], "a string")
            case .producedAt, .offset, .eventTime, .version: ([.integer], "an integer")
            case .score, .confidence: ([.number, .integer], "a number")
            }
        }
    }

    private let fields: JSONFields

    init() throws(JSONError) { fields = try JSONFields(paths: Field.allCases.map(\.path)) }

    func decode(_ bytes: [UInt8], _ value: Range<Int>?, source: Source) throws(Refusal) -> Decoded {
        guard let value, !value.isEmpty else { throw Refusal(reason: .empty, field: "", detail: "The anomaly has no bytes.") }
        switch fields.read(bytes, value) {
        case .ok: break
        case .malformed(let reason): throw Refusal(reason: .malformed, field: "", detail: reason.description)
        case .notAnObject: throw Refusal(reason: .notAnObject, field: "", detail: "The anomaly is not a JSON object.")
        case .repeatedField(let slot):
            throw Refusal(reason: .repeatedField, field: fields.paths[slot], detail: "The field \(fields.paths[slot]) is given twice.")
        }
        for field in Field.allCases {
            let kind = fields.slots[field.rawValue].kind
            if kind == .missing { throw Refusal(reason: .missingField, field: field.path, detail: "The field \(field.path) is missing.") }
            guard field.expectation.kinds.contains(kind) else {
                throw Refusal(reason: .wrongType, field: field.path, detail: "The field \(field.path) must be \(field.expectation.text).")
            }
        }
        func text(_ field: Field) -> String { String(decoding: fields.text[fields.slots[field.rawValue].text], as: UTF8.self) }
        return Decoded(
            id: text(.id), group: text(.entity), producedAt: fields.slots[Field.producedAt.rawValue].integer,
            offset: fields.slots[Field.offset.rawValue].integer, json: Array(bytes[value]), source: source)
    }
}
