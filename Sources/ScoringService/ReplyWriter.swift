import Features
import JSON
import UseCases

/// What the model says about one event.
struct Verdict {
    var score: Double
    var isAnomaly: Bool
    var confidence: Double
    var loaded: LoadedModel
}

/// Writes the answer of `/predict` in the shape that the use case's `reply` section gives.
struct ReplyWriter: Sendable {
    private let useCase: UseCase
    private let entityIsNumber: Bool

    init(_ useCase: UseCase) {
        self.useCase = useCase
        let schema = useCase.plan.schema
        entityIsNumber = schema.fields[schema.entityIndex].type == .integer
    }

    /// - Parameter features: the vector that the model saw.
    func write(_ verdict: Verdict, of event: EventDecoder, features: [Double], into writer: inout JSONWriter) {
        writer.beginObject()
        for member in useCase.reply.members {
            writer.key(raw: member.key)
            switch member.value {
            case .entity: entityIsNumber ? writer.raw(event.entity) : writer.value(utf8: event.entity, 0..<event.entity.count)
            case .score: writer.value(verdict.score)
            case .isAnomaly: writer.value(verdict.isAnomaly)
            case .status: writer.value(verdict.isAnomaly ? useCase.status.anomaly : useCase.status.normal)
            case .confidence: writer.value(verdict.confidence)
            case .eventTime: writer.value(event.eventTime)
            case .model: writer.value(verdict.loaded.model.kind.rawValue)
            case .version: writer.value(verdict.loaded.version)
            case .field(let index): writer.value(event.row[index])
            case .features:
                writer.beginObject()
                for (name, value) in zip(verdict.loaded.model.featureNames, features) {
                    writer.key(name)
                    writer.value(value)
                }
                writer.endObject()
            case .constant(let json): writer.raw(json)
            }
        }
        writer.endObject()
    }
}
