import Contracts
import ServiceKit
import Streaming
import UseCases

/// Every setting of the stream processor.
struct StreamProcessorSettings: ServiceSettings {
    let useCase: UseCase
    let stream: StreamSettings
    var common: CommonSettings { stream.common }
    var identity: ServiceIdentity { ServiceIdentity("stream-processor", useCase: useCase.name) }
    /// Most events in one batch; a batch is sent, waited for and committed as a whole.
    let batch: Int
    /// Largest event in bytes; a larger one is a dead letter without its value being read.
    let maximumEventBytes: Int
    /// Milliseconds between snapshots of the state; after a crash at most so much is applied again.
    let snapshotInterval: Int
    /// Milliseconds without an event after which a partition's windows are emitted by the clock; nil: never.
    let idleTimeout: Int?
    let delivery: DeliveryGuarantee

    init?(_ reader: inout SettingsReader) {
        let useCase = reader.useCase()
        let stream = StreamSettings(&reader, useCaseName: useCase?.name ?? "", defaultPort: 9102)
        batch = reader.integer("VYUHA_BATCH_SIZE", default: 4_000, in: 1...10_000, unit: "events", "Most events handled together.")
        maximumEventBytes = reader.integer(
            "VYUHA_MAX_EVENT_BYTES", default: 1 << 20, in: 64...(16 << 20), unit: "bytes", "Largest event that is read.")
        snapshotInterval =
            reader.duration(
                "VYUHA_SNAPSHOT_INTERVAL", default: "10s", in: 100...3_600_000, "Time between two snapshots of a partition's windows and histories.")
            ?? 10_000
        idleTimeout =
            reader.durationOrNever(
                "VYUHA_IDLE_TIMEOUT", default: "30s", in: 1_000...86_400_000,
                "Time without events after which a partition's windows are emitted by the clock; never: only events do that.") ?? nil
        delivery = reader.delivery(stream?.common)
        guard let useCase, let stream else { return nil }
        self.useCase = useCase
        self.stream = stream
    }
}
