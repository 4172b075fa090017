import JSON
import Quality

/// How well a run found what its labels call anomalies: by event, by episode, and beside a fixed cut. `vyuhactl up` reports it from what it saw,
/// `vyuhactl quality` from what `--record` wrote.
struct Judgement: Sendable {
    let detection: Detection
    let quality: QualityFigures
    let baseline: FixedCut?

    init(_ account: FlowAccount, _ quality: QualityFigures, baseline: (path: String, field: String, direction: CutDirection)?) {
        detection = Detection(account)
        self.quality = quality
        self.baseline = baseline.flatMap { FixedCut(account, field: $0.field, direction: $0.direction) }
    }

    // MARK: For machines

    /// `detection`, `episodes` and `baseline` of the report.
    var members: [JSONMember] {
        let detected = JSONMember(
            "detection",
            .object([
                JSONMember("labelled_anomalies", .integer(Int64(detection.labelledAnomalies))),
                JSONMember("labelled_without_score", .integer(Int64(detection.labelledWithoutScore))),
                JSONMember("judged_events", .integer(Int64(detection.judged))),
                JSONMember("precision", .rounded(detection.precision, 6)), JSONMember("recall", .rounded(detection.recall, 6)),
                JSONMember("false_positive_rate", .rounded(detection.falsePositiveRate, 6)),
                JSONMember("average_precision", .rounded(detection.averagePrecision, 6)),
            ]))
        return [detected, JSONMember("episodes", qualityJSON), JSONMember("baseline", baseline.map(fixedCut) ?? .null)]
    }

    /// By episode: what people would have been told, against what was the matter.
    private var qualityJSON: JSONValue {
        .object([
            JSONMember("episodes", .integer(Int64(quality.episodes))), JSONMember("found", .integer(Int64(quality.found))),
            JSONMember("recall", .rounded(quality.recall, 6)), JSONMember("alerts", .integer(Int64(quality.alerts))),
            JSONMember("false_alerts", .integer(Int64(quality.falseAlerts))), JSONMember("precision", .rounded(quality.precision, 6)),
            JSONMember("entity_days", .rounded(quality.entityDays, 6)),
            JSONMember("false_alerts_per_entity_day", .rounded(quality.falseAlertsPerEntityDay, 6)),
            JSONMember(
                "delay_seconds",
                .object([
                    JSONMember("p50", .rounded(quality.delay(quantile: 0.5), 3)), JSONMember("p90", .rounded(quality.delay(quantile: 0.9), 3)),
                ])),
            JSONMember(
                "kinds",
                .array(
                    quality.kinds.map { kind in
                        .object([
                            JSONMember("kind", .string(kind.name)), JSONMember("episodes", .integer(Int64(kind.episodes))),
                            JSONMember("found", .integer(Int64(kind.found))),
                            JSONMember("recall", .rounded(Double(kind.found) / Double(max(1, kind.episodes)), 6)),
                        ])
                    })),
        ])
    }

    private func fixedCut(_ cut: FixedCut) -> JSONValue {
        .object([
            JSONMember("field", .string(cut.field)), JSONMember("direction", .string(cut.direction.rawValue)),
            JSONMember("cut", .rounded(cut.cut, 6)), JSONMember("recall", .rounded(cut.recall, 6)),
            JSONMember("false_positive_rate", .rounded(cut.falsePositiveRate, 6)),
        ])
    }

    // MARK: For people

    var lines: [String] {
        typealias View = StatusView
        var lines: [String] = []
        if let recall = detection.recall {
            let share: (Double?) -> String = { $0.map { View.decimal($0, 3) } ?? "-" }
            lines.append(
                View.pad("detection", 18) + "\(View.grouped(detection.labelledAnomalies)) labelled   recall \(share(recall))"
                    + "   false-positive rate \(share(detection.falsePositiveRate))")
            lines.append(
                View.pad("", 18) + "precision \(share(detection.precision))   average precision \(share(detection.averagePrecision))")
        } else {
            lines.append(View.pad("detection", 18) + "no labelled anomaly in this run")
        }
        lines += qualityTable
        if let baseline {
            let sign = baseline.direction == .up ? "≥" : "≤"
            let cut = baseline.cut.map { "\(baseline.field) \(sign) \(NumberText.string($0))" } ?? "no cut on \(baseline.field)"
            lines.append(
                View.pad("best fixed cut", 18)
                    + "\(cut)   recall \(View.decimal(baseline.recall, 3))   false-positive rate \(View.decimal(baseline.falsePositiveRate, 3))"
            )
        }
        return lines
    }

    /// Nothing without labels.
    private var qualityTable: [String] {
        typealias View = StatusView
        guard let recall = quality.recall else { return [] }
        let precision = quality.precision.map { View.decimal($0, 3) } ?? "-"
        var lines = [
            View.pad("by episode", 18) + "\(View.grouped(quality.found)) of \(View.grouped(quality.episodes)) found (\(View.decimal(recall, 3)))"
                + "   precision of alerts \(precision)"
        ]
        if let falseAlerts = quality.falseAlertsPerEntityDay {
            let delay = quality.delay(quantile: 0.5).map { "   median delay \(View.decimal($0, 1)) s" } ?? ""
            lines.append(View.pad("", 18) + "\(View.decimal(falseAlerts, 2)) false alerts an entity and day" + delay)
        }
        if quality.kinds.count > 1 {
            for kind in quality.kinds {
                lines.append(View.pad("", 18) + "\(kind.name): \(View.grouped(kind.found)) of \(View.grouped(kind.episodes))")
            }
        }
        return lines
    }
}

extension JSONValue {
    /// Rounded to that many decimals; nil and NaN are null.
    static func rounded(_ value: Double?, _ digits: Int) -> JSONValue {
        guard let value, value.isFinite else { return .null }
        var factor = 1.0
        for _ in 0..<digits { factor *= 10 }
        return .number((value * factor).rounded() / factor)
    }
}
