import Alerting
import Contracts
import JSON
import ServiceKit
import UseCases

/// Puts a message into words, by the templates of the use case.
struct AlertText: Sendable {
    /// Most features that `{top_features}` names.
    private static let mostFeatures = 3
    /// A feature that explains less than this share of the score is not worth a reader's time.
    private static let leastShare = 0.1

    private let useCase: String
    private let section: AlertsSection

    init(_ useCase: UseCase) {
        self.useCase = useCase.name
        section = useCase.alerts
    }

    /// The record of a message, or nil where its anomaly cannot be read, which the stage `decode` has made impossible.
    func record(_ notice: Notice) -> AlertRecord? {
        let group = notice.group
        guard let anomaly = try? Anomaly(parsing: group.evidence, 0..<group.evidence.count) else { return nil }
        var record = AlertRecord(
            id: notice.id, alert: group.alertID, event: notice.occasion.rawValue, severity: group.severity.name, group: group.name, title: "",
            text: "", raisedBy: group.firstID, since: group.since, last: group.last, anomalies: group.anomalies, suppressed: group.suppressed,
            alertedAt: notice.at, acknowledgedBy: group.acknowledgedBy, anomaly: anomaly)
        if notice.occasion == .capped || notice.occasion == .heldBack {
            record.suppressed = Int64(notice.held)
            (record.title, record.text) = aboutTheCap(notice)
        } else {
            record.title = Self.prefix(notice.occasion) + render(section.title, record)
            record.text = render(notice.occasion == .resolved ? section.resolved : section.text, record)
        }
        return record
    }

    /// The body of a receiver that has a template of its own.
    func payload(_ receiver: String, _ record: AlertRecord) -> [UInt8]? {
        section.payloads[receiver].map { template in
            Array(template.render { Self.escaped(value($0, of: record)) }.utf8)
        }
    }

    private func render(_ template: AlertTemplate, _ record: AlertRecord) -> String { template.render { value($0, of: record) } }

    /// So that the words of the use case need not be written once for each occasion.
    private static func prefix(_ occasion: Occasion) -> String {
        switch occasion {
        case .updated: "Still going on: "
        case .repeated: "Still open: "
        case .escalated: "Nobody has acknowledged: "
        case .resolved: "Resolved: "
        case .acknowledged: "Acknowledged: "
        case .snoozed: "Snoozed: "
        case .opened, .capped, .heldBack: ""
        }
    }

    private func aboutTheCap(_ notice: Notice) -> (title: String, text: String) {
        let cap = section.policy.capPerHour
        if notice.occasion == .capped {
            return (
                "\(useCase): alerts are held back",
                "\(cap) messages were told in this hour, which is the most. Further ones wait for the next hour; the first is about \(notice.group.name)."
            )
        }
        return (
            "\(useCase): \(notice.held) messages were held back",
            "The cap of \(cap) messages an hour held back \(notice.held) in the hour that is over, among them one about \(notice.group.name). "
                + "Alerts that are still open are told now."
        )
    }

    private func value(_ placeholder: AlertPlaceholder, of record: AlertRecord) -> String {
        let anomaly = record.anomaly
        return switch placeholder {
        case .id: anomaly.id
        case .useCase: useCase
        case .entity: anomaly.entity
        case .score: Self.number(anomaly.score, digits: 3)
        case .confidence: Self.number(anomaly.confidence, digits: 2)
        case .status: anomaly.status
        case .eventTime: Clock.iso8601(milliseconds: anomaly.eventTime)
        case .topFeatures: Self.topFeatures(of: anomaly)
        case .model: anomaly.model
        case .version: "\(anomaly.version)"
        case .severity: record.severity
        case .type: anomaly.anomalyType ?? anomaly.set
        case .since: Clock.iso8601(milliseconds: record.since)
        case .last: Clock.iso8601(milliseconds: record.last)
        case .anomalies: "\(record.anomalies)"
        case .suppressed: "\(record.suppressed)"
        case .alert: record.alert
        case .event: record.event
        case .title: record.title
        case .text: record.text
        case .feature(let name):
            anomaly.features.first { $0.name == name }?.actual.map { Self.number($0, digits: 4) } ?? "missing"
        }
    }

    /// As it stands between the quotes of a JSON string.
    private static func escaped(_ text: String) -> String {
        var writer = JSONWriter(capacity: 64)
        writer.value(text)
        return String(writer.text.dropFirst().dropLast())
    }

    /// `fare_per_mile 41.2 (expected 3.1), speed_mph 0.4 (expected 11)`: what explains most first.
    static func topFeatures(of anomaly: Anomaly) -> String {
        let ranked = anomaly.features.sorted { $0.contribution.magnitude > $1.contribution.magnitude }
        let telling = ranked.filter { $0.contribution.magnitude >= leastShare }.prefix(mostFeatures)
        let words = (telling.isEmpty ? ranked.prefix(1) : telling).map { feature in
            let actual = feature.actual.map { number($0, digits: 4) } ?? "missing"
            let expected = feature.expected.map { " (expected \(number($0, digits: 4)))" } ?? ""
            return "\(feature.name) \(actual)\(expected)"
        }
        return words.isEmpty ? "no single feature" : words.joined(separator: ", ")
    }

    /// Rounded to so many significant digits; digits in front of the decimal point are never rounded away.
    static func number(_ value: Double, digits: Int) -> String {
        guard value.isFinite, value != 0 else { return value == 0 ? "0" : "\(value)" }
        var scale = 1.0
        var magnitude = value.magnitude
        let target = (1..<digits).reduce(1.0) { power, _ in power * 10 }
        while magnitude < target, scale < 1e15 {
            magnitude *= 10
            scale *= 10
        }
        return NumberText.string((value * scale).rounded() / scale)
    }
}
