import Detectors
import ServiceKit

/// The four charts of an evaluation.
struct EvaluationCharts {
    let rows: LabelledScores
    let evaluation: Evaluation

    private static let shares: [(share: Double, label: String)] = [
        (0, "0"), (0.25, "0.25"), (0.5, "0.5"), (0.75, "0.75"), (1, "1"),
    ]

    private func square(_ title: String) -> Chart {
        var chart = Chart(width: 440, height: 320)
        chart.verticalAxis(Self.shares)
        chart.horizontalAxis(Self.shares, title: title)
        return chart
    }

    func roc() -> String {
        var chart = square("False-positive rate")
        chart.line([(0, 0), (1, 1)], style: "chance")
        chart.line(DetectionMetrics.rocCurve(scores: rows.scores, labels: rows.labels), filled: true)
        chart.dot(evaluation.confusion.falsePositiveRate, evaluation.confusion.recall, title: atThreshold)
        return chart.svg(label: "ROC curve, area \(Figure.text(evaluation.rocAUC))")
    }

    func precisionRecall() -> String {
        var chart = square("Recall")
        let base = Double(evaluation.anomalies) / Double(max(evaluation.rows, 1))
        chart.line([(0, base), (1, base)], style: "chance")
        let curve = DetectionMetrics.precisionRecallCurve(scores: rows.scores, labels: rows.labels)
        chart.line((curve.first.map { [(0, $0.y)] } ?? []) + curve, filled: true)
        chart.dot(evaluation.confusion.recall, evaluation.confusion.precision, title: atThreshold)
        return chart.svg(label: "Precision–recall curve, average precision \(Figure.text(evaluation.averagePrecision))")
    }

    private var atThreshold: String {
        "Threshold \(Figure.text(evaluation.threshold, decimals: 4)): precision \(Figure.text(evaluation.confusion.precision)), "
            + "recall \(Figure.text(evaluation.confusion.recall)), false-positive rate \(Figure.text(evaluation.confusion.falsePositiveRate, decimals: 4))"
    }

    /// One slice of the timeline.
    private struct Slice {
        var highest: Double?
        var lowest = Double.infinity
        var isAnomalous = false
    }

    private static let slices = 720

    /// Where each row lies, 0...1: by its time, or by its number where there are no dates.
    private func place(_ row: Int, _ first: Int64, _ last: Int64) -> Double {
        if rows.times.isEmpty { return (Double(row) + 0.5) / Double(rows.scores.count) }
        return last > first ? Double(rows.times[row] - first) / Double(last - first) : 0.5
    }

    func timeline() -> String {
        let first = rows.times.min() ?? 0
        let last = rows.times.max() ?? 0
        let count = min(Self.slices, rows.scores.count)
        var slices = [Slice](repeating: Slice(), count: count)
        for row in rows.scores.indices {
            let slice = min(Int(place(row, first, last) * Double(count)), count - 1)
            slices[slice].highest = max(slices[slice].highest ?? 0, rows.scores[row])
            slices[slice].lowest = min(slices[slice].lowest, rows.scores[row])
            if rows.labels[row] { slices[slice].isAnomalous = true }
        }
        var chart = Chart(width: 920, height: 260)
        mark(slices, &chart)
        let top = max(1, rows.scores.max() ?? 1)
        let bottom = min(0, rows.scores.min() ?? 0)
        func share(_ score: Double) -> Double { (score - bottom) / (top - bottom) }
        chart.verticalAxis(top == 1 && bottom == 0 ? Self.shares : [(0, Figure.text(bottom, decimals: 2)), (1, Figure.text(top, decimals: 2))])
        chart.horizontalAxis(timeTicks(first, last), title: rows.times.isEmpty ? "Row" : "Time (UTC)")
        let peaks = slices.enumerated().compactMap { number, slice in
            slice.highest.map { (x: (Double(number) + 0.5) / Double(count), y: share($0)) }
        }
        chart.line(peaks, style: "score")
        if evaluation.threshold <= top { chart.line([(0, share(evaluation.threshold)), (1, share(evaluation.threshold))], style: "cut") }
        return chart.svg(label: "Highest score over time, anomalies marked")
    }

