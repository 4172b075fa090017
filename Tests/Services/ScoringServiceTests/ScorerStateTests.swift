import Contracts
import Detectors
import KafkaClient
import ModelRegistry
import RedisClient
import StateStore
import TestSupport
import Testing
import UseCases

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

/// One partition of the scorer, driven as the pipeline drives it, on a Redis of its own.
private final class Scorer {
    let server: RedisServer
    let models: CurrentModels
    let partitions: StatefulPartitions<ScorerState>
    private let library: ModelLibrary
    private var reader: FeatureRecordReader
    private let place = TopicPartition("state-case.features", 0)

    init(_ server: RedisServer, _ models: CurrentModels, entityLimit: Int = 100) throws {
        self.server = server
        self.models = models
        let useCase = try UseCase.parse(definition, file: "/tmp/usecase.yaml")
        let redis = try RedisSettings(url: server.url)
        let service = Service(
            name: "scoring-service", log: Logger(service: "scoring-service", level: .error, format: .text), metrics: Metrics(), life: Lifecycle())
        let library = ModelLibrary(useCase, models, redis: redis, service)
        let shared = SharedLanes()
        self.library = library
        reader = try FeatureRecordReader(sets: useCase.recordSets)
        partitions = StatefulPartitions(
            service, redis: redis, store: { StateStore($0, keys: RedisKeys(useCase: "state-case"), service: "scoring-service") }, interval: 1,
            idleAfter: 0, make: { _ in ScorerState(library, shared: shared, entityLimit: entityLimit) },
            advance: { owned, generation, _ in try owned.state.go(to: generation) })
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
            var order: [(Int64, Lane, Int)] = []
            var lanes: [Lane] = []
            for offset in start..<min(start + batch, offsets.upperBound) {
                guard let owned = try partitions.state(of: 0, at: offset) else { continue }
                if owned.state.generation == 0 { #expect(try partitions.decide(owned, library.newest)) }
                partitions.applied(owned, offset)
                let bytes = Self.record(offset, again[offset] ?? "")
                #expect(reader.read(bytes, 0..<bytes.count) == nil)
                let lane = try #require(owned.state.lanes[0])
                if lane.number < 0 {
                    lane.number = lanes.count
                    lanes.append(lane)
                }
                order.append((offset, lane, lane.heads.count))
                lane.append(reader, partition: 0, place: offset, isSilent: offset < owned.effectsFrom)
            }
            for lane in lanes { lane.score() }
            for (offset, lane, row) in order {
                var outcome = Outcome(version: lane.model?.version ?? 0, score: lane.scores[row], isAnomaly: lane.flags[row])
                let state = try #require(partitions.state(of: 0))
                lane.text[lane.heads[row].entity].withUnsafeBytes { entity in
                    if outcome.isAnomaly {
                        state.anomalous.began(0, entity, offset: lane.heads[row].place)
                    } else {
                        outcome.isEnd = state.anomalous.ended(0, entity)
                    }
                }
                if !lane.heads[row].isSilent { outcomes[offset] = outcome }
            }
            for lane in lanes { lane.removeAll() }
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

/// Two versions of a detector, in the registry and as line-ups of their generations.
private func publish(_ kind: DetectorKind, to server: RedisServer) throws -> [LineUp] {
    let registry = ModelRegistry(RedisClient(try RedisSettings(url: server.url)), useCase: "state-case")
    var lineUps: [LineUp] = []
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
        let loaded = try #require(LoadedModel(model, version: version, features: ["a", "b"]))
        lineUps.append(LineUp(generation: try registry.generation(), models: [loaded]))
    }
    return lineUps
}

@Suite("The scorer's state")
struct ScorerStateTests {
    @Test(
        "a kill changes no score: neither what was learnt nor which version scores which record",
        arguments: [DetectorKind.ewma, .halfSpaceTrees, .randomCutForest, .kmeans, .isolationForest, .spectralResidual])
    func kill(_ kind: DetectorKind) throws {
        let (calm, rough) = (try RedisServer(appendOnly: false), try RedisServer(appendOnly: false))
        let (first, second) = (CurrentModels(sets: 1), CurrentModels(sets: 1))
        let lineUps = try publish(kind, to: calm)
        #expect(try publish(kind, to: rough).map(\.generation) == lineUps.map(\.generation))
        for models in [first, second] { models.put(lineUps[0]) }

        let undisturbed = try Scorer(calm, first)
        #expect(try undisturbed.take(committed: -1) == 0)
        var expected = try undisturbed.score(0..<180)
        first.put(lineUps[1])
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
        second.put(lineUps[1])
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

    @Test("anomalies that are open come back as they were, within the limit")
    func anomalousEntities() throws {
        var (known, copy) = (AnomalousEntities(limit: 16), AnomalousEntities(limit: 16))
        func name(_ number: Int64) -> [UInt8] { Array("entity-\(number)".utf8) }
        for round in 0..<8 as Range<Int64> {
            for number in 0..<10 as Range<Int64> { name(round * 4 + number).withUnsafeBytes { known.began(1, $0, offset: round * 20 + number) } }
            for number in 0..<3 as Range<Int64> { _ = name(round * 4 + number).withUnsafeBytes { known.ended(1, $0) } }
            var writer = StateWriter()
            known.write(whole: round == 3, into: &writer)
            var reader = StateReader(writer.bytes)
            try copy.read(from: &reader)
            try reader.finish()
            #expect(known.count <= 16)
            #expect(copy.count == known.count)
        }
        for number in 0..<50 as Range<Int64> {
            let (one, two) = (name(number).withUnsafeBytes { known.ended(1, $0) }, name(number).withUnsafeBytes { copy.ended(1, $0) })
            #expect(one == two, "entity \(number)")
        }
        #expect(known.count == 0 && copy.count == 0)
    }

    @Test("a former owner decides nothing any more")
    func fenced() throws {
        let server = try RedisServer(appendOnly: false)
        let models = CurrentModels(sets: 1)
        let lineUps = try publish(.ewma, to: server)
        models.put(lineUps[0])
        let zombie = try Scorer(server, models)
        _ = try zombie.take(committed: -1)
        _ = try zombie.score(0..<10)
        let owner = try Scorer(server, models)
        _ = try owner.take(committed: 5)
        models.put(lineUps[1])
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

    @Test("states of many entities come back as they were, forgotten ones do not")
    func entityStates() throws {
        let server = try RedisServer(appendOnly: false)
        let model = try #require(try publish(.ewma, to: server)[0].models[0]).model
        let states = EntityStates(model, limit: 64)
        let copy = EntityStates(model, limit: 64)
        func name(_ number: Int64) -> ArraySlice<UInt8> { Array("entity-\(number)".utf8)[...] }
        for round in 0..<6 as Range<Int64> {
            for number in 0..<50 as Range<Int64> {
                let slot = states.slot(of: name(round * 17 + number), offset: round * 50 + number)
                states.states[slot].numbers[0] = Double(round * 1000 + number)
            }
            states.batchIsOver()
            var writer = StateWriter()
            states.write(whole: round == 3, into: &writer)
            var reader = StateReader(writer.bytes)
            try copy.read(from: &reader)
            try reader.finish()
            #expect(copy.entities == states.entities)
            #expect(states.entities <= 64)
        }
        #expect(states.takeEvictions() > 0)
        for number in 100..<135 as Range<Int64> {
            let (one, two) = (states.slot(of: name(number), offset: 1000 + number), copy.slot(of: name(number), offset: 1000 + number))
            #expect(states.states[one] == copy.states[two])
        }
    }
}
