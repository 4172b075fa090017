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
            "trainer fit", "Fits the use case's detector and stores it.", arguments: arguments, switches: ["--no-promote", "--if-missing"],
            FitSettings.init)
        registry = ModelRegistry(RedisClient(settings.redis), useCase: settings.useCase.name)
    }

    struct Failure: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    func run() throws {
        let useCase = settings.useCase
        var source: FileFormat?
        if case .file(let file)? = useCase.training?.kind, file.kind == .csv { source = file }
        guard let path = settings.csv ?? source.map({ useCase.resolve($0.file) }) else {
            throw Failure(
                "The use case \(useCase.name) names no training file. Give one with --csv; the producer writes one with: "
                    + "producer --use-case \(useCase.name) --to FILE.csv")
        }
        let missing = try setsToFit()
        guard !missing.isEmpty else { return }
        let bar = ProgressBar()
        let table = try TrainingTable(path: path, source: source, useCase: useCase) { bar.show("reading \(path)", share: $0) }
        bar.clear()
        if table.refused > 0 {
            Service.standardError("\(table.refused) rows were refused and not learnt from; the first: \(table.firstRefusal ?? "")\n")
        }
        for (set, matrix) in zip(useCase.plan.sets, table.matrices) where missing.contains(set.name) {
            guard matrix.rows > 0 else { throw Failure("No row of \(path) can be used for the feature set \(set.name).") }
            let names = useCase.detector.features(of: set)
            let columns = names.compactMap { set.features.firstIndex(of: $0) }
            try store(fit(matrix.selecting(columns: columns), names, bar), set: set.name, path: path)
        }
    }

    /// All sets, or with `--only-missing` those that have no current model.
    private func setsToFit() throws -> Set<String> {
        var names: Set<String> = []
        for set in settings.useCase.plan.sets {
            if settings.onlyMissing, let version = try registry.currentVersion(set: set.name) {
                print("\(settings.useCase.name)/\(set.name): version \(version) is current; nothing to do")
            } else {
                names.insert(set.name)
            }
        }
        return names
    }

    private func fit(_ matrix: FeatureMatrix, _ features: [String], _ bar: ProgressBar) throws -> TrainedModel {
        let useCase = settings.useCase
        let plan = try TrainingPlan(
            detector: useCase.detector.kind, parameters: useCase.detector.parameters, featureNames: features,
            threshold: useCase.threshold.rule, scaling: useCase.detector.scaling, seed: settings.seed.map { UInt64($0) } ?? useCase.detector.seed,
            createdAt: Clock.milliseconds, heldBackShare: settings.heldBack)
        let model = try TrainedModel.fit(matrix, plan: plan) { bar.show("fitting \(plan.detector.rawValue)", share: $0) }
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
