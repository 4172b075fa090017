import Contracts
import HTTPClient
import ServiceKit

/// Sends each message as a mail. Its `Message-ID` is made from the message's id, so a repeated delivery is the same mail; those of one alert
/// are one thread.
final class SMTPReceiver: AlertReceiver {
    static let kind = ReceiverKind(name: "smtp", isWanted: { $0.mail != nil }) { settings, _ in
        guard let mail = settings.mail else { throw DeliveryFailure(kind: .refused, message: "There is no mail server.") }
        return try SMTPReceiver(mail, useCase: settings.useCase.name)
    }

    let name = "smtp"
    private let client: SMTPClient
    private let mail: AlertSinkSettings.Mail
    private let useCase: String

    init(_ mail: AlertSinkSettings.Mail, useCase: String) throws {
        client = try SMTPClient(mail.server)
        self.mail = mail
        self.useCase = useCase
    }

    func deliver(_ alert: AlertRecord, _ entry: OutboxEntry, shouldContinue: () -> Bool) throws(DeliveryFailure) {
        do throws(SMTPError) {
            try client.send(message(alert), shouldContinue: shouldContinue)
        } catch {
            switch error.kind {
            case .stopped: throw DeliveryFailure(kind: .stopped, message: error.message)
            case .unreachable: throw DeliveryFailure(kind: .away, message: error.message)
            case .later: throw DeliveryFailure(kind: .overloaded, message: error.message)
            case .refused: throw DeliveryFailure(kind: .refused, message: error.message)
            }
        }
    }

    func close() {}

    func message(_ alert: AlertRecord) -> MailMessage {
        // Names come from data: a control character in them must not end a header.
        func line(_ text: String) -> String { String(text.map { $0.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F } ? $0 : " " }) }
        let domain = mail.from.split(separator: "@").last.map(String.init) ?? "localhost"
        func identity(_ id: String) -> String { "<" + id.map { $0 == "/" ? "." : $0 } + "." + useCase + "@" + domain + ">" }
        var headers = [
            HTTPHeader("Subject", line("[\(alert.severity)] \(alert.title)")), HTTPHeader("Message-ID", identity(alert.id)),
            HTTPHeader("Date", Self.date(alert.alertedAt)), HTTPHeader("Auto-Submitted", "auto-generated"),
        ]
        if !alert.id.hasSuffix("/1") { headers.append(HTTPHeader("References", identity(alert.alert + "/1"))) }
        let anomaly = alert.anomaly
        var lines = [
            alert.text, "", "Entity: \(anomaly.entity)", "Since: \(Clock.iso8601(milliseconds: alert.since))",
            "Latest: \(Clock.iso8601(milliseconds: alert.last))", "Anomalies: \(alert.anomalies)",
            "Score: \(AlertText.number(anomaly.score, digits: 3)), confidence \(AlertText.number(anomaly.confidence, digits: 2))", "",
        ]
        for feature in anomaly.features {
            let actual = feature.actual.map { AlertText.number($0, digits: 4) } ?? "missing"
            let expected = feature.expected.map { AlertText.number($0, digits: 4) } ?? "unknown"
            lines.append("\(feature.name): \(actual), expected \(expected), contribution \(AlertText.number(feature.contribution, digits: 2))")
        }
        lines += ["", "Alert \(alert.alert), anomaly \(anomaly.id), \(anomaly.model) version \(anomaly.version)"]
        return MailMessage(from: mail.from, to: mail.to, headers: headers, text: lines.joined(separator: "\r\n"))
    }

    /// `Sat, 21 Nov 2026 13:00:00 +0000` (RFC 5322, 3.3).
    static func date(_ milliseconds: Int64) -> String {
        let text = Clock.iso8601(milliseconds: milliseconds)
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let parts = text.prefix(10).split(separator: "-")
        guard parts.count == 3, let month = Int(parts[1]), months.indices.contains(month - 1) else { return text }
        return "\(parts[2]) \(months[month - 1]) \(parts[0]) \(text.dropFirst(11).prefix(8)) +0000"
    }
}
