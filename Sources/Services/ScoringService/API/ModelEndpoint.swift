import Detectors
import HTTPServer
import JSON
import ServiceKit
import UseCases

/// `GET /model`: what scores now, per feature set: version, features, calibration, threshold, age.
struct ModelEndpoint: Sendable {
    let useCase: UseCase
    let models: CurrentModels

    func answer() -> HTTPServerResponse {
        let now = Clock.milliseconds
        var writer = JSONWriter(capacity: 1 << 12)
        writer.beginObject()
        writer.key("use_case")
        writer.value(useCase.name)
        writer.key("use_case_fingerprint")
        writer.value(useCase.fingerprintText)
        writer.key("predicts")
        writer.value(PredictedSets.of(useCase).map { useCase.plan.sets[$0].name }.joined(separator: ", "))
        writer.key("models")
        writer.beginArray()
        for (set, loaded) in zip(useCase.plan.sets, models.active.models) {
            guard let loaded else { continue }
            writer.beginObject()
            writer.key("set")
            writer.value(set.name)
            writer.key("version")
            writer.value(loaded.version)
            writer.key("age_seconds")
            writer.value(Double(max(0, now - loaded.model.metadata.createdAt)) / 1000)
            writer.key("in_use_since")
            writer.value(Clock.iso8601(milliseconds: loaded.loadedAt))
            writer.key("trained_at")
            writer.value(Clock.iso8601(milliseconds: loaded.model.metadata.createdAt))
            calibration(loaded.model, into: &writer)
            writer.key("model")
            loaded.model.writeMetadata(to: &writer)
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return HTTPServerResponse(body: writer.bytes)
    }

    /// How a score is to be read: which score so rare a normal event has.
    private func calibration(_ model: TrainedModel, into writer: inout JSONWriter) {
        writer.key("calibration")
        writer.beginObject()
        writer.key("method")
        writer.value("empirical p-values with a generalised Pareto tail")
        writer.key("held_back_rows")
        writer.value(model.metadata.heldBackRows)
        writer.key("score_of_one_normal_event_in")
        writer.beginObject()
        for rarity in [10, 100, 1_000, 10_000, 1_000_000] {
            writer.key("\(rarity)")
            writer.value(Calibration.score(pValue: 1 / Double(rarity)))
        }
        writer.endObject()
        writer.endObject()
    }
}
