import Contracts
import Detectors
import UseCases

/// A model version as the stream uses it: one for all partitions, with the thread's working memory.
final class StreamModel {
    let loaded: LoadedModel
    let set: Int
    /// Features of the set.
    let width: Int
    let writer: ScoreRecordWriter
    let types: AnomalyTypes
    let threshold: Threshold
    let needsState: Bool
    var scorer: ModelScorer

    init(_ loaded: LoadedModel, set: Int, useCase: UseCase) {
        let info = useCase.plan.sets[set]
        self.loaded = loaded
        self.set = set
        width = info.features.count
        threshold = loaded.model.threshold
        needsState = loaded.model.needsState
        scorer = ModelScorer(loaded.model)
        types = AnomalyTypes(useCase.types, features: loaded.model.featureNames)
        writer = ScoreRecordWriter(
            set: info.name, features: loaded.model.featureNames, statusNormal: useCase.status.normal, statusAnomaly: useCase.status.anomaly,
            model: loaded.name, version: loaded.version)
    }

    var version: Int64 { loaded.version }
}
