import Contracts
import ServiceKit
import Streaming
import UseCases

/// Every setting of the feature writer.
struct FeatureWriterSettings: ServiceSettings {
    let useCase: UseCase
    let stream: StreamSettings
    var common: CommonSettings { stream.common }
    var identity: ServiceIdentity { ServiceIdentity("feature-writer", useCase: useCase.name) }
    /// Most records in one batch; a batch is one Redis pipeline per feature set.
    let batch: Int
    /// Milliseconds after its last record until an entity is forgotten.
    let timeToLive: Int

    init?(_ reader: inout SettingsReader) {
        let useCase = reader.useCase()
        let stream = StreamSettings(&reader, useCaseName: useCase?.name ?? "", defaultPort: 9103)
        batch = reader.integer("VYUHA_BATCH_SIZE", default: 1_000, in: 1...10_000, unit: "records", "Most records written together.")
        let timeToLive = reader.duration(
            "VYUHA_ONLINE_TTL", default: "24h", in: 1_000...31_536_000_000, "How long the vector of an entity without new records is kept.")
        guard let useCase, let stream, let timeToLive else { return nil }
        self.useCase = useCase
        self.stream = stream
        self.timeToLive = timeToLive
    }
}
