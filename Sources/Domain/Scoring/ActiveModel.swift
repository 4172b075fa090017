import Contracts
import Detectors
import JSON
import UseCases

/// A model version in use for one feature set: immutable, shared by every thread that scores. The stream, `/predict` and a replay use the
/// same one; what a thread needs beside it is its `ModelRunner`.
public final class ActiveModel: Sendable {
    public let model: TrainedModel
    /// The registry's version number.
    public let version: Int64
    /// Position of the feature set in the use case's plan.
    public let set: Int
    /// The detector's name as a JSON string, quotes included.
    public let name: [UInt8]
    /// Names of the model's features as keys of a JSON object, in its order.
    public let featureKeys: [[UInt8]]
    /// Names the type of an anomaly by the model's contributions.
    public let types: AnomalyTypes
    /// When this process took it into use, milliseconds since 1970.
    public let loadedAt: Int64
    /// Where each of the model's features stands in the feature set; nil when it takes all of them in order.
    private let columns: [Int]?
    /// Features of the set.
    private let width: Int
    let writer: ScoreRecordWriter

    /// - Parameter set: position in the use case's plan.
    /// - Returns: nil when the model wants a feature that the set does not have.
    public init?(_ model: TrainedModel, version: Int64, set: Int, of useCase: UseCase, loadedAt: Int64 = 0) {
        let info = useCase.plan.sets[set]
        let found = model.featureNames.map { info.features.firstIndex(of: $0) }
        let columns = found.compactMap { $0 }
        guard columns.count == found.count else { return nil }
        var name = JSONWriter(capacity: 32)
        name.value(model.kind.rawValue)
        self.columns = model.featureNames == info.features ? nil : columns
        self.model = model
        self.version = version
        self.set = set
        self.name = name.bytes
        self.loadedAt = loadedAt
        width = info.features.count
        featureKeys = model.featureNames.map { JSONWriter.escapedKey($0) }
        types = AnomalyTypes(useCase.types, features: model.featureNames)
        writer = ScoreRecordWriter(
            set: info.name, features: model.featureNames, statusNormal: useCase.status.normal, statusAnomaly: useCase.status.anomaly,
            model: name.bytes, version: version)
    }

    public var threshold: Threshold { model.threshold }

    /// How sure a verdict is: 0 at the threshold, towards 1 the further the p-value is on its side of it.
    public func confidence(ofScore score: Double) -> Double {
        let p = Calibration.pValue(score: score)
        let cut = max(threshold.probability, .leastNormalMagnitude)
        return p <= cut ? 1 - p / cut : min(1, (p - cut) / max(1 - cut, .leastNormalMagnitude))
    }

    /// The rows of the set, `[row × feature of the set]`, reduced to the model's columns, into a reused buffer.
    func gather(_ rows: [Double], into vectors: inout [Double]) {
        vectors.removeAll(keepingCapacity: true)
        guard let columns else { return vectors.append(contentsOf: rows) }
        for start in stride(from: 0, to: rows.count, by: width) {
            for column in columns { vectors.append(rows[start + column]) }
        }
    }
}

/// The models of all feature sets as of one generation of the registry.
public struct ActiveModels: Sendable {
    /// The registry's counter of changes; 0 before the first.
    public var generation: Int64
    /// By feature set; nil for a set that has none yet.
    public var models: [ActiveModel?]

    public init(generation: Int64, models: [ActiveModel?]) {
        self.generation = generation
        self.models = models
    }
}
