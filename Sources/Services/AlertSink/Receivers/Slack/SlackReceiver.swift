import Contracts
import JSON
import ServiceKit

/// Posts each message to an incoming webhook as Slack understands it, and with it Mattermost and Rocket.Chat
/// ([reference](https://api.slack.com/messaging/webhooks)). The use case may have a payload of its own.
final class SlackReceiver: AlertReceiver {
    static let kind = ReceiverKind(name: "slack", isWanted: { $0.slack != nil }) { settings, _ in
        let text = AlertText(settings.useCase)
        return try SlackReceiver(url: settings.slack ?? "", timeout: settings.timeout) { text.payload("slack", $0) ?? body($0) }
    }

    let name = "slack"
    private let http: HTTPReceiver
    private let payload: (AlertRecord) -> [UInt8]

    init(url: String, timeout: Int, payload: @escaping (AlertRecord) -> [UInt8] = body) throws {
        http = try HTTPReceiver("Slack", url: url, timeout: timeout)
        self.payload = payload
    }

    func deliver(_ alert: AlertRecord, _ entry: OutboxEntry, shouldContinue: () -> Bool) throws(DeliveryFailure) {
        try http.post(payload(alert), shouldContinue: shouldContinue)
    }

    func close() {}

    /// A line for the notification, and the message with the colour of its urgency.
    static func body(_ alert: AlertRecord) -> [UInt8] {
        let colour = alert.isResolved ? "good" : alert.severity == "critical" ? "danger" : "warning"
        func field(_ title: String, _ value: String) -> JSONValue { ["title": .string(title), "value": .string(escaped(value)), "short": true] }
        let value: JSONValue = [
            "text": .string(escaped(alert.title)),
            "attachments": [
                [
                    "color": .string(colour), "text": .string(escaped(alert.text)), "fallback": .string(escaped(alert.title)),
                    "ts": .integer(alert.alertedAt / 1_000),
                    "footer": .string(escaped("\(alert.id), \(alert.anomaly.model) version \(alert.anomaly.version)")),
                    "fields": [
                        field("Entity", alert.anomaly.entity), field("Severity", alert.severity),
                        field("Since", Clock.iso8601(milliseconds: alert.since)), field("Anomalies", "\(alert.anomalies)"),
                    ],
                ]
            ],
        ]
        return value.serialized
    }

    /// What Slack's markup wants escaped, so that no entity's name can call people or make a link.
    static func escaped(_ text: String) -> String {
        text.reduce(into: "") { result, character in
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            default: result.append(character)
            }
        }
    }
}
