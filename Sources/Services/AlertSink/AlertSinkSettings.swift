import Contracts
import Alerting
import HTTPClient
import ServiceKit
import Streaming
import UseCases

/// Every setting of the alert sink. What is told, when, and in which words belongs to the use case.
struct AlertSinkSettings: ServiceSettings, Sendable {
    let useCase: UseCase
    let stream: StreamSettings
    var common: CommonSettings { stream.common }
    var identity: ServiceIdentity { ServiceIdentity("alert-sink", useCase: useCase.name) }
    /// Most anomalies in one batch.
    let batch: Int
    /// Address that gets each alert as a POST, and the key that signs it; nil: no webhook, no signature.
    let webhook: String?
    let webhookSecret: String?
    /// Incoming webhook of Slack or of something that understands its messages.
    let slack: String?
    /// Alertmanager's address, without `/api/v2`.
    let alertmanager: String?
    let mail: Mail?
    /// Longest time that one attempt on a receiver may take, milliseconds.
    let timeout: Int
    /// Most alerts that may wait for one receiver; beyond it the sink stops reading anomalies.
    let outboxLimit: Int
    /// Milliseconds after which an alert that cannot be delivered is given up, into the dead letters.
    let maximumAge: Int
    /// Milliseconds that a quiet group is remembered.
    let memory: Int
    /// This sink's name in the outboxes: the instance's where it has one, so that it finds again what it left when it died.
    let owner: String

    /// Where mails go.
    struct Mail: Sendable {
        let server: SMTPSettings
        let from: String
        let to: [String]
    }

    init?(_ reader: inout SettingsReader) {
        let useCase = reader.useCase()
        let stream = StreamSettings(&reader, useCaseName: useCase?.name ?? "", defaultPort: 9105)
        batch = reader.integer("VYUHA_BATCH_SIZE", default: 1_000, in: 1...10_000, unit: "anomalies", "Most anomalies handled together.")
        let timeout = reader.duration(
            "VYUHA_WEBHOOK_TIMEOUT", default: "5s", in: 100...20_000, "Longest time that one attempt on a receiver may take, up to 20s.")
        webhook = reader.value(
            "VYUHA_WEBHOOK_URL", default: useCase?.alerts.webhook, secret: true, "http or https address that gets each alert as a POST."
        ) { try Self.address($0) }
        webhookSecret = reader.optionalString(
            "VYUHA_WEBHOOK_SECRET", secret: true, "Key of the signature (HMAC-SHA-256) in the header X-Vyuha-Signature of each POST.")
        slack = reader.value("VYUHA_SLACK_URL", default: nil, secret: true, "Incoming webhook of Slack, Mattermost, Rocket.Chat.") {
            try Self.address($0)
        }
        alertmanager = reader.value("VYUHA_ALERTMANAGER_URL", default: nil, "Address of a Prometheus Alertmanager, such as http://alertmanager:9093.")
        {
            try Self.address($0)
        }
        mail = Self.mail(&reader, timeout: timeout ?? 5_000)
        outboxLimit = reader.integer(
            "VYUHA_ALERT_OUTBOX_LIMIT", default: 10_000, in: 1...1_000_000, unit: "alerts",
            "Most alerts that may wait for one receiver; beyond it no anomalies are read until some are delivered.")
        let maximumAge = reader.duration(
            "VYUHA_ALERT_MAXIMUM_AGE", default: "24h", in: 1_000...2_592_000_000,
            "How long a delivery is tried again before the alert becomes a dead letter.")
        let memory = reader.duration(
            "VYUHA_ALERT_MEMORY", default: "7d", in: 60_000...31_536_000_000,
            "How long a group without anomalies is remembered; longer than anomalies may be read again.")
        guard let useCase, let stream, let timeout, let maximumAge, let memory else { return nil }
        self.useCase = useCase
        self.stream = stream
        self.timeout = timeout
        self.maximumAge = maximumAge
        self.memory = memory
        owner = stream.common.instanceID ?? "sink-\(UInt64.random(in: 0 ... .max))"
    }

    private static func mail(_ reader: inout SettingsReader, timeout: Int) -> Mail? {
        let url = reader.value("VYUHA_SMTP_URL", default: nil, "Mail server: smtp://host:587, or smtps://host:465.") { text in
            guard text.hasPrefix("smtp://") || text.hasPrefix("smtps://"), !text.contains(where: \.isWhitespace) else {
                throw Mistake(description: "The mail server must be an address that starts with smtp:// or smtps://.")
            }
            return text
        }
        let from = reader.optionalString("VYUHA_SMTP_FROM", "Sender of the mails, such as alerts@example.org.")
        let to = reader.optionalString("VYUHA_SMTP_TO", "Recipients of the mails, separated by commas.")
        let user = reader.optionalString("VYUHA_SMTP_USER", "User name for the mail server.")
        let password = reader.optionalString("VYUHA_SMTP_PASSWORD", secret: true, "Password for the mail server.")
        let security = reader.choice(
            "VYUHA_SMTP_SECURITY", default: "required", of: SMTPSettings.Security.allCases.map(\.rawValue),
            "Whether an smtp:// connection must be secured with STARTTLS.")
        guard let url else { return nil }
        let recipients = (to ?? "").split(separator: ",").map { String($0.filter { !$0.isWhitespace }) }.filter { !$0.isEmpty }
        guard let from, from.contains("@"), !recipients.isEmpty, recipients.allSatisfy({ $0.contains("@") }) else {
            reader.reject("VYUHA_SMTP_URL needs VYUHA_SMTP_FROM and VYUHA_SMTP_TO, mail addresses.")
            return nil
        }
        return Mail(
            server: SMTPSettings(
                url: url, security: SMTPSettings.Security(rawValue: security) ?? .required, user: user, password: password, timeout: timeout),
            from: from, to: recipients)
    }

    private struct Mistake: Error, CustomStringConvertible { let description: String }

    private static func address(_ text: String) throws -> String {
        guard text.hasPrefix("http://") || text.hasPrefix("https://"), !text.contains(where: \.isWhitespace) else {
            throw Mistake(description: "The address must start with http:// or https://.")
        }
        return text
    }
}
