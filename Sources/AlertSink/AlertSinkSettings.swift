import ServiceKit
import UseCases

/// Every setting of the alert sink. The cooldown and the texts belong to the use case.
struct AlertSinkSettings: ServiceSettings, Sendable {
    let useCase: UseCase
    let common: CommonSettings
    /// Most anomalies in one batch.
    let batch: Int
    /// Address that gets each alert as a POST; nil: no webhook.
    let webhook: String?
    /// Longest time that one attempt on the webhook may take, milliseconds.
    let webhookTimeout: Int
    /// Most alerts that may wait for one receiver; beyond it the sink stops reading anomalies.
    let outboxLimit: Int
    /// Milliseconds after which an alert that cannot be delivered is given up, into the dead letters.
    let maximumAge: Int
    /// Milliseconds that a quiet group is remembered.
    let memory: Int
    /// This sink's name in the outboxes: the instance's where it has one, so that it finds again what it left when it died.
    let owner: String

    init?(_ reader: inout SettingsReader) {
        let useCase = reader.useCase()
        let common = CommonSettings(&reader, useCaseName: useCase?.name ?? "", defaultPort: 9105)
        batch = reader.integer("VYUHA_BATCH_SIZE", default: 1_000, in: 1...10_000, unit: "anomalies", "Most anomalies handled together.")
        webhook = reader.value(
            "VYUHA_WEBHOOK_URL", default: useCase?.alerts.webhook, secret: true, "http or https address that gets each alert as a POST."
        ) { try Self.address($0) }
        let webhookTimeout = reader.duration(
            "VYUHA_WEBHOOK_TIMEOUT", default: "5s", in: 100...20_000, "Longest time that one attempt on the webhook may take, up to 20s.")
        outboxLimit = reader.integer(
            "VYUHA_ALERT_OUTBOX_LIMIT", default: 10_000, in: 1...1_000_000, unit: "alerts",
            "Most alerts that may wait for one receiver; beyond it no anomalies are read until some are delivered.")
        let maximumAge = reader.duration(
            "VYUHA_ALERT_MAXIMUM_AGE", default: "24h", in: 1_000...2_592_000_000,
            "How long a delivery is tried again before the alert becomes a dead letter.")
        let memory = reader.duration(
            "VYUHA_ALERT_MEMORY", default: "7d", in: 60_000...31_536_000_000,
            "How long a group without anomalies is remembered; longer than anomalies may be read again.")
        guard let useCase, let common, let webhookTimeout, let maximumAge, let memory else { return nil }
        self.useCase = useCase
        self.common = common
        self.webhookTimeout = webhookTimeout
        self.maximumAge = maximumAge
        self.memory = memory
        owner = common.instanceID ?? "sink-\(UInt64.random(in: 0 ... .max))"
    }

    private struct Mistake: Error, CustomStringConvertible { let description: String }

    private static func address(_ text: String) throws -> String {
        guard text.hasPrefix("http://") || text.hasPrefix("https://"), !text.contains(where: \.isWhitespace) else {
            throw Mistake(description: "The webhook must be an address that starts with http:// or https://.")
        }
        return text
    }
}
