import Detectors
import JSON
import Scoring
import UseCases

/// One event with what the model says about it, ready to be written.
struct ScoredEvent {
    /// Where its UTF-8 lies in the bytes of all entities.
    var entity: Range<Int>
    /// Milliseconds since 1970.
    var eventTime: Int64
    /// One value per field of the schema.
    var fields: UnsafeBufferPointer<Double>
    /// What the model saw, one value per feature of the model.
    var features: UnsafeBufferPointer<Double>
    var score: Double
    var isAnomaly: Bool
    var online: OnlineStatus
}

/// Writes the answer of `/predict` in the shape that the use case's `reply` section gives.
struct ReplyWriter: Sendable {
    private let members: [ReplySection.Member]
    private let entityIsNumber: Bool
    private let hasTypes: Bool
    private let normal: [UInt8]
    private let anomaly: [UInt8]

    init(_ useCase: UseCase) {
        let schema = useCase.plan.schema
        members = useCase.reply.members
        entityIsNumber = schema.fields[schema.entityIndex].type == .integer
        hasTypes = !useCase.types.isEmpty
        normal = JSONValue.string(useCase.status.normal).serialized
        anomaly = JSONValue.string(useCase.status.anomaly).serialized
    }

    /// - Parameters:
    ///   - entities: the bytes in which the event's entity lies.
    ///   - explaining: adds the member `explanation`.
    func write(_ event: ScoredEvent, entities: [UInt8], _ model: ActiveModel, explaining: Bool, into writer: inout JSONWriter) {
        // Costs as much as scoring dozens of events: once for an event, and only where something asks for it.
        var explanation: Explanation?
        func explained() -> Explanation {
            let result = explanation ?? model.model.explain(Array(event.features))
            explanation = result
            return result
        }
        writer.beginObject()
        for member in members {
            writer.key(raw: member.key)
            switch member.value {
            case .entity: entityIsNumber ? writer.raw(entities, event.entity) : writer.value(utf8: entities, event.entity)
            case .score: writer.value(event.score)
            case .isAnomaly: writer.value(event.isAnomaly)
            case .status: writer.raw(event.isAnomaly ? anomaly : normal)
            case .confidence: writer.value(model.confidence(ofScore: event.score))
            case .eventTime: writer.value(event.eventTime)
            case .model: writer.raw(model.name)
            case .version: writer.value(model.version)
            case .field(let index): writer.value(event.fields[index])
            case .anomalyType:
                // Why an event is an anomaly is looked into only where it is one.
                let type = event.isAnomaly && hasTypes ? model.types.name(explained().contributions) : nil
                if let type { writer.raw(type) } else { writer.null() }
            case .windowStart(_, let slide): writer.value(Self.windowStart(event.eventTime, slide: slide))
            case .windowEnd(let length, let slide): writer.value(Self.windowStart(event.eventTime, slide: slide) + length)
            case .features: object(model.featureKeys, event.features, into: &writer)
            case .constant(let json): writer.raw(json)
            }
        }
        // Not part of the use case's shape: said only when the answer rests on less than it should.
        if event.online == .unknownEntity || event.online == .unavailable {
            writer.key("online_features")
            writer.value(event.online.rawValue)
        }
        if explaining { write(explained(), of: event, model, into: &writer) }
        writer.endObject()
    }

    /// The start of the newest window that holds a time. Windows begin at multiples of the slide since 1970.
    static func windowStart(_ time: Int64, slide: Int64) -> Int64 {
        let rest = time % slide
        return time - (rest < 0 ? rest + slide : rest)
    }

    private func write(_ explanation: Explanation, of event: ScoredEvent, _ model: ActiveModel, into writer: inout JSONWriter) {
        writer.key("explanation")
        writer.beginObject()
        writer.key("score")
        writer.value(event.score)
        writer.key("threshold")
        writer.value(model.threshold.score)
        writer.key("confidence")
        writer.value(model.confidence(ofScore: event.score))
        writer.key("model")
        writer.raw(model.name)
        writer.key("version")
        writer.value(model.version)
        writer.key("online_features")
        writer.value(event.online.rawValue)
        writer.key("features")
        object(model.featureKeys, event.features, into: &writer)
        writer.key("expected")
        explanation.expected.withUnsafeBufferPointer { object(model.featureKeys, $0, into: &writer) }
        writer.key("contributions")
        explanation.contributions.withUnsafeBufferPointer { object(model.featureKeys, $0, into: &writer) }
        writer.endObject()
    }

    private func object(_ keys: [[UInt8]], _ values: UnsafeBufferPointer<Double>, into writer: inout JSONWriter) {
        writer.beginObject()
        for index in keys.indices {
            writer.key(raw: keys[index])
            writer.value(values[index])
        }
        writer.endObject()
    }
}
