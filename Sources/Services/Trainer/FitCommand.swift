import Contracts
import Detectors
import Features
import Glibc
import JSON
import ModelRegistry
import RedisClient
import ServiceKit
import UseCases

/// In:        a CSV file of events
/// Out:       an immutable model version in the registry; the `current` pointer moved to it, unless it does worse on the newest rows
/// State:     none
/// Guarantee: a version is complete and checked, or it is not there; the same file, settings and seed give the same scores
/// On error:  a sentence and exit status 1; nothing is stored. On a schedule: the sentence, and another try a minute later
struct FitCommand {
    private let settings: FitSettings
    private let registry: ModelRegistry

    /// Newest share of the rows by which a version is compared with the current one.
    private static let validationShare = 0.2
    /// With fewer rows a comparison says nothing.
    private static let leastRows = 200

    init(_ arguments: [String]) {
        settings = Service.readSettings(
            "trainer fit", "Fits the use case's detectors and stores them, once or on a schedule.", arguments: arguments,
            switches: FitSettings.switches, FitSettings.init)
        registry = ModelRegistry(RedisClient(settings.redis), useCase: settings.useCase.name, retention: Int64(settings.retention))
    }

    struct Failure: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    func run() throws {
        guard let every = settings.every else { return try fitDue(staleAfter: settings.staleAfter.map(varied)) }
        // As the first process of a container it would otherwise not hear a polite request to end. Versions are stored in one step, so any
        // moment is a good one.
        signal(SIGTERM, leaveAtOnce)
        signal(SIGINT, leaveAtOnce)
        var staleAfter = settings.staleAfter ?? every
        while true {
            do {
                try fitDue(staleAfter: staleAfter)
                Clock.sleep(milliseconds: varied(every))
                // From now on the schedule alone decides.
                staleAfter = settings.staleAfter.map(varied) ?? 0
            } catch {
                Service.standardError("\(error)\nThe next try is in a minute.\n")
                Clock.sleep(milliseconds: 60_000)
            }
        }
    }

    private func varied(_ milliseconds: Int) -> Int {
        Int(Double(milliseconds) * (1 + settings.jitter * Double.random(in: -1...1)))
    }

    /// Fits every set that needs a version.
    private func fitDue(staleAfter: Int?) throws {
        let useCase = settings.useCase
        let due = try useCase.plan.sets.filter { try isDue($0.name, staleAfter) }
        guard !due.isEmpty else { return }
        var source: FileFormat?
        if case .file(let file)? = useCase.training?.kind, file.kind == .csv { source = file }
        guard let path = settings.csv ?? source.map({ useCase.resolve($0.file) }) else {
            throw Failure(
                "The use case \(useCase.definitionName) names no training file. Give one with --csv; the producer writes one with: "
                    + "producer --use-case \(useCase.definitionName) --to FILE.csv")
        }
        let bar = ProgressBar()
        let table = try TrainingTable(path: path, source: source, useCase: useCase) { bar.show("reading \(path)", share: $0) }
        bar.clear()
        if table.refused > 0 {
            Service.standardError("\(table.refused) rows were refused and not learnt from; the first: \(table.firstRefusal ?? "")\n")
        }
        for (set, rows) in zip(useCase.plan.sets, table.sets) where due.contains(where: { $0.name == set.name }) {
            guard rows.table.matrix.rows > 0 else { throw Failure("No row of \(path) can be used for the feature set \(set.name).") }
            try fit(set, rows, path: path, bar)
        }
    }

    private func isDue(_ set: String, _ staleAfter: Int?) throws -> Bool {
        if settings.onlyMissing, let version = try registry.currentVersion(set: set) {
            print("\(settings.useCase.name)/\(set): version \(version) is current; nothing to do")
            return false
        }
        // By the newest version, promoted or not: one that was no better is not made again at once.
        if let staleAfter, staleAfter > 0, let newest = try registry.versions(set: set).last {
            let age = Clock.milliseconds - newest.publishedAt
            guard age < Int64(staleAfter) else { return true }
            print("\(settings.useCase.name)/\(set): version \(newest.version) is \(age / 1000) s old; nothing to do")
            return false
        }
        return true
    }

    private func fit(_ set: FeatureSetInfo, _ rows: TrainingTable.Rows, path: String, _ bar: ProgressBar) throws {
        let detector = settings.useCase.detector(of: set)
        let names = detector.features(of: set)
        let columns = names.compactMap { set.features.firstIndex(of: $0) }
        let table = ScoringTable(matrix: rows.table.matrix.selecting(columns: columns), times: rows.table.times, entities: rows.table.entities)
        let plan = try TrainingPlan(
            detector: detector.kind, parameters: detector.parameters, featureNames: names, threshold: settings.useCase.threshold.rule,
            scaling: detector.scaling, seed: settings.seed.map { UInt64($0) } ?? detector.seed, createdAt: Clock.milliseconds,
            heldBackShare: settings.heldBack, policies: settings.useCase.policies(of: set),
            eventsPerEntityPerDay: Self.dailyRows(table, rows.entities))
        let (own, current) = try compare(set, table, rows.labels, plan, bar)
        var model = try TrainedModel.fit(table.matrix, order: RowOrder(times: table.times, entities: table.entities), plan: plan) {
            bar.show("fitting \(plan.detector.rawValue)", share: $0)
        }
        bar.clear()
        if let caution = model.metadata.caution { Service.standardError("\(set.name): \(caution)\n") }
        if let own {
            model.metadata.metrics = ["validation_alert_share": own.alertShare, "validation_expected_share": own.expectedShare]
            model.metadata.metrics["validation_average_precision"] = own.averagePrecision
        }
        let isWorse = own.flatMap { own in current.map { own.isWorse(than: $0) } } ?? false
        try store(model, set, path: path, own, isPromoted: settings.role == .current && (!isWorse || settings.isForced), isWorse: isWorse)
        if isWorse, let own, let current, settings.role == .current, !settings.isForced {
            Service.standardError(
                "It is not promoted, since it does worse than the current version: \(own.sentence); the current one: \(current.sentence). "
                    + "Promote it nevertheless with: vyuhactl models promote\n")
        }
    }

