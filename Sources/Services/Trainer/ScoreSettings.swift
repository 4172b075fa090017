import Detectors
import ServiceKit
import UseCases

/// Every setting of `trainer score`.
struct ScoreSettings {
    /// Which rows are learnt from.
    enum Mode {
        case split(train: String, test: String)
        /// Row by row, learning on the way; the first share of each entity's rows is only learnt from.
        case stream(String, probation: Double)
    }

    let mode: Mode
    let columns: ColumnChoice
    let useCase: UseCase?
    /// Nil: `auto`.
    let detector: DetectorKind?
    let seed: Int?
    /// Nil: the use case's own threshold, or one row in a hundred.
    let contamination: Double?
    let out: String

    init?(_ reader: inout SettingsReader) {
        let train = reader.optionalString("--train", "Rows to learn from; the only ones.")
        let test = reader.optionalString("--test", "Rows to score.")
        let stream = reader.optionalString("--stream", "Rows to score one by one, never looking ahead; instead of --train and --test.")
        let probation = reader.number("--probation", default: 0.15, in: 0.01...0.9, "With --stream: the share of rows that is only learnt from.")
        let timestamp = reader.optionalString("--timestamp", "Column with the time: dates, or numbers that grow.")
        let entity = reader.optionalString("--entity", "Column that tells whose row it is; without it all rows are one entity's.")
        let exclude = reader.string("--exclude", default: "", "Columns that are no features, separated by commas; labels above all.")
        let include = reader.string(
            "--include", default: "", "Columns that are features although their names look like a label or an identifier, separated by commas.")
        let label = reader.optionalString("--label", "Column with the truth, 0 or 1: no feature, but ROC-AUC and average precision are told.")
        contamination = reader.number(
            "--contamination", default: nil, in: 1e-9...0.5, "Share of normal rows that may alert; without it the use case's threshold, or 0.01.")
        detector = reader.value("--detector", default: "auto", "Name of a detector, or auto (\(Self.names)).") { name in
            name == "auto" ? DetectorKind?.none : try DetectorKind(named: name)
        }.flatMap { $0 }
        out = reader.string("--out", default: "scores.csv", "File for the scores: score,is_anomaly,refused, a line for each row.")
        useCase = reader.value("--use-case", default: nil, "Compute this use case's features first, and take its detector for auto.") {
            try UseCase.load($0, environment: SettingsReader.processEnvironment())
        }
        seed = reader.optionalInteger("--seed", in: 0...Int.max, "Seed of every random choice.")
        switch (train, test, stream) {
        case (let train?, let test?, nil): mode = .split(train: train, test: test)
        case (nil, nil, let stream?): mode = .stream(stream, probation: probation ?? 0.15)
        default:
            reader.reject("Give either --train and --test, or --stream.")
            return nil
        }
        guard let timestamp else {
            reader.reject("Give the column with the time: --timestamp COLUMN.")
            return nil
        }
        columns = ColumnChoice(
            timestamp: timestamp, entity: entity, excluded: exclude.split(separator: ",").map { String($0) },
            included: include.split(separator: ",").map { String($0) }, label: label)
    }

    private static let names = DetectorKind.allCases.map(\.rawValue).joined(separator: " | ")
}

/// Which columns of a file are what.
struct ColumnChoice {
    var timestamp: String
    var entity: String?
    var excluded: [String]
    /// Features whatever their names look like.
    var included: [String] = []
    var label: String?
}
