import ServiceKit

/// An evaluation as one HTML page that needs nothing from elsewhere: no script, no font, no picture.
struct EvaluationPage {
    let rows: LabelledScores
    let evaluation: Evaluation
    let test: String
    let scores: String

    var html: String {
        """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>Evaluation of \(Figure.escaped(Self.name(scores)))</title>
        <style>
        \(Self.style)
        </style>
        </head>
        <body>
        <main>
        <header>
        <p class="eyebrow">Vyuha · evaluation</p>
        <h1>\(Figure.escaped(Self.name(scores)))</h1>
        <p class="lead">\(lead)</p>
        </header>
        \(tiles)
        \(curves)
        \(timeline)
        \(alerts)
        \(table)
        <footer>Rows are weighed one by one; an event is a run of anomalous rows and counts as found when one of them alerts. Vyuha \(vyuhaVersion).</footer>
        </main>
        </body>
        </html>

        """
    }

    private static func name(_ path: String) -> String { String(path.split(separator: "/").last ?? "") }

    private var lead: String {
        let share = Double(evaluation.anomalies) / Double(evaluation.rows) * 100
        return "Scores for \(Figure.text(evaluation.rows)) rows of <code>\(Figure.escaped(Self.name(test)))</code>, "
            + "\(Figure.text(evaluation.anomalies)) of them anomalous (\(Figure.text(share, decimals: 2)) %)"
            + (evaluation.ignored > 0 ? "; \(Figure.text(evaluation.ignored)) more rows are not judged." : ".")
    }

    private var tiles: String {
        let events = evaluation.events
        let figures: [(String, String, String)] = [
            ("ROC-AUC", Figure.text(evaluation.rocAUC), "by chance 0.500"),
            (
                "Average precision", Figure.text(evaluation.averagePrecision),
                "by chance \(Figure.text(Double(evaluation.anomalies) / Double(evaluation.rows)))"
            ),
            ("Best F1", Figure.text(evaluation.best.f1), "at score \(Figure.text(evaluation.best.threshold, decimals: 4))"),
            ("Events found", events.events == 0 ? "–" : "\(Figure.text(events.found)) of \(Figure.text(events.events))", "at the threshold"),
            (
                "Alerts per day", evaluation.alertsPerDay.map { Figure.text($0, decimals: 1) } ?? "–",
                evaluation.days.isEmpty ? "no dates" : "at the threshold"
            ),
        ]
        let items = figures.map { "<div class=\"tile\"><dt>\($0.0)</dt><dd>\($0.1)</dd><p>\($0.2)</p></div>" }
        return "<dl class=\"tiles\">\(items.joined())</dl>"
    }

    private var charts: EvaluationCharts { EvaluationCharts(rows: rows, evaluation: evaluation) }

    private var curves: String {
        """
        <div class="pair">
        <section><h2>ROC</h2><p class="note">Recall against false-positive rate. The dot is the threshold, the dashes are chance.</p>\(charts.roc())</section>
        <section><h2>Precision–recall</h2><p class="note">Precision against recall. The dashes are the share of anomalies.</p>\(charts.precisionRecall())</section>
        </div>
        """
    }

    private var timeline: String {
        """
        <section><h2>Timeline</h2>
        <p class="key"><span><i class="k-score"></i>highest score</span><span><i class="k-anomaly"></i>labelled anomaly</span>\
        <span><i class="k-cut"></i>threshold</span></p>
        \(charts.timeline())</section>
        """
    }

    private var alerts: String {
        guard let chart = charts.alertsPerDay() else { return "" }
        return """
            <section><h2>Alerts per day</h2>
            <p class="key"><span><i class="k-right"></i>on anomalies</span><span><i class="k-wrong"></i>false</span></p>
            \(chart)</section>
            """
    }

