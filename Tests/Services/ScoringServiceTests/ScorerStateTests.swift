import Contracts
import Detectors
import KafkaClient
import ModelRegistry
import RedisClient
import Streaming
import TestSupport
import Testing
import UseCases

@testable import Scoring
@testable import ScoringService
@testable import ServiceKit

private let definition = """
    name: state-case
    partitions: 2
    event:
      entity: sensor
      time: at
      fields:
        sensor: { type: string }
        at:     { type: timestamp, format: epoch-milliseconds }
        a:      { type: number }
        b:      { type: number }
    features:
      reading: { a: a, b: b }
    detector: { name: ewma }
    threshold: { contamination: 0.02 }

    """

/// One partition of the scorer, on a Redis of its own.
private final class Scorer {
    let server: RedisServer
    let models: CurrentModels
    let partitions: StatefulPartitions<ScorerPartition>
    private let step: ScoringStep
    private let place = TopicPartition("state-case.features", 0)

    init(_ server: RedisServer, _ models: CurrentModels, entityLimit: Int = 100) throws {
        self.server = server
        self.models = models
        let useCase = try UseCase.parse(definition, file: "/tmp/usecase.yaml")
        let redis = try RedisSettings(url: server.url)
        let service = Service(
            name: "scoring-service", log: Logger(service: "scoring-service", level: .error, format: .text), metrics: Metrics(), life: Lifecycle())
        let cache = ModelCache(useCase, models, redis: redis, service)
        let step = try ScoringStep(useCase)
        self.step = step
        partitions = StatefulPartitions(
            service, redis: redis, store: { StateStore($0, keys: RedisKeys(useCase: "state-case"), service: "scoring-service") }, interval: 1,
            idleAfter: 0, make: { _ in ScorerPartition(step, cache, entityLimit: entityLimit) },
            carryOut: { owned, models, _ in try owned.state.carryOut(models) })
    }

    /// Takes the partition over.
    /// - Returns: the offset to read from.
    func take(committed: Int64) throws -> Int64 {
        try partitions.take([PartitionOffset(place, committed)])[0].offset
    }

    func commit(_ offset: Int64) throws {
        try partitions.committed(place, offset)
        try partitions.finishStoring()
    }

    /// - Parameter again: what records of these offsets have beside the usual: that they are a revision, or late.
    /// - Returns: version and score of each record that has an effect, by offset.
    func score(_ offsets: Range<Int64>, batch: Int64 = 7, again: [Int64: String] = [:]) throws -> [Int64: Outcome] {
        var outcomes: [Int64: Outcome] = [:]
        for start in stride(from: offsets.lowerBound, to: offsets.upperBound, by: Int64.Stride(batch)) {
            for offset in start..<min(start + batch, offsets.upperBound) {
                let bytes = Self.record(offset, again[offset] ?? "")
                try partitions.apply(0, at: offset) { owned, isReplay in
                    let state = owned.state.scoring
                    #expect(step.take(bytes, 0..<bytes.count, partition: 0, offset: offset, state: state, isReplay: isReplay) == .taken)
                }
            }
            step.score(at: 0) { outcome in
                outcomes[outcome.head.offset] = Outcome(
                    version: outcome.version, score: outcome.head.score, isAnomaly: outcome.head.isAnomaly, isEnd: outcome.isEnd)
            }
        }
        return outcomes
    }

    struct Outcome: Equatable {
        var version: Int64
        var score: Double
        var isAnomaly: Bool
        /// Of an anomaly.
        var isEnd = false
    }

    /// Every eleventh record is far off; values wander a little.
    private static func record(_ offset: Int64, _ more: String) -> [UInt8] {
        let far = offset % 11 == 10 ? 40.0 : 0
        let a = Double(offset &* 7919 % 101) / 50 + far
        let b = Double(offset &* 104_729 % 89) / 40 + Double(offset) / 200
        return Array(
            """
            {"id":"x:\(offset)","kind":"event","set":"reading","entity":"s\(offset % 5)","event_time":\(offset * 1000),"produced_at":1,\
            "offset":\(offset),"sequence":0,\(more)"features":{"a":\(a),"b":\(b)}}
            """.utf8)
    }
}

