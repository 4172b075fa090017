import Contracts
import Detectors
import Glibc
import JSON
import ModelRegistry
import RedisClient
import ServiceKit
import UseCases

/// In:        a CSV file of events
/// Out:       an immutable model version in the registry; the `current` pointer moved to it
/// State:     none
/// Guarantee: a version is complete and checked, or it is not there; the same file, settings and seed give the same model bytes
/// On error:  a sentence and exit status 1; nothing is stored
struct FitCommand {
    private let settings: FitSettings
    private let registry: ModelRegistry

    init(_ arguments: [String]) {
        settings = Service.readSettings(
            "trainer fit", "Fits the use case's detector and stores it.", arguments: arguments, switches: ["--no-promote", "--if-missing"], FitSettings.init)
        registry = ModelRegistry(RedisClient(settings.redis), useCase: settings.useCase.name)
    }

    struct Failure: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    func run() throws {
        let useCase = settings.useCase
        var source: CSVSource?
        if case .csv(let csv)? = useCase.training?.kind { source = csv }
        guard let path = settings.csv ?? source.map({ useCase.resolve($0.file) }) else {
            throw Failure(
                "The use case \(useCase.name) names no training file. Give one with --csv; a simulated use case writes one with: "
                    + "producer --use-case \(useCase.name) --to FILE.csv")
        }
        let bar = ProgressBar()
        for (index, set) in useCase.plan.sets.enumerated() {
            if settings.onlyMissing, let version = try registry.currentVersion(set: set.name) {
                print("\(useCase.name)/\(set.name): version \(version) is current; nothing to do")
                continue
            }
            let features = useCase.detector.features.isEmpty ? set.features : useCase.detector.features
            let table = try TrainingTable(path: path, source: source, useCase: useCase, set: index, features: features) {
                bar.show("reading \(path)", share: $0)
            }
            bar.clear()
            if table.refused > 0 {
                Service.standardError("\(table.refused) rows were refused and not learnt from; the first: \(table.firstRefusal ?? "")\n")
            }
            guard table.matrix.rows > 0 else { throw Failure("No row of \(path) can be used; see the message above.") }
            let model = try fit(table, bar)
            try store(model, set: set.name, path: path)
        }
    }

    private func fit(_ table: TrainingTable, _ bar: ProgressBar) throws -> TrainedModel {
        let useCase = settings.useCase
        let plan = try TrainingPlan(
            detector: useCase.detector.kind, parameters: useCase.detector.parameters, featureNames: table.featureNames,
            threshold: useCase.threshold.rule, scaling: useCase.detector.scaling, seed: settings.seed.map { UInt64($0) } ?? useCase.detector.seed,
            createdAt: Clock.milliseconds, heldBackShare: settings.heldBack)
        let model = try TrainedModel.fit(table.matrix, plan: plan) { bar.show("fitting \(plan.detector.rawValue)", share: $0) }
        bar.clear()
        return model
    }

    private func store(_ model: TrainedModel, set: String, path: String) throws {
        var description = JSONWriter(capacity: 1 << 10)
        model.writeMetadata(to: &description)
        let facts = [
            "detector": model.kind.rawValue, "features": model.featureNames.joined(separator: ","),
            "threshold": "\(model.threshold.score)", "rows": "\(model.metadata.trainingRows + model.metadata.heldBackRows)",
            "source": path, "use_case_fingerprint": settings.useCase.fingerprintText, "model": description.text,
        ]
        let version = try registry.publish(
            model.encoded(), set: set, facts: facts, promote: settings.promote, now: Clock.milliseconds)
        print(
            "\(settings.useCase.name)/\(set): version \(version), \(model.kind.rawValue) on \(model.metadata.trainingRows) rows, "
                + "calibrated on \(model.metadata.heldBackRows) held back, threshold \(model.threshold.score)"
                + (settings.promote ? ", now current" : ", not promoted"))
    }
}
