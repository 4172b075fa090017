import Detectors
import Glibc

/// How a model does on the newest rows: of two models the one to trust with the next ones.
struct Validation: Sendable {
    /// Rows that were judged.
    let rows: Int
    /// Share of them that alerted, and the share of normal rows that the threshold means to let alert.
    let alertShare: Double
    let expectedShare: Double
    /// Where labels of both kinds are known.
    let averagePrecision: Double?

    init(rows: Int, alertShare: Double, expectedShare: Double, averagePrecision: Double?) {
        self.rows = rows
        self.alertShare = alertShare
        self.expectedShare = expectedShare
        self.averagePrecision = averagePrecision
    }

    /// - Parameters:
    ///   - newest: the rows to judge by, all later than `before`.
    ///   - before: what the entities did until then.
    ///   - labels: as `TrainingTable.Rows.labels`, one for each of the newest rows, or empty.
    init(_ model: TrainedModel, newest: ScoringTable, after before: ScoringTable, labels: [Int8]) {
        let result = FileScorer.score(newest, with: model, after: before)
        let judged = labels.isEmpty ? Array(result.flags.indices) : labels.indices.filter { labels[$0] >= 0 }
        rows = judged.count
        alertShare = Double(judged.count { result.flags[$0] }) / Double(max(rows, 1))
        expectedShare = model.threshold.probability
        let truth = labels.isEmpty ? [] : judged.map { labels[$0] == 1 }
        averagePrecision =
            truth.contains(true) && truth.contains(false)
            ? DetectionMetrics.averagePrecision(scores: judged.map { result.scores[$0] }, labels: truth) : nil
    }

    /// With labels: found less precisely. Without: the model alerts further from the share that its threshold promises, by more than a
    /// half; a model that fits the newest rows neither floods nor falls silent.
    func isWorse(than other: Validation) -> Bool {
        if let own = averagePrecision, let its = other.averagePrecision { return own < its - 0.01 }
        return unrest > other.unrest + log(1.5)
    }

    /// How far the share of alerts is from the promised one, as a ratio's logarithm; one row more or less never counts.
    private var unrest: Double {
        let one = 1 / Double(max(rows, 1))
        return abs(log((alertShare + one) / (expectedShare + one)))
    }

    var facts: [String: String] {
        var facts = ["validation_rows": "\(rows)", "validation_alert_share": "\(alertShare)", "validation_expected_share": "\(expectedShare)"]
        if let averagePrecision { facts["validation_average_precision"] = "\(averagePrecision)" }
        return facts
    }

    var sentence: String {
        if let averagePrecision { return "average precision \(averagePrecision) on the newest \(rows) rows" }
        return "alerts on \(alertShare) of the newest \(rows) rows, promised \(expectedShare)"
    }
}