/// Two versions of a detector, in the registry and as the models of their generations.
private func publish(_ kind: DetectorKind, to server: RedisServer) throws -> [ActiveModels] {
    let useCase = try UseCase.parse(definition, file: "/tmp/usecase.yaml")
    let registry = ModelRegistry(RedisClient(try RedisSettings(url: server.url)), useCase: "state-case")
    var generations: [ActiveModels] = []
    for seed in [1, 2] as [UInt64] {
        var rows: [Double] = []
        for row in 0..<400 as Range<Int64> { rows += [Double(row &* 7919 % 101) / 50, Double(row &* 104_729 % 89) / 40 + Double(row % 7) * 0.1] }
        let given: [String: ParameterValue] = kind == .randomCutForest ? ["trees": .integer(8), "sample_size": .integer(64)] : [:]
        let plan = try TrainingPlan(
            detector: kind, parameters: DetectorParameters(for: kind, given: given), featureNames: ["a", "b"], threshold: .contamination(0.02),
            seed: seed, createdAt: 0)
        let order = RowOrder(times: (0..<400).map { Int64($0) * 1000 }, entities: (0..<400).map { Int32($0 % 5) })
        let model = try TrainedModel.fit(FeatureMatrix(values: rows, columns: 2), order: order, plan: plan)
        let version = try registry.publish(model.encoded(), set: "reading", facts: [:], promote: true, now: 1)
        let active = try #require(ActiveModel(model, version: version, set: 0, of: useCase))
        generations.append(ActiveModels(generation: try registry.generation(), models: [active]))
    }
    return generations
}

