import Contracts
import Detectors

/// What scoring knows about one partition: which model version scores each feature set from here on, what learning models remember, which
/// entities are anomalous, and what it has seen. One thread's own.
///
/// It depends on nothing but the calls made: the same records and swaps at the same offsets leave the same state, bit for bit.
public final class ScoringState {
    /// Of the registry; 0 before the first models.
    public private(set) var generation: Int64 = 0
    /// By feature set.
    private(set) var batches: [ScoringBatch?]
    private var versions: [Int64]
    private let step: ScoringStep
    private let entityLimit: Int
    @exclusivity(unchecked) var anomalous: AnomalousEntities
    @exclusivity(unchecked) var duplicates = DuplicateFilter()

    /// - Parameters:
    ///   - step: what will score this partition's records.
    ///   - entityLimit: most entities that a learning model remembers, and most that are known to be anomalous.
    public init(_ step: ScoringStep, entityLimit: Int) {
        self.step = step
        self.entityLimit = entityLimit
        anomalous = AnomalousEntities(limit: entityLimit)
        batches = Array(repeating: nil, count: step.sets)
        versions = Array(repeating: 0, count: step.sets)
    }

    /// Goes on to the models of a generation. What is remembered for a model goes with it: the next one sees other numbers.
    /// - Parameter active: nil for a set keeps what it has.
    public func use(_ active: ActiveModels) {
        for (set, model) in active.models.enumerated() { use(model, set) }
        generation = active.generation
    }

    private func use(_ model: ActiveModel?, _ set: Int) {
        guard let model, model.version != versions[set] || batches[set] == nil else { return }
        versions[set] = model.version
        batches[set] = step.batch(of: model, states: model.model.needsState ? EntityStates(model.model, limit: entityLimit) : nil)
    }

    /// The version that scores a set; 0 while none does.
    public func version(ofSet set: Int) -> Int64 { batches[set] == nil ? 0 : versions[set] }
    /// Entities that learning models remember.
    public var entities: Int { batches.reduce(0) { $0 + ($1?.states?.entities ?? 0) } }
    /// How many entities were forgotten for want of room since the last call.
    public func takeEvictions() -> Int { batches.reduce(0) { $0 + ($1?.states?.takeEvictions() ?? 0) } }

    // MARK: Snapshots

    /// Layout, after its version: generation, versions by set, for each set whether it has states, with `EntityStates.write`, then
    /// `AnomalousEntities.write` and `DuplicateFilter.write`.
    /// - Parameter isFull: everything; otherwise what changed since the last call.
    public func write(isFull: Bool) -> [UInt8] {
        var writer = StateWriter()
        writer.write(UInt8(4))
        writer.write(generation)
        writer.write(versions)
        for batch in batches {
            writer.write(batch?.states != nil)
            batch?.states?.write(whole: isFull, into: &writer)
        }
        anomalous.write(whole: isFull, into: &writer)
        duplicates.write(into: &writer)
        return writer.bytes
    }

    /// Takes in a full state and then its increments, as `write` wrote them.
    /// - Parameter model: finds a version of a set's model; nil where it is gone.
    public func restore(_ parts: [[UInt8]], model: (_ set: Int, _ version: Int64) throws -> ActiveModel?) throws {
        for part in parts {
            var reader = StateReader(part, of: .partitionState)
            try reader.version(4, of: "scorer's state")
            generation = try reader.int64()
            let stored = try reader.int64s()
            guard stored.count == batches.count else { throw reader.damaged("the feature sets are others") }
            for (set, version) in stored.enumerated() where version != versions[set] {
                guard let model = try model(set, version) else { throw reader.damaged("version \(version) of a model is gone") }
                use(model, set)
            }
            for batch in batches {
                guard try reader.flag() == (batch?.states != nil) else { throw reader.damaged("a model's states are others") }
                try batch?.states?.read(from: &reader)
            }
            try anomalous.read(from: &reader)
            try duplicates.read(from: &reader)
            try reader.finish()
        }
    }
}
