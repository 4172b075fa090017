import Contracts
import JSON
import ServiceKit

/// Gives each message to a Prometheus Alertmanager, as the alert of its group
/// ([API v2](https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml)): equal labels are the same alert there, so a repeated delivery changes
/// nothing.
///
/// Alertmanager resolves by itself what it does not hear of for long, so each message says until when the alert holds at least.
final class AlertmanagerReceiver: AlertReceiver {
    static let kind = ReceiverKind(name: "alertmanager", isWanted: { $0.alertmanager != nil }) { settings, _ in
        let policy = settings.useCase.alerts.policy
        return try AlertmanagerReceiver(
            url: settings.alertmanager ?? "", timeout: settings.timeout, useCase: settings.useCase.name,
            holds: max(policy.repeatInterval, policy.resolveAfter) + 5 * 60_000)
    }

    let name = "alertmanager"
    private let http: HTTPReceiver
    private let useCase: String
    private let holds: Int64

    /// - Parameter holds: how long an open alert is to be kept after its latest message, milliseconds.
    init(url: String, timeout: Int, useCase: String, holds: Int64) throws {
        let base = url.hasSuffix("/") ? String(url.dropLast()) : url
        http = try HTTPReceiver("Alertmanager", url: base + "/api/v2/alerts", timeout: timeout)
        self.useCase = useCase
        self.holds = holds
    }

    func deliver(_ alert: AlertRecord, _ entry: OutboxEntry, shouldContinue: () -> Bool) throws(DeliveryFailure) {
        try http.post(body(alert), shouldContinue: shouldContinue)
    }

    func close() {}

    func body(_ alert: AlertRecord) -> [UInt8] {
        let isAboutTheCap = alert.event == "capped" || alert.event == "held_back"
        // The labels are the identity: nothing in them changes while the alert lasts.
        let labels: JSONValue = [
            "alertname": .string(isAboutTheCap ? "VyuhaAlertsHeldBack" : "VyuhaAnomaly"), "use_case": .string(useCase),
            "group": .string(isAboutTheCap ? useCase : alert.group),
        ]
        let annotations: JSONValue = [
            "summary": .string(alert.title), "description": .string(alert.text), "severity": .string(alert.severity), "alert": .string(alert.alert),
            "entity": .string(alert.anomaly.entity), "score": .string("\(alert.anomaly.score)"), "anomalies": .string("\(alert.anomalies)"),
            "model": .string("\(alert.anomaly.model) version \(alert.anomaly.version)"),
        ]
        let begin = min(alert.since, alert.alertedAt)
        let end = alert.isResolved ? max(alert.alertedAt, begin + 1) : alert.alertedAt + holds
        let value: JSONValue = [
            [
                "labels": labels, "annotations": annotations, "startsAt": .string(Clock.iso8601(milliseconds: begin)),
                "endsAt": .string(Clock.iso8601(milliseconds: end)),
            ]
        ]
        return value.serialized
    }
}