@Suite("The scorer's state")
struct ScorerStateTests {
    @Test(
        "a kill changes no score: neither what was learnt nor which version scores which record",
        arguments: [DetectorKind.ewma, .halfSpaceTrees, .randomCutForest, .kmeans, .isolationForest, .spectralResidual])
    func kill(_ kind: DetectorKind) throws {
        let (calm, rough) = (try RedisServer(appendOnly: false), try RedisServer(appendOnly: false))
        let (first, second) = (CurrentModels(sets: 1), CurrentModels(sets: 1))
        let generations = try publish(kind, to: calm)
        #expect(try publish(kind, to: rough).map(\.generation) == generations.map(\.generation))
        for models in [first, second] { models.put(generations[0]) }

        let undisturbed = try Scorer(calm, first)
        #expect(try undisturbed.take(committed: -1) == 0)
        var expected = try undisturbed.score(0..<180)
        first.put(generations[1])
        try undisturbed.partitions.tick()
        expected.merge(try undisturbed.score(180..<400)) { $1 }
        #expect(Set(expected.values.map(\.version)) == [1, 2])
        #expect(expected.values.contains { $0.isAnomaly })

        let killed = try Scorer(rough, second)
        _ = try killed.take(committed: -1)
        var seen = try killed.score(0..<100, batch: 13)
        try killed.commit(100)
        seen.merge(try killed.score(100..<150)) { $1 }
        try killed.commit(150)
        seen.merge(try killed.score(150..<180)) { $1 }
        // The swap is on record, and no snapshot contains it yet.
        second.put(generations[1])
        try killed.partitions.tick()
        seen.merge(try killed.score(180..<250)) { $1 }

        // Committed up to 230, snapshot of 150: another process goes on, in other batches.
        let successor = try Scorer(rough, second)
        #expect(try successor.take(committed: 230) == 150)
        let again = try successor.score(150..<400, batch: 31)
        #expect(again.keys.min() == 230)
        for (offset, outcome) in again {
            if let before = seen[offset] { #expect(outcome == before, "offset \(offset)") }
            seen[offset] = outcome
        }
        #expect(seen == expected)
    }

    @Test(
        "a revision and a late event are scored as if they came first, and nothing is learned from them",
        arguments: [DetectorKind.ewma, .halfSpaceTrees, .randomCutForest, .kmeans, .spectralResidual])
    func learnsOnce(_ kind: DetectorKind) throws {
        let server = try RedisServer(appendOnly: false)
        let models = CurrentModels(sets: 1)
        models.put(try publish(kind, to: server)[0])
        func outcomes(_ ranges: [Range<Int64>], again: [Int64: String] = [:]) throws -> [Int64: Scorer.Outcome] {
            _ = try RedisClient(try RedisSettings(url: server.url)).command(
                "DEL", RedisKeys(useCase: "state-case").stateSnapshot(service: "scoring-service", partition: 0))
            let scorer = try Scorer(server, models)
            _ = try scorer.take(committed: -1)
            var all: [Int64: Scorer.Outcome] = [:]
            for range in ranges { all.merge(try scorer.score(range, again: again)) { $1 } }
            return all
        }
        let learned = try outcomes([0..<120])
        let without = try outcomes([0..<30, 31..<41, 42..<120])
        let again = try outcomes([0..<120], again: [30: #""revision":1,"#, 41: #""late":true,"#])
        #expect(again[30]?.score == learned[30]?.score && again[41] != nil)
        var rest = again
        (rest[30], rest[41]) = (nil, nil)
        #expect(rest.mapValues(\.score) == without.mapValues(\.score))
        if kind == .ewma { #expect(learned.mapValues(\.score) != again.mapValues(\.score), "the test shows nothing") }
    }

    @Test("a kill anywhere between an anomaly and the end of it tells the end, once", arguments: [DetectorKind.ewma, .isolationForest])
    func ends(_ kind: DetectorKind) throws {
        let server = try RedisServer(appendOnly: false)
        let models = CurrentModels(sets: 1)
        models.put(try publish(kind, to: server)[0])
        let first = try Scorer(server, models)
        _ = try first.take(committed: -1)
        var expected = try first.score(0..<100)
        try first.commit(100)
        expected.merge(try first.score(100..<150)) { $1 }
        #expect(expected.values.contains { $0.isEnd })
        #expect((100..<125).contains { expected[$0]?.isEnd == true })

        for cut in 100..<125 as Range<Int64> {
            let successor = try Scorer(server, models)
            let start = try successor.take(committed: cut)
            #expect(start <= cut && start > cut - 5)
            #expect(try successor.score(start..<cut).isEmpty)
            // Some go on from a snapshot, some from one and a silent replay.
            if cut.isMultiple(of: 4) { try successor.commit(cut) }
            let outcomes = try successor.score(cut..<cut + 12, batch: 5)
            #expect(outcomes == expected.filter { (cut..<cut + 12).contains($0.key) }, "cut at \(cut)")
        }

        // Without any snapshot all that Kafka has is replayed.
        let empty = try RedisServer(appendOnly: false)
        models.put(try publish(kind, to: empty)[0])
        let cut = try #require((100..<125).first { expected[$0]?.isEnd == true })
        let rebuilt = try Scorer(empty, models)
        #expect(try rebuilt.take(committed: cut) == 0)
        #expect(try rebuilt.score(0..<cut).isEmpty)
        #expect(try rebuilt.score(cut..<150) == expected.filter { $0.key >= cut })
    }

    @Test("a former owner decides nothing any more")
    func fenced() throws {
        let server = try RedisServer(appendOnly: false)
        let models = CurrentModels(sets: 1)
        let generations = try publish(.ewma, to: server)
        models.put(generations[0])
        let zombie = try Scorer(server, models)
        _ = try zombie.take(committed: -1)
        _ = try zombie.score(0..<10)
        let owner = try Scorer(server, models)
        _ = try owner.take(committed: 5)
        models.put(generations[1])
        try zombie.partitions.tick()
        #expect(try zombie.score(10..<12).values.allSatisfy { $0.version == 1 })
    }

    @Test("more entities than the limit: the ones heard of least recently start anew, after a kill too")
    func evictions() throws {
        let (calm, rough) = (try RedisServer(appendOnly: false), try RedisServer(appendOnly: false))
        var expected: [Int64: Scorer.Outcome] = [:]
        for server in [calm, rough] {
            let models = CurrentModels(sets: 1)
            models.put(try publish(.ewma, to: server)[0])
            let scorer = try Scorer(server, models, entityLimit: 8)
            _ = try scorer.take(committed: -1)
            if server === calm {
                expected = try scorer.score(0..<300)
            } else {
                var seen = try scorer.score(0..<120)
                try scorer.commit(120)
                let successor = try Scorer(server, models, entityLimit: 8)
                #expect(try successor.take(committed: 120) == 120)
                seen.merge(try successor.score(120..<300)) { $1 }
                #expect(seen == expected)
            }
        }
    }
}
