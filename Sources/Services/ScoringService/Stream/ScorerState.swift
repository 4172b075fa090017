import Detectors
import StateStore

/// What the scorer knows about one partition: which model version scores each feature set from here on, what learning models remember, which
/// entities are anomalous, and what it has seen.
///
/// A swap is a decision of the clock: it is on record with its offset before anything is scored by the new version, so a replay uses the
/// same version for the same record.
final class ScorerState: PartitionStateful {
    private let library: ModelLibrary
    private let entityLimit: Int
    /// Of the registry; 0 before the first decision.
    private(set) var generation: Int64 = 0
    /// By feature set.
    private(set) var lanes: [Lane?]
    private var versions: [Int64]
    private let shared: SharedLanes
    @exclusivity(unchecked) var anomalous: AnomalousEntities
    @exclusivity(unchecked) var repetitions = Repetitions()

    init(_ library: ModelLibrary, shared: SharedLanes, entityLimit: Int) {
        self.library = library
        self.shared = shared
        self.entityLimit = entityLimit
        anomalous = AnomalousEntities(limit: entityLimit)
        lanes = Array(repeating: nil, count: library.sets)
        versions = Array(repeating: 0, count: library.sets)
    }

    /// Goes on to the models of a generation. What is remembered for a model goes with it: the next one sees other numbers.
    func go(to generation: Int64) throws {
        for (set, model) in try library.models(at: generation).enumerated() {
            take(model ?? (lanes[set] == nil ? library.newest(set: set) : nil), set)
        }
        self.generation = generation
    }

    private func take(_ model: StreamModel?, _ set: Int) {
        guard let model, model.version != versions[set] || lanes[set] == nil else { return }
        versions[set] = model.version
        lanes[set] =
            model.needsState ? Lane(model: model, states: EntityStates(model.loaded.model, limit: entityLimit)) : shared.lane(of: model)
    }

    var entities: Int { lanes.reduce(0) { $0 + ($1?.states?.entities ?? 0) } }
    func takeEvictions() -> Int { lanes.reduce(0) { $0 + ($1?.states?.takeEvictions() ?? 0) } }

    // MARK: PartitionStateful

    func advanceDue(silence: Int64) -> Int64? {
        let newest = library.newest
        return newest > generation ? newest : nil
    }

    /// Layout, after its version: generation, versions by set, for each set whether it has states, with `EntityStates.write`, then
    /// `AnomalousEntities.write` and `Repetitions.write`.
    func write(whole: Bool) -> [UInt8] {
        var writer = StateWriter()
        writer.write(UInt8(4))
        writer.write(generation)
        writer.write(versions)
        for lane in lanes {
            writer.write(lane?.states != nil)
            lane?.states?.write(whole: whole, into: &writer)
        }
        anomalous.write(whole: whole, into: &writer)
        repetitions.write(into: &writer)
        return writer.bytes
    }

    func restore(_ parts: [[UInt8]]) throws {
        for part in parts {
            var reader = StateReader(part, of: .partitionState)
            try reader.version(4, of: "scorer's state")
            generation = try reader.int64()
            let stored = try reader.int64s()
            guard stored.count == lanes.count else { throw reader.damaged("the feature sets are others") }
            for (set, version) in stored.enumerated() where version != versions[set] {
                guard let model = try library.model(set: set, version: version) else {
                    throw reader.damaged("version \(version) of a model is gone")
                }
                take(model, set)
            }
            for lane in lanes {
                guard try reader.flag() == (lane?.states != nil) else { throw reader.damaged("a model's states are others") }
                try lane?.states?.read(from: &reader)
            }
            try anomalous.read(from: &reader)
            try repetitions.read(from: &reader)
            try reader.finish()
        }
    }
}

/// One lane for each model that needs no state: its rows of all partitions are scored together.
final class SharedLanes {
    private var lanes: [Lane] = []

    func lane(of model: StreamModel) -> Lane {
        if let lane = lanes.first(where: { $0.model === model }) { return lane }
        let lane = Lane(model: model, states: nil)
        lanes.append(lane)
        return lane
    }

    /// Drops the lanes of models that no partition uses any more.
    func prune(keeping used: [Lane]) { lanes.removeAll { lane in !used.contains { $0 === lane } } }
}
