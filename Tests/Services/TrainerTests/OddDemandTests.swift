import Detectors
import Features
import Foundation
import Simulation
import TestSupport
import Testing
import UseCases

@testable import Trainer

/// The half hours of nyc-taxi, judged by the model of its own sample: what the stream would say of them, without the stream.
@Suite("Odd demand of taxi zones")
struct OddDemandTests {
    private let useCase: UseCase
    private let set: FeatureSetInfo
    private let place: Int
    private var scorer: ModelScorer

    init() throws {
        useCase = try UseCase.load(repository + "/services/usecases/nyc-taxi", environment: [:])
        place = try #require(useCase.plan.sets.firstIndex { $0.name == "demand" })
        let set = useCase.plan.sets[place]
        self.set = set
        let detector = useCase.detector(of: set)
        let training = try Self.windows(of: useCase, useCase.training?.kind, place)
        let names = detector.features(of: set)
        let plan = try TrainingPlan(
            detector: detector.kind, parameters: detector.parameters, featureNames: names, threshold: useCase.threshold.rule,
            scaling: detector.scaling, seed: detector.seed, createdAt: 0, policies: useCase.policies(of: set))
        let columns = names.compactMap { set.features.firstIndex(of: $0) }
        let table = training.table
        scorer = ModelScorer(
            try TrainedModel.fit(
                table.matrix.selecting(columns: columns), order: RowOrder(times: table.times, entities: table.entities), plan: plan))
    }

    private static func windows(of useCase: UseCase, _ kind: TrainingSection.Kind?, _ place: Int) throws -> TrainingTable.Rows {
        guard case .file(let file)? = kind else { throw FitCommand.Failure("nyc-taxi trains from a file.") }
        return try windows(of: useCase, file, place)
    }

    private static func windows(of useCase: UseCase, _ file: FileFormat, _ place: Int) throws -> TrainingTable.Rows {
        try TrainingTable(path: useCase.resolve(file.file), source: file, useCase: useCase) { _ in }.sets[place]
    }

    private mutating func isOdd(_ vector: [Double]) -> Bool {
        let columns = scorer.model.featureNames.compactMap { set.features.firstIndex(of: $0) }
        return scorer.score(columns.map { vector[$0] }).isAnomaly
    }

    @Test("the sample is too thin for any half hour to be odd")
    mutating func sample() throws {
        guard case .file(let own)? = useCase.source?.kind else { throw FitCommand.Failure("nyc-taxi streams from a file.") }
        var windows = 0
        for rows in [try Self.windows(of: useCase, useCase.training?.kind, place), try Self.windows(of: useCase, own, place)] {
            let columns = scorer.model.featureNames.compactMap { set.features.firstIndex(of: $0) }
            var (scores, flags): ([Double], [Bool]) = ([], [])
            scorer.score(rows.table.matrix.selecting(columns: columns).values, scores: &scores, flags: &flags)
            #expect(!flags.contains(true))
            windows += flags.count
        }
        #expect(windows > 35_000)
    }

    @Test("a file that `producer --to` wrote, with the event's own names, is read like the sample")
    func exportedNames() throws {
        guard case .file(let file)? = useCase.training?.kind else { throw FitCommand.Failure("nyc-taxi trains from a file.") }
        let names = useCase.plan.schema.fields.map(\.name)
        #expect(file.columns(in: names + ["label", "ignore", "anomaly_type"]).isEmpty)
        let mapped = names.map { file.columns[$0] ?? $0 }
        #expect(file.columns(in: mapped) == file.columns.filter { $0.key != $0.value })
        let single = file.columns.filter { file.otherNames[$0.key] == nil }
        #expect(file.columns(in: ["something"]) == single, "the objection is about the mapped column")
    }

    @Test("surges and outages of busy zones are found, and hardly anything else is odd")
    mutating func simulated() throws {
        var settings = SimulatorSettings(
            name: "nyc-taxi", entities: 20, interval: 20_000, anomalyRate: 0.4, seed: 3, start: 1_704_067_200_000)
        settings.kinds = ["surge", "outage"]
        var simulator = try Simulators.make(settings)
        let state = PartitionState(plan: useCase.plan)
        var event = SimulatedEvent()
        var emissions = Emissions()
        let names = (0..<20).map { Array("\($0)".utf8) }
        // What the simulator does not have comes last, and is missing.
        var row = [Double](repeating: .nan, count: useCase.plan.schema.fields.count)
        var episodes: [Episode: Bool] = [:]
        var odd: [(zone: Int, start: Int64, end: Int64)] = []
        var (trips, days) = ([Int](repeating: 0, count: 20), 0.0)
        for _ in 0..<120_000 {
            simulator.next(into: &event)
            for (index, value) in event.values.enumerated() {
                switch value {
                case .integer(let value): row[index] = Double(value)
                case .number(let value): row[index] = value
                default: Issue.record("a trip is made of numbers")
                }
            }
            row[0] = Double(event.eventTime)
            trips[event.entity] += 1
            if event.anomaly > 0 {
                let kind = simulator.anomalyKinds[event.anomaly - 1]
                episodes[Episode(zone: event.entity, kind: kind, start: event.episode.start, end: event.episode.end)] = false
            }
            emissions.removeAll()
            guard state.apply(row: row, entity: names[event.entity], eventTime: event.eventTime, into: &emissions) == .applied else {
                Issue.record("a trip is late")
                return
            }
            for emission in emissions.items where emission.set == place {
                let vector = emissions.vector(of: emission)
                guard isOdd(vector), let zone = Int(String(decoding: emissions.bytes[emission.entity], as: UTF8.self)) else { continue }
                odd.append((zone, emission.start, emission.end))
            }
        }
        days = Double(event.eventTime - settings.start) / 86_400_000
        var falseAlarms = 0
        for window in odd {
            let touched = episodes.keys.filter { $0.zone == window.zone && $0.start < window.end && $0.end > window.start }
            for episode in touched { episodes[episode] = true }
            if touched.isEmpty { falseAlarms += 1 }
        }
        // Busy: a pickup a minute and more.
        let busy = episodes.filter { Double(trips[$0.key.zone]) / days > 1_440 && $0.key.end < event.eventTime - 3_600_000 }
        for (kind, least) in [("surge", 0.75), ("outage", 0.65)] {
            let all = busy.filter { $0.key.kind == kind }
            let found = all.values.count { $0 }
            print("\(kind): \(found) of \(all.count); \(falseAlarms) false alarms in \(days) days of 20 zones")
            #expect(all.count >= 10)
            #expect(Double(found) >= least * Double(all.count), "\(kind): \(found) of \(all.count)")
        }
        #expect(Double(falseAlarms) < 0.2 * days * 20, "\(falseAlarms) false alarms in \(days) days of 20 zones")
    }

    private struct Episode: Hashable {
        var zone: Int
        var kind: String
        var start: Int64
        var end: Int64
    }
}
