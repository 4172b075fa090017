import ServiceKit

@main struct Trainer {
    static func main() {
        Subcommand.dispatch(
            "trainer", "Fits, calibrates and stores the models of a use case.",
            [
                Subcommand("fit", "Fits the use case's detector on a CSV file and puts it into the model registry.") { try FitCommand($0).run() },
                Subcommand("score", "Scores the rows of any CSV file: one line for each row.") { try ScoreCommand($0).run() },
                Subcommand("evaluate", "Measures scores against labels: a JSON file and a page of charts.") { try EvaluateCommand($0).run() },
            ])
    }
}
