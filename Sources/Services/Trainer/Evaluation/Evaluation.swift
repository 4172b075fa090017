import Detectors
import JSON
import ServiceKit

/// Every figure about a set of scores.
struct Evaluation {
    /// Where the threshold comes from.
    enum ThresholdOrigin: String {
        case given
        /// The rows' own is_anomaly.
        case scores
        /// The best F1 on these very rows: the figures at it flatter.
        case bestF1 = "best F1 on these rows"
    }

    /// Rows that alert on one calendar day (UTC).
    struct Day {
        var date: String
        var rightly = 0
        var wrongly = 0
    }

    let rows: Int
    let ignored: Int
    let anomalies: Int
    /// NaN without both kinds of rows.
    let rocAUC: Double
    /// NaN without anomalies.
    let averagePrecision: Double
    let best: (f1: Double, threshold: Double)
    let threshold: Double
    let origin: ThresholdOrigin
    let confusion: DetectionMetrics.Confusion
    let events: DetectionMetrics.EventResult
    /// From the first day of the file to its last; empty without dates, or when there are more than 20,000 days.
    let days: [Day]

    init(_ data: LabelledScores, threshold given: Double?) {
        rows = data.scores.count
        ignored = data.ignored
        anomalies = data.labels.count { $0 }
        rocAUC = DetectionMetrics.rocAUC(scores: data.scores, labels: data.labels)
        averagePrecision = DetectionMetrics.averagePrecision(scores: data.scores, labels: data.labels)
        best = Self.bestF1(data)
        if let given {
            (threshold, origin) = (given, .given)
        } else if !data.flags.isEmpty {
            let alerting = zip(data.scores, data.flags).filter(\.1).map(\.0)
            // Without any alert the cut lies somewhere above all scores.
            (threshold, origin) = (alerting.min() ?? (data.scores.max() ?? 1).nextUp, .scores)
        } else {
            (threshold, origin) = (best.threshold, .bestF1)
        }
        confusion = DetectionMetrics.confusion(scores: data.scores, labels: data.labels, threshold: threshold)
        events = DetectionMetrics.events(scores: data.scores, labels: data.labels, threshold: threshold)
        days = Self.days(data, threshold)
    }

    /// The largest F1 that any threshold reaches, and the highest threshold that does.
    private static func bestF1(_ data: LabelledScores) -> (f1: Double, threshold: Double) {
        let order = data.scores.indices.sorted { data.scores[$0] > data.scores[$1] }
        let positives = data.labels.count { $0 }
        var best = (f1: 0.0, threshold: 1.0)
        var found = 0
        for (place, row) in order.enumerated() {
            if data.labels[row] { found += 1 }
            // Equal scores alert together.
            if place + 1 < order.count, data.scores[order[place + 1]] == data.scores[row] { continue }
            let f1 = 2 * Double(found) / Double(place + 1 + positives)
            if f1 > best.f1 { best = (f1, data.scores[row]) }
        }
        return best
    }

    private static let dayLength: Int64 = 86_400_000

    private static func days(_ data: LabelledScores, _ threshold: Double) -> [Day] {
        func number(_ time: Int64) -> Int64 { time >= 0 ? time / dayLength : (time - dayLength + 1) / dayLength }
        guard let first = data.times.min().map(number), let last = data.times.max().map(number), last - first < 20_000 else { return [] }
        var days = (first...last).map { Day(date: String(Clock.iso8601(milliseconds: $0 * dayLength).prefix(10))) }
        for (row, time) in data.times.enumerated() where data.scores[row] >= threshold {
            let day = Int(number(time) - first)
            if data.labels[row] { days[day].rightly += 1 } else { days[day].wrongly += 1 }
        }
        return days
    }

    /// Mean over all days; nil without dates.
    var alertsPerDay: Double? {
        days.isEmpty ? nil : Double(confusion.truePositives + confusion.falsePositives) / Double(days.count)
    }

    func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("rows")
        writer.value(rows)
        writer.key("ignored")
        writer.value(ignored)
        writer.key("anomalies")
        writer.value(anomalies)
        figure("roc_auc", rocAUC, &writer)
        figure("average_precision", averagePrecision, &writer)
        writer.key("best_f1")
        writer.beginObject()
        figure("f1", best.f1, &writer)
        figure("threshold", best.threshold, &writer)
        writer.endObject()
        writer.key("at_threshold")
        writer.beginObject()
        figure("threshold", threshold, &writer)
        writer.key("origin")
        writer.value(origin.rawValue)
        figure("precision", confusion.precision, &writer)
        figure("recall", confusion.recall, &writer)
        figure("f1", confusion.f1, &writer)
        figure("false_positive_rate", confusion.falsePositiveRate, &writer)
        for (name, count) in [
            ("true_positives", confusion.truePositives), ("false_positives", confusion.falsePositives),
            ("false_negatives", confusion.falseNegatives), ("true_negatives", confusion.trueNegatives), ("events", events.events),
            ("events_found", events.found), ("false_alarms", events.falseAlarms),
        ] {
            writer.key(name)
            writer.value(count)
        }
        figure("event_recall", events.recall, &writer)
        figure("median_delay_rows", events.medianDelay ?? .nan, &writer)
        figure("alerts_per_day", alertsPerDay ?? .nan, &writer)
        writer.endObject()
        writer.key("days")
        writer.beginArray()
        for day in days {
            writer.beginObject()
            writer.key("date")
            writer.value(day.date)
            writer.key("alerts")
            writer.value(day.rightly + day.wrongly)
            writer.key("false_alerts")
            writer.value(day.wrongly)
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
    }

    /// NaN and infinities become null.
    private func figure(_ name: StaticString, _ value: Double, _ writer: inout JSONWriter) {
        writer.key(name)
        writer.value(value)
    }
}
