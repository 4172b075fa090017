import ServiceKit
import UseCases

/// Every setting of the stream processor.
struct StreamProcessorSettings: ServiceSettings {
    let useCase: UseCase
    let common: CommonSettings
    /// Most events in one batch; a batch is sent, waited for and committed as a whole.
    let batch: Int
    /// Largest event in bytes; a larger one is a dead letter without its value being read.
    let maximumEventBytes: Int

    init?(_ reader: inout SettingsReader) {
        let useCase = reader.useCase()
        let common = CommonSettings(&reader, useCaseName: useCase?.name ?? "", defaultPort: 9102)
        batch = reader.integer("VYUHA_BATCH_SIZE", default: 1_000, in: 1...10_000, unit: "events", "Most events handled together.")
        maximumEventBytes = reader.integer(
            "VYUHA_MAX_EVENT_BYTES", default: 1 << 20, in: 64...(16 << 20), unit: "bytes", "Largest event that is read.")
        guard let useCase, let common else { return nil }
        self.useCase = useCase
        self.common = common
    }
}
