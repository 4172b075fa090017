import Detectors
import Glibc
import JSON
import ServiceKit
import UseCases

/// In:        CSV files with numeric columns, or with a use case's events
/// Out:       one line `score,is_anomaly` for each data row, in the file's order
/// State:     none
/// Guarantee: as many lines as rows, always; fitted on the training rows only; the same files and seed give the same scores
/// On error:  a row that the format or the schema refuses gets score 1; a file that cannot be read ends it with a sentence
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
            result = try FileScorer.score(train: table.table, test: scored.table, plan: plan) { bar.show("fitting and scoring", share: $0) }
        case .stream(let path, let probation):
            scored = try read(path, nil)
            let plan = try plan(kind, scored.features)
            result = try FileScorer.stream(scored.table, probation: probation, plan: plan) { bar.show("scoring row by row", share: $0) }
        }
        bar.clear()
        try write(result, scored.places)
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
            detector: kind, parameters: own?.parameters, featureNames: features, threshold: settings.useCase?.threshold.rule ?? .contamination(0.01),
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
        var text = Array("score,is_anomaly\n".utf8)
        text.reserveCapacity(places.count * 22)
        for place in places {
            // What cannot be judged by the model is as odd as can be; what is not its business is not odd.
            NumberText.append(place.map { $0 < 0 ? 0 : result.scores[$0] } ?? 1, to: &text)
            text.append(UInt8(ascii: ","))
            text.append(place.map { $0 >= 0 && result.flags[$0] } ?? true ? UInt8(ascii: "1") : UInt8(ascii: "0"))
            text.append(UInt8(ascii: "\n"))
        }
        try OutputFile.write(text, to: settings.out)
        let refused = places.count { $0 == nil }
        Service.standardError("\(settings.out): \(places.count) rows scored" + (refused > 0 ? ", \(refused) of them refused (score 1)\n" : "\n"))
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
