import CSVReader
import Detectors
import Glibc
import JSON
import ServiceKit
import UseCases

/// In:        CSV files with numeric columns, or with a use case's events
/// Out:       one line `score,is_anomaly,refused` for each data row, in the file's order; on standard error what was learnt from and found
/// State:     none
/// Guarantee: as many lines as rows, always; fitted on the training rows only; the same files and seed give the same scores
/// On error:  a row that the format or the schema refuses is no anomaly by itself: 0,0,1; a file that cannot be read ends it with a sentence
struct ScoreCommand {
    private let settings: ScoreSettings

    init(_ arguments: [String]) {
        settings = Service.readSettings("trainer score", "Scores the rows of a CSV file.", arguments: arguments, ScoreSettings.init)
    }

    func run() throws {
        let bar = ProgressBar()
        let (kind, features) = choice()
        var entities = FileTable.Entities()
        func read(_ path: String, _ names: [String]?) throws -> FileTable {
            bar.show("reading \(path)", share: 0)
            defer { bar.clear() }
            if let useCase = settings.useCase {
                return try FileTable(path: path, useCase: useCase, features: names ?? features, entities: &entities)
            }
            return try FileTable(path: path, columns: settings.columns, features: names, entities: &entities)
        }
        let scored: FileTable
        let result: FileScores
        switch settings.mode {
        case .split(let train, let test):
            let table = try read(train, nil)
            scored = try read(test, table.features)
            let plan = try plan(kind, table.features)
            describe(table)
            result = try FileScorer.score(train: table.table, test: scored.table, plan: plan) { bar.show("fitting and scoring", share: $0) }
        case .stream(let path, let probation):
            scored = try read(path, nil)
            let plan = try plan(kind, scored.features)
            describe(scored)
            result = try FileScorer.stream(scored.table, probation: probation, plan: plan) { bar.show("scoring row by row", share: $0) }
        }
        bar.clear()
        try write(result, scored.places)
        tell(result, scored.places)
        if let label = settings.columns.label { try judge(result, scored.places, label) }
    }

    /// What is learnt from.
    private func describe(_ table: FileTable) {
        let left = table.leftOut.isEmpty ? "" : "; left out: \(table.leftOut.joined(separator: ", "))"
        Service.standardError("learning from \(table.features.joined(separator: ", "))\(left)\n")
    }

    /// What was fitted, and what it found.
    private func tell(_ result: FileScores, _ places: [Int?]) {
        if let model = result.model {
            Service.standardError("\(model.choice), \(model.metadata.trainingRows) training rows\n")
            if let caution = model.metadata.caution { Service.standardError(caution + "\n") }
        }
        let flagged = result.flags.count { $0 }
        let share = 100 * Double(flagged) / Double(max(result.flags.count, 1))
        let refused = places.count { $0 == nil }
        Service.standardError(
            "\(settings.out): \(places.count) rows scored, \(flagged) of them anomalous (\((share * 10).rounded() / 10) %)"
                + (result.model.map { ", threshold \(($0.threshold.score * 1e4).rounded() / 1e4)" } ?? "")
                + (refused > 0 ? ", \(refused) of them refused (score 0)\n" : "\n"))
    }

    /// The figures that the truth allows.
    private func judge(_ result: FileScores, _ places: [Int?], _ label: String) throws {
        let path =
            switch settings.mode {
            case .split(_, let test): test
            case .stream(let path, _): path
            }
        let reader = try CSVReader(path: path)
        let column = try FileTable.index(of: label, in: reader)
        var (truth, scores): ([Bool], [Double]) = ([], [])
        for place in places {
            guard try reader.next() != nil else { break }
            guard let place, place >= 0 else { continue }
            truth.append(try reader.truth(column))
            scores.append(result.scores[place])
        }
        let auc = DetectionMetrics.rocAUC(scores: scores, labels: truth)
        let precision = DetectionMetrics.averagePrecision(scores: scores, labels: truth)
        Service.standardError("by \(label): ROC-AUC \((auc * 1e3).rounded() / 1e3), average precision \((precision * 1e3).rounded() / 1e3)\n")
    }

    /// The detector, and with a use case the features that it sees: those that the use case's own detector sees.
    private func choice() -> (DetectorKind, [String]) {
        guard let useCase = settings.useCase else { return (settings.detector ?? .ensemble, []) }
        guard let set = useCase.plan.sets.first(where: { $0.scope == .event }) else { return (settings.detector ?? useCase.detector.kind, []) }
        let own = useCase.detector(of: set)
        return (settings.detector ?? own.kind, own.features(of: set))
    }

    private func plan(_ kind: DetectorKind, _ features: [String]) throws -> TrainingPlan {
        let set = settings.useCase?.plan.sets.first { $0.scope == .event }
        let judge = set.flatMap { settings.useCase?.detector(of: $0) }
        let own = judge?.kind == kind ? judge : nil
        return try TrainingPlan(
            detector: kind, parameters: own?.parameters, featureNames: features,
            threshold: settings.contamination.map { .contamination($0) } ?? settings.useCase?.threshold.rule ?? .contamination(0.01),
            scaling: own?.scaling ?? Self.scaling(kind), seed: settings.seed.map { UInt64($0) } ?? own?.seed ?? 7, createdAt: Clock.milliseconds,
            policies: set.flatMap { settings.useCase?.policies(of: $0) } ?? [])
    }

    /// Mean and deviation for the detectors whose published figures stand on them; for any other, what outliers among the training rows
    /// cannot move.
    private static func scaling(_ kind: DetectorKind) -> Scaling {
        switch kind {
        case .lof, .ocsvm: .standard
        default: .robust
        }
    }

    private func write(_ result: FileScores, _ places: [Int?]) throws {
        var text = Array("score,is_anomaly,refused\n".utf8)
        text.reserveCapacity(places.count * 24)
        for place in places {
            // What the model was not asked about is not odd: a refused row is a matter of data quality.
            let row = place.flatMap { $0 < 0 ? nil : $0 }
            NumberText.append(row.map { result.scores[$0] } ?? 0, to: &text)
            text.append(contentsOf: row.map { result.flags[$0] } ?? false ? ",1".utf8 : ",0".utf8)
            text.append(contentsOf: place == nil ? ",1\n".utf8 : ",0\n".utf8)
        }
        try OutputFile.write(text, to: settings.out)
    }
}

/// Writes whole files: beside the target first, then renamed, so that nobody sees half of one.
enum OutputFile {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    static func write(_ bytes: [UInt8], to path: String) throws(Failure) {
        let temporary = path + ".part"
        guard let file = fopen(temporary, "w") else {
            throw Failure(description: "\(path) cannot be written: \(String(cString: strerror(errno))).")
        }
        let written = bytes.withUnsafeBytes { fwrite($0.baseAddress, 1, $0.count, file) }
        guard fclose(file) == 0, written == bytes.count, rename(temporary, path) == 0 else {
            let reason = String(cString: strerror(errno))
            unlink(temporary)
            throw Failure(description: "\(path) could not be written: \(reason).")
        }
    }
}