    private var table: String {
        let counts = evaluation.confusion
        let origin: String
        switch evaluation.origin {
        case .given: origin = "as given"
        case .scores: origin = "the scores' own is_anomaly"
        case .bestF1: origin = "best F1 on these rows, so these figures flatter"
        }
        let lines: [(String, String)] = [
            ("Precision", Figure.text(counts.precision)), ("Recall", Figure.text(counts.recall)), ("F1", Figure.text(counts.f1)),
            ("False-positive rate", Figure.text(counts.falsePositiveRate, decimals: 5)),
            ("Rows alerting", Figure.text(counts.truePositives + counts.falsePositives)), ("of them false", Figure.text(counts.falsePositives)),
            ("Anomalous rows missed", Figure.text(counts.falseNegatives)), ("Event recall", Figure.text(evaluation.events.recall)),
            ("Median delay, rows", evaluation.events.medianDelay.map { Figure.text($0, decimals: 1) } ?? "–"),
            ("Runs of false alerts", Figure.text(evaluation.events.falseAlarms)),
        ]
        let items = lines.map { "<tr><th scope=\"row\">\($0.0)</th><td>\($0.1)</td></tr>" }
        return """
            <section><h2>At the threshold \(Figure.text(evaluation.threshold, decimals: 4))</h2><p class="note">\(origin)</p>
            <table><tbody>\(items.prefix(4).joined())</tbody></table><table><tbody>\(items.dropFirst(4).joined())</tbody></table></section>
            """
    }

    private static let style = """
        :root { color-scheme: light dark; --page: #f6f7f9; --card: #ffffff; --ink: #15202b; --soft: #5b6875; --line: #e3e7ec;
          --score: #2563c9; --area: #2563c91f; --anomaly: #e0912b47; --alarm: #c8452f; --right: #2563c9; --wrong: #d98b2b; }
        @media (prefers-color-scheme: dark) { :root { --page: #0f1419; --card: #182028; --ink: #e8edf2; --soft: #9aa7b4; --line: #2b3640;
          --score: #6ea3f7; --area: #6ea3f726; --anomaly: #e5a04a4d; --alarm: #f0806c; --right: #6ea3f7; --wrong: #e5a04a; } }
        * { box-sizing: border-box; margin: 0; }
        body { background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
        main { max-width: 980px; margin: 0 auto; padding: 40px 20px 32px; display: grid; gap: 16px; }
        .eyebrow { color: var(--soft); font-size: 13px; letter-spacing: .04em; }
        h1 { font-size: 26px; font-weight: 650; letter-spacing: -.01em; overflow-wrap: anywhere; }
        h2 { font-size: 15px; font-weight: 650; }
        .lead, .note, .key, footer { color: var(--soft); }
        .note, .key, footer { font-size: 13px; }
        code { font: .93em ui-monospace, monospace; }
        section, .tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
        section { padding: 16px 18px; min-width: 0; }
        .tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; }
        .tile { padding: 12px 16px; }
        .tile dt, .tile p { color: var(--soft); font-size: 13px; }
        .tile dd { font-size: 24px; font-weight: 650; font-variant-numeric: tabular-nums; }
        .pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(330px, 1fr)); gap: 16px; }
        svg { display: block; width: 100%; height: auto; margin-top: 10px; }
        svg text { fill: var(--soft); font-size: 11.5px; font-variant-numeric: tabular-nums; }
        .grid { stroke: var(--line); } .axis { stroke: var(--soft); stroke-opacity: .6; }
        .line, .score, .chance, .cut { fill: none; stroke: var(--score); stroke-width: 2; stroke-linejoin: round; }
        .score { stroke-width: 1.2; }
        .area { fill: var(--area); } .chance { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 4 4; }
        .cut { stroke: var(--alarm); stroke-width: 1.2; stroke-dasharray: 6 4; }
        .dot { fill: var(--alarm); stroke: var(--card); stroke-width: 2; }
        .anomaly { fill: var(--anomaly); } .right { fill: var(--right); } .wrong { fill: var(--wrong); }
        .key { display: flex; flex-wrap: wrap; gap: 4px 18px; }
        .key span { display: inline-flex; align-items: center; gap: 7px; }
        .key i { width: 14px; height: 10px; border-radius: 2px; }
        .k-score, .k-cut { height: 2px !important; } .k-score, .k-right { background: var(--right); }
        .k-cut { background: var(--alarm); } .k-anomaly { background: var(--anomaly); } .k-wrong { background: var(--wrong); }
        table { display: inline-table; width: min(100%, 400px); margin: 8px 40px 0 0; border-collapse: collapse; vertical-align: top; }
        th { text-align: left; font-weight: 400; color: var(--soft); padding: 5px 0; }
        td { text-align: right; font-variant-numeric: tabular-nums; padding: 5px 0; }
        tr + tr { border-top: 1px solid var(--line); }
        footer { padding-top: 4px; }
        """
}
