import HTTPServer
import ServiceKit
import UseCases

/// Every setting of the scoring service.
struct ScoringServiceSettings: ServiceSettings {
    let useCase: UseCase
    let common: CommonSettings
    /// Most feature records scored together.
    let batch: Int
    /// Milliseconds between two looks at the registry's `current` pointer.
    let modelPoll: Int
    /// The current models, shared between the stream and `POST /predict`.
    let models: CurrentModels
    let delivery: DeliveryGuarantee
    let api: ScoringAPI
    let routes: AdminRoutes?
    private let http: APISettings

    init?(_ reader: inout SettingsReader) {
        let useCase = reader.useCase()
        let common = CommonSettings(&reader, useCaseName: useCase?.name ?? "", defaultPort: 8000)
        batch = reader.integer("VYUHA_BATCH_SIZE", default: 1_000, in: 1...10_000, unit: "records", "Most feature records scored together.")
        modelPoll =
            reader.duration("VYUHA_MODEL_POLL", default: "500ms", in: 50...600_000, "Time between two looks for a newer model.") ?? 500
        let http = APISettings(&reader, useCase: useCase)
        delivery = reader.delivery(common)
        guard let useCase, let common else { return nil }
        self.useCase = useCase
        self.common = common
        models = CurrentModels(sets: useCase.plan.sets.count)
        self.http = http
        api = ScoringAPI(useCase, models, http, common: common)
        routes = api.routes()
    }

    func configure(_ server: inout HTTPServerSettings) { http.apply(to: &server) }
}
