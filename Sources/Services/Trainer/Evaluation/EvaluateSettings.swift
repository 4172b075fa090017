import ServiceKit

/// Every setting of `trainer evaluate`.
struct EvaluateSettings {
    let test: String
    let scores: String
    let label: String
    let ignore: String?
    let timestamp: String?
    /// Nil: the cut that the file of scores itself makes.
    let threshold: Double?
    let json: String?
    let html: String?

    init?(_ reader: inout SettingsReader) {
        let test = reader.optionalString("--test", "CSV file with the labels.")
        let scores = reader.optionalString("--scores", "CSV file with a column score, a line for each row of the test file.")
        let label = reader.optionalString("--label", "Column that is 1 (or true) for anomalies.")
        ignore = reader.optionalString("--ignore", "Column that is 1 for rows that are not judged.")
        timestamp = reader.optionalString("--timestamp", "Column with the time; dates give alerts per day.")
        threshold = reader.number("--threshold", default: nil, in: 0...1, "Score that alerts; without it as is_anomaly says, else the best F1's.")
        json = reader.optionalString("--json", "File for the figures.")
        html = reader.optionalString("--html", "File for the page of charts; it needs nothing from elsewhere.")
        guard let test, let scores, let label else {
            reader.reject("Give --test, --scores and --label.")
            return nil
        }
        if json == nil, html == nil { reader.reject("Give --json, --html or both.") }
        self.test = test
        self.scores = scores
        self.label = label
    }
}
