import JSON
import ServiceKit

/// In:        a CSV file with labels, and the scores of its rows
/// Out:       the figures as JSON; one self-contained HTML page
/// State:     none
/// Guarantee: rows that are ignored enter no figure; the same files give the same bytes
/// On error:  a sentence and exit status 1; no file is half written
struct EvaluateCommand {
    private let settings: EvaluateSettings

    init(_ arguments: [String]) {
        settings = Service.readSettings("trainer evaluate", "Measures scores against labels.", arguments: arguments, EvaluateSettings.init)
    }

    func run() throws {
        let rows = try LabelledScores(settings)
        let evaluation = Evaluation(rows, threshold: settings.threshold)
        if let path = settings.json {
            var writer = JSONWriter(capacity: 1 << 12)
            evaluation.write(to: &writer)
            writer.newline()
            try OutputFile.write(writer.bytes, to: path)
        }
        if let path = settings.html {
            let page = EvaluationPage(rows: rows, evaluation: evaluation, test: settings.test, scores: settings.scores)
            try OutputFile.write(Array(page.html.utf8), to: path)
        }
        let figures = [("ROC-AUC", evaluation.rocAUC), ("average precision", evaluation.averagePrecision), ("best F1", evaluation.best.f1)]
        print(figures.map { "\($0.0) \(Figure.text($0.1))" }.joined(separator: ", ") + " over \(rows.scores.count) rows")
    }
}
