/// How the alert threshold is stated.
public enum ThresholdRule: Sendable, Equatable {
    /// The share of training-like rows that should alert, above 0 and at most 0.5.
    case contamination(Double)
    /// A plain cut on the score, 0...1.
    case score(Double)
    /// Alerts per entity and day that normal rows may raise; needs the number of events per entity and day.
    case falseAlerts(perEntityPerDay: Double)
}

/// The cut that a rule comes to, stated in every way that a user may ask for.
public struct Threshold: Sendable, Equatable {
    public let rule: ThresholdRule
    /// A row whose score is at least this is anomalous.
    public let score: Double
    /// Share of normal rows at or above it.
    public let probability: Double
    /// Expected false alerts of one entity in a day; nil where the event rate is not known.
    public let falseAlertsPerEntityPerDay: Double?

    /// Throws `.parameter` where the rule is out of range or the event rate it needs is missing.
    public init(_ rule: ThresholdRule, eventsPerEntityPerDay: Double? = nil) throws(DetectorError) {
        if let rate = eventsPerEntityPerDay, !(rate > 0 && rate.isFinite) {
            throw DetectorError(.parameter, "The number of events per entity and day must be above 0.")
        }
        switch rule {
        case .contamination(let share):
            guard share > 0, share <= 0.5 else {
                throw DetectorError(.parameter, "The contamination must be above 0 and at most 0.5, not \(share).")
            }
            score = Calibration.score(pValue: share)
            probability = share
        case .score(let cut):
            guard (0...1).contains(cut) else { throw DetectorError(.parameter, "The score threshold must lie in 0...1, not \(cut).") }
            score = cut
            probability = Calibration.pValue(score: cut)
        case .falseAlerts(let alerts):
            guard let rate = eventsPerEntityPerDay else {
                throw DetectorError(
                    .parameter, "A threshold in false alerts per entity and day needs the number of events per entity and day.")
            }
            guard alerts > 0, alerts <= rate else {
                throw DetectorError(
                    .parameter, "The false alerts per entity and day must be above 0 and at most the \(rate) events of a day.")
            }
            probability = alerts / rate
            score = Calibration.score(pValue: alerts / rate)
        }
        self.rule = rule
        if let rate = eventsPerEntityPerDay {
            falseAlertsPerEntityPerDay = rate * probability
        } else {
            falseAlertsPerEntityPerDay = nil
        }
    }

    private init(rule: ThresholdRule, score: Double, probability: Double, falseAlertsPerEntityPerDay: Double?) {
        self.rule = rule
        self.score = score
        self.probability = probability
        self.falseAlertsPerEntityPerDay = falseAlertsPerEntityPerDay
    }

    func encode(into writer: inout StateWriter) {
        writer.write(UInt8(1))
        switch rule {
        case .contamination(let value):
            writer.write(UInt8(0))
            writer.write(value)
        case .score(let value):
            writer.write(UInt8(1))
            writer.write(value)
        case .falseAlerts(let value):
            writer.write(UInt8(2))
            writer.write(value)
        }
        writer.write(score)
        writer.write(probability)
        writer.write(falseAlertsPerEntityPerDay != nil)
        writer.write(falseAlertsPerEntityPerDay ?? 0)
    }

    init(from reader: inout StateReader) throws(DetectorError) {
        try reader.version(1, of: "threshold")
        let tag = try reader.byte()
        let value = try reader.finite()
        let rule: ThresholdRule
        switch tag {
        case 0: rule = .contamination(value)
        case 1: rule = .score(value)
        case 2: rule = .falseAlerts(perEntityPerDay: value)
        default: throw reader.damaged("a threshold rule is unknown")
        }
        let score = try reader.finite()
        let probability = try reader.finite()
        let known = try reader.flag()
        let alerts = try reader.finite()
        guard (0...1).contains(score), (0...1).contains(probability), alerts >= 0 else {
            throw reader.damaged("a threshold is out of range")
        }
        self.init(rule: rule, score: score, probability: probability, falseAlertsPerEntityPerDay: known ? alerts : nil)
    }
}
