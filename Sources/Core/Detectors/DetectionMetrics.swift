/// How well scores find labelled anomalies. Every function is of its arguments only; labels and scores have the same count, in row order.
public enum DetectionMetrics {
    /// Counts at one threshold.
    public struct Confusion: Sendable, Equatable {
        public var truePositives = 0
        public var falsePositives = 0
        public var trueNegatives = 0
        public var falseNegatives = 0

        /// 0 where nothing alerts.
        public var precision: Double { ratio(truePositives, truePositives + falsePositives) }
        /// 0 where there is nothing to find.
        public var recall: Double { ratio(truePositives, truePositives + falseNegatives) }
        public var f1: Double { ratio(2 * truePositives, 2 * truePositives + falsePositives + falseNegatives) }
        public var falsePositiveRate: Double { ratio(falsePositives, falsePositives + trueNegatives) }

        private func ratio(_ part: Int, _ whole: Int) -> Double { whole == 0 ? 0 : Double(part) / Double(whole) }
    }

    /// What became of each event, a run of anomalous rows.
    public struct EventResult: Sendable, Equatable {
        public var events = 0
        public var found = 0
        /// Median of the rows from an event's start to its first alert, over found events; nil where none is found.
        public var medianDelay: Double?
        /// Runs of alerting normal rows.
        public var falseAlarms = 0
        /// Found events as a share; NaN without events.
        public var recall: Double { Double(found) / Double(events) }
    }

    /// Area under the ROC curve: the chance that an anomaly scores above a normal row, ties counting half. NaN without both kinds.
    public static func rocAUC(scores: [Double], labels: [Bool]) -> Double {
        let positives = labels.count { $0 }
        let negatives = labels.count - positives
        guard positives > 0, negatives > 0 else { return .nan }
        let order = scores.indices.sorted { scores[$0] < scores[$1] }
        var rankSum = 0.0
        var start = 0
        while start < order.count {
            var end = start
            while end + 1 < order.count, scores[order[end + 1]] == scores[order[start]] { end += 1 }
            let rank = Double(start + end + 2) / 2
            for position in start...end where labels[order[position]] { rankSum += rank }
            start = end + 1
        }
        return (rankSum - Double(positives) * Double(positives + 1) / 2) / (Double(positives) * Double(negatives))
    }

    /// Sum of precision times gain in recall down the ranking, equal scores taken together. NaN without anomalies.
    public static func averagePrecision(scores: [Double], labels: [Bool]) -> Double {
        let positives = labels.count { $0 }
        guard positives > 0 else { return .nan }
        var sum = 0.0
        var before = 0
        for point in ranking(scores, labels) {
            sum += Double(point.found - before) / Double(positives) * Double(point.found) / Double(point.taken)
            before = point.found
        }
        return sum
    }

    /// Counts where rows with a score of at least `threshold` alert.
    public static func confusion(scores: [Double], labels: [Bool], threshold: Double) -> Confusion {
        var result = Confusion()
        for (score, label) in zip(scores, labels) {
            switch (score >= threshold, label) {
            case (true, true): result.truePositives += 1
            case (true, false): result.falsePositives += 1
            case (false, true): result.falseNegatives += 1
            case (false, false): result.trueNegatives += 1
            }
        }
        return result
    }

    /// Events found: an event is a run of anomalous rows, found when any of its rows alerts. No credit is given for the rows around it.
    public static func events(scores: [Double], labels: [Bool], threshold: Double) -> EventResult {
        var result = EventResult()
        var delays: [Double] = []
        var start: Int?
        var isFound = false
        var inFalseAlarm = false
        for row in labels.indices {
            let alerts = scores[row] >= threshold
            if labels[row] {
                inFalseAlarm = false
                if start == nil {
                    start = row
                    isFound = false
                    result.events += 1
                }
                if alerts, !isFound, let start {
                    isFound = true
                    result.found += 1
                    delays.append(Double(row - start))
                }
            } else {
                start = nil
                if alerts, !inFalseAlarm { result.falseAlarms += 1 }
                inFalseAlarm = alerts
            }
        }
        result.medianDelay = delays.isEmpty ? nil : median(delays)
        return result
    }

    /// Points (false-positive rate, recall) from (0, 0) to (1, 1), at most `limit` of them.
    public static func rocCurve(scores: [Double], labels: [Bool], limit: Int = 500) -> [(x: Double, y: Double)] {
        let positives = labels.count { $0 }
        let negatives = labels.count - positives
        guard positives > 0, negatives > 0 else { return [] }
        let points = ranking(scores, labels).map { (Double($0.taken - $0.found) / Double(negatives), Double($0.found) / Double(positives)) }
        return thinned([(0, 0)] + points, limit)
    }

    /// Points (recall, precision) from the highest score down, at most `limit` of them.
    public static func precisionRecallCurve(scores: [Double], labels: [Bool], limit: Int = 500) -> [(x: Double, y: Double)] {
        let positives = labels.count { $0 }
        guard positives > 0 else { return [] }
        return thinned(ranking(scores, labels).map { (Double($0.found) / Double(positives), Double($0.found) / Double($0.taken)) }, limit)
    }

    /// Rows taken and anomalies among them, after each group of equal scores from the top.
    private static func ranking(_ scores: [Double], _ labels: [Bool]) -> [(taken: Int, found: Int)] {
        let order = scores.indices.sorted { scores[$0] > scores[$1] }
        var result: [(taken: Int, found: Int)] = []
        var found = 0
        for (position, row) in order.enumerated() {
            if labels[row] { found += 1 }
            if position + 1 == order.count || scores[order[position + 1]] != scores[row] { result.append((position + 1, found)) }
        }
        return result
    }

    private static func thinned(_ points: [(Double, Double)], _ limit: Int) -> [(x: Double, y: Double)] {
        guard points.count > limit, limit > 1 else { return points.map { ($0.0, $0.1) } }
        return (0..<limit).map { points[$0 * (points.count - 1) / (limit - 1)] }
    }
}
