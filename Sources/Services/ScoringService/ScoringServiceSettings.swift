import Contracts
import HTTPServer
import ServiceKit
import Streaming
import UseCases

/// Every setting of the scoring service.
struct ScoringServiceSettings: ServiceSettings {
    let useCase: UseCase
    let stream: StreamSettings
    var common: CommonSettings { stream.common }
    var identity: ServiceIdentity { ServiceIdentity("scoring-service", useCase: useCase.name) }
    /// Most feature records scored together.
    let batch: Int
    /// Milliseconds between two looks at the registry's `current` pointer.
    let modelPoll: Int
    /// Milliseconds between two snapshots.
    let snapshotInterval: Int
    /// Most entities of one partition of which a learning model remembers anything, and most that are known to be anomalous.
    let entityLimit: Int
    /// The current models, shared between the stream and `POST /predict`.
    let models: CurrentModels
    let delivery: DeliveryGuarantee
    let api: ScoringAPI
    let routes: AdminRoutes?
    private let http: APISettings

    init?(_ reader: inout SettingsReader) {
        let useCase = reader.useCase()
        let stream = StreamSettings(&reader, useCaseName: useCase?.name ?? "", defaultPort: 8000)
        batch = reader.integer("VYUHA_BATCH_SIZE", default: 4_000, in: 1...10_000, unit: "records", "Most feature records scored together.")
        modelPoll =
            reader.duration("VYUHA_MODEL_POLL", default: "500ms", in: 50...600_000, "Time between two looks for a newer model.") ?? 500
        snapshotInterval =
            reader.duration("VYUHA_SNAPSHOT_INTERVAL", default: "10s", in: 100...3_600_000, "Time between two snapshots of a partition's state.")
            ?? 10_000
        entityLimit = reader.integer(
            "VYUHA_STATE_ENTITIES", default: 10_000, in: 8...1_000_000, unit: "entities",
            "Most entities of one partition that a learning model remembers; the others start anew.")
        let http = APISettings(&reader, useCase: useCase)
        delivery = reader.delivery(stream?.common)
        guard let useCase, let stream else { return nil }
        self.useCase = useCase
        self.stream = stream
        models = CurrentModels(sets: useCase.plan.sets.count)
        self.http = http
        api = ScoringAPI(useCase, models, http, common: stream.common)
        routes = api.routes()
    }

    func configure(_ server: inout HTTPServerSettings) { http.apply(to: &server) }
}