    /// Labelled stretches, as bands behind the scores.
    private func mark(_ slices: [Slice], _ chart: inout Chart) {
        var number = 0
        while number < slices.count {
            let start = number
            while number < slices.count, slices[number].isAnomalous { number += 1 }
            if number > start {
                let range = Double(start) / Double(slices.count)..<Double(number) / Double(slices.count)
                chart.bar(x: range, y: 0..<1, style: "anomaly", title: "Labelled anomaly")
            } else {
                number += 1
            }
        }
    }

    private func timeTicks(_ first: Int64, _ last: Int64) -> [(share: Double, label: String)] {
        let ticks = 5
        return (0..<ticks).map { number in
            let share = Double(number) / Double(ticks - 1)
            if rows.times.isEmpty { return (share, Figure.text(max(1, Int((share * Double(rows.scores.count)).rounded())))) }
            let text = Clock.iso8601(milliseconds: first + Int64(share * Double(last - first)))
            let day = String(text.prefix(10))
            // Hours say nothing over weeks.
            return (share, last - first > 10 * 86_400_000 ? day : day + " " + String(text.dropFirst(11).prefix(5)))
        }
    }

    /// Alerts per day, false ones below; nil without dates. Neighbouring days share a bar when there are too many.
    func alertsPerDay() -> String? {
        guard !evaluation.days.isEmpty else { return nil }
        let group = (evaluation.days.count + 179) / 180
        let bars = stride(from: 0, to: evaluation.days.count, by: group).map { Array(evaluation.days[$0..<min($0 + group, evaluation.days.count)]) }
        let heights = bars.map { days in Double(days.reduce(0) { $0 + $1.rightly + $1.wrongly }) / Double(days.count) }
        let steps = Figure.steps(to: heights.max() ?? 0)
        let top = steps.last ?? 1
        var chart = Chart(width: 920, height: 220)
        chart.verticalAxis(steps.map { ($0 / top, Figure.text($0, decimals: 0)) })
        // A few days as broad bars would look like a wall.
        let slot = 1 / Double(max(bars.count, 10))
        let gap = min(slot * 0.15, 0.003)
        let offset = (1 - slot * Double(bars.count)) / 2
        for (number, days) in bars.enumerated() {
            let wrongly = Double(days.reduce(0) { $0 + $1.wrongly }) / Double(days.count)
            let x = offset + slot * Double(number) + gap..<offset + slot * Double(number + 1) - gap
            let dates = days.count == 1 ? days[0].date : "\(days[0].date) to \(days[days.count - 1].date), mean of a day"
            let decimals = days.count == 1 ? 0 : 1
            let title = "\(dates): \(Figure.text(heights[number], decimals: decimals)) alerts, \(Figure.text(wrongly, decimals: decimals)) false"
            if wrongly > 0 { chart.bar(x: x, y: 0..<wrongly / top, style: "wrong", title: title) }
            if heights[number] > wrongly { chart.bar(x: x, y: wrongly / top..<heights[number] / top, style: "right", title: title) }
        }
        chart.horizontalAxis(dayTicks(bars.map { $0[0].date }, slot, offset), title: "Day (UTC)")
        return chart.svg(label: "Alerts per day")
    }

    /// Every day of a week; the ends and three between of more.
    private func dayTicks(_ dates: [String], _ slot: Double, _ offset: Double) -> [(share: Double, label: String)] {
        let last = dates.count - 1
        if dates.count <= 7 { return dates.enumerated().map { (offset + slot * (Double($0.offset) + 0.5), $0.element) } }
        return [0, last / 4, last / 2, last * 3 / 4, last].map { number in
            // The outer labels align with the bars' outer sides.
            let side = number == 0 ? 0 : number == last ? 1 : 0.5
            return (offset + slot * (Double(number) + side), dates[number])
        }
    }
}
