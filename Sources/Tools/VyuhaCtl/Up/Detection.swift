import Detectors

/// How well the run found what its labels call anomalies.
///
/// Joined by event id. Events that a label says to ignore are left out. A labelled anomaly that never got a score, because it was
/// dead-lettered or lost, counts as missed, so that refusing events cannot improve recall; a normal event without a score is left out.
/// An event without a label is normal. Without any label there is nothing to judge by, and the figures are nil.
struct Detection: Sendable, Equatable {
    var labelledAnomalies = 0
    /// Of those, never scored.
    var labelledWithoutScore = 0
    /// Scored events that were judged.
    var judged = 0
    var precision: Double?
    var recall: Double?
    var falsePositiveRate: Double?
    /// Of the ranking by score; unscored anomalies rank last.
    var averagePrecision: Double?

    init(_ account: FlowAccount) {
        var scores: [Double] = []
        var labels: [Bool] = []
        var flags: [Double] = []
        var (labelled, unscored, scored) = (0, 0, 0)
        account.table.forEach { entry in
            guard entry.marks.contains(.event), !entry.marks.contains(.ignored) else { return }
            let isAnomaly = entry.marks.contains(.labelled)
            let isScored = entry.marks.contains(.score)
            if isAnomaly { labelled += 1 }
            guard isScored || isAnomaly else { return }
            if isScored { scored += 1 } else { unscored += 1 }
            flags.append(entry.marks.contains(.flagged) ? 1 : 0)
            scores.append(isScored && entry.score.isFinite ? entry.score : -1)
            labels.append(isAnomaly)
        }
        labelledAnomalies = labelled
        labelledWithoutScore = unscored
        judged = scored
        guard labelled > 0 else { return }
        let counts = DetectionMetrics.confusion(scores: flags, labels: labels, threshold: 0.5)
        precision = counts.truePositives + counts.falsePositives > 0 ? counts.precision : nil
        recall = counts.recall
        falsePositiveRate = counts.falsePositives + counts.trueNegatives > 0 ? counts.falsePositiveRate : nil
        averagePrecision = DetectionMetrics.averagePrecision(scores: scores, labels: labels)
    }
}

/// Which values of a field a fixed cut calls anomalous.
enum CutDirection: String, Sendable, CaseIterable {
    /// Values at or above the cut.
    case up
    /// Values at or below it.
    case down
}

/// The best that a fixed cut on one field could have done on the same events, chosen with the labels in hand: an upper bound for the rule
/// that people write first. Best is the highest recall at a false-positive rate below `limit`.
struct FixedCut: Sendable, Equatable {
    /// The rate below which a detector's false alarms are bearable, as the suite's own goal states it.
    static let limit = 0.05

    var field: String
    var direction: CutDirection
    /// In the field's unit; nil when no cut stays below the limit.
    var cut: Double?
    var recall: Double
    var falsePositiveRate: Double

    /// - Returns: nil without labelled anomalies or without events that carry the field.
    init?(_ account: FlowAccount, field: String, direction: CutDirection) {
        var rows: [(value: Double, isAnomaly: Bool)] = []
        var (positives, negatives) = (0, 0)
        account.table.forEach { entry in
            let marks = entry.marks
            guard marks.contains(.event), !marks.contains(.ignored), marks.contains(.score) || marks.contains(.labelled) else { return }
            if marks.contains(.labelled) { positives += 1 } else { negatives += 1 }
            // An event without the field is never beyond a cut, but it counts.
            if !entry.field.isNaN { rows.append((direction == .up ? entry.field : -entry.field, marks.contains(.labelled))) }
        }
        guard positives > 0, negatives > 0, !rows.isEmpty else { return nil }
        rows.sort { $0.value > $1.value }
        self.field = field
        self.direction = direction
        recall = 0
        falsePositiveRate = 0
        var (found, wrong) = (0, 0)
        for index in rows.indices {
            if rows[index].isAnomaly { found += 1 } else { wrong += 1 }
            if index + 1 < rows.count, rows[index + 1].value == rows[index].value { continue }
            let rate = Double(wrong) / Double(negatives)
            guard rate < Self.limit else { break }
            if Double(found) / Double(positives) > recall {
                recall = Double(found) / Double(positives)
                falsePositiveRate = rate
                cut = direction == .up ? rows[index].value : -rows[index].value
            }
        }
    }
}