    /// How a model of the older rows, and the current one, do on the newest rows; nil where that cannot be known. The version itself is
    /// fitted on all rows, so its twin stands for it.
    private func compare(
        _ set: FeatureSetInfo, _ table: ScoringTable, _ labels: [Int8], _ plan: TrainingPlan, _ bar: ProgressBar
    ) throws -> (own: Validation?, current: Validation?) {
        guard table.matrix.rows >= Self.leastRows else { return (nil, nil) }
        let byTime = table.times.indices.sorted { (table.times[$0], $0) < (table.times[$1], $1) }
        let cut = Int(Double(byTime.count) * (1 - Self.validationShare))
        func part(_ rows: [Int]) -> ScoringTable {
            ScoringTable(matrix: table.matrix.selecting(rows: rows), times: rows.map { table.times[$0] }, entities: rows.map { table.entities[$0] })
        }
        let (older, newest) = (Array(byTime[..<cut]), Array(byTime[cut...]))
        let (before, after) = (part(older), part(newest))
        let truth = labels.isEmpty ? [] : newest.map { labels[$0] }
        // Entities that are not among the older rows have numbers beyond them.
        let numbers = Self.renumbered(before.entities)
        let twin = try TrainedModel.fit(before.matrix, order: RowOrder(times: before.times, entities: numbers), plan: plan) {
            bar.show("comparing \(plan.detector.rawValue)", share: $0)
        }
        bar.clear()
        let own = Validation(twin, newest: after, after: before, labels: truth)
        guard let stored = try registry.loadCurrent(set: set.name), let model = try? TrainedModel(decoding: stored.bytes),
            model.featureNames == plan.featureNames
        else { return (own, nil) }
        return (own, Validation(model, newest: after, after: before, labels: truth))
    }

    /// Numbers without gaps, in the order of first use.
    private static func renumbered(_ entities: [Int32]) -> [Int32] {
        var known: [Int32: Int32] = [:]
        return entities.map { entity in
            if let number = known[entity] { return number }
            let number = Int32(known.count)
            known[entity] = number
            return number
        }
    }

    /// Rows of one entity in a day of the file's own time; nil where the file covers no time.
    static func dailyRows(_ table: ScoringTable, _ entities: Int) -> Double? {
        guard let first = table.times.min(), let last = table.times.max(), last > first, entities > 0 else { return nil }
        return Double(table.matrix.rows) / Double(entities) / (Double(last - first) / 86_400_000)
    }

    private func store(
        _ model: TrainedModel, _ set: FeatureSetInfo, path: String, _ validation: Validation?, isPromoted: Bool, isWorse: Bool
    ) throws {
        var description = JSONWriter(capacity: 1 << 10)
        model.writeMetadata(to: &description)
        var facts = [
            "detector": model.kind.rawValue, "features": model.featureNames.joined(separator: ","),
            "threshold": "\(model.threshold.score)", "rows": "\(model.metadata.trainingRows)", "source": path,
            "data_fingerprint": model.metadata.dataFingerprint, "use_case_fingerprint": settings.useCase.fingerprintText,
            "calibration": "empirical p-values with a generalised Pareto tail on \(model.metadata.heldBackRows) rows held back",
            "model": description.text,
        ]
        let units = settings.useCase.units(of: set)
        if !units.isEmpty { facts["units"] = units.map { "\($0.feature)=\($0.unit)" }.joined(separator: ",") }
        if let validation { facts.merge(validation.facts) { $1 } }
        if isWorse { facts["worse_than_current"] = "true" }
        let now = Clock.milliseconds
        let version = try registry.publish(model.encoded(), set: set.name, facts: facts, promote: isPromoted, now: now)
        if settings.role == .challenger { try registry.challenge(set: set.name, version: version, now: now) }
        print(
            "\(settings.useCase.name)/\(set.name): version \(version), \(model.kind.rawValue) on \(model.metadata.trainingRows) rows, "
                + "calibrated on \(model.metadata.heldBackRows) held back, threshold \(model.threshold.score)"
                + (isPromoted ? ", now current" : settings.role == .challenger ? ", now challenger" : ", not promoted"))
    }
}

private func leaveAtOnce(_ signal: Int32) { _exit(0) }

extension UseCase {
    /// Units of those features that are a field as it is.
    func units(of set: FeatureSetInfo) -> [(feature: String, unit: String)] {
        guard let definition = features.first(where: { $0.name == set.name }) else { return [] }
        return definition.features.compactMap { feature in
            plan.schema.fields.first { $0.name == feature.expression }?.unit.map { (feature.name, $0) }
        }
    }
}
