import Contracts
import JSON
import ServiceKit
import UseCases

/// Puts an anomaly into words, by the templates of the use case.
struct AlertText: Sendable {
    /// Most features that `{top_features}` names.
    private static let mostFeatures = 3
    /// A feature that explains less than this share of the score is not worth a reader's time.
    private static let leastShare = 0.1

    private let useCase: String
    private let title: AlertTemplate
    private let text: AlertTemplate

    init(_ useCase: UseCase) {
        self.useCase = useCase.name
        title = useCase.alerts.title
        text = useCase.alerts.text
    }

    func alert(_ anomaly: Anomaly, admittedAt: Int64, suppressed: Int64) -> AlertRecord {
        AlertRecord(
            group: anomaly.entity, title: title.render { value($0, of: anomaly) }, text: text.render { value($0, of: anomaly) },
            alertedAt: admittedAt, suppressed: suppressed, anomaly: anomaly)
    }

    private func value(_ placeholder: AlertPlaceholder, of anomaly: Anomaly) -> String {
        switch placeholder {
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
        case .feature(let name):
            anomaly.features.first { $0.name == name }?.actual.map { Self.number($0, digits: 4) } ?? "missing"
        }
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
