import Scoring
import Streaming

/// From here on the partition is scored by the models of this generation of the registry.
struct ModelSwap: RawRepresentable, Equatable {
    let rawValue: Int64
}

/// One partition's `ScoringState` with the models that it needs, as `StatefulPartitions` keeps it through crashes.
///
/// A swap is a decision of the clock: it is on record with its offset before anything is scored by the new version, so a replay uses the
/// same version for the same record.
final class ScorerPartition: PartitionStateful {
    let scoring: ScoringState
    private let cache: ModelCache

    init(_ step: ScoringStep, _ cache: ModelCache, entityLimit: Int) {
        self.cache = cache
        scoring = ScoringState(step, entityLimit: entityLimit)
    }

    func carryOut(_ swap: ModelSwap) throws { scoring.use(try cache.models(at: swap.rawValue, for: scoring)) }

    /// The first record of a partition that was never scored decides by which models.
    var decisionNeeded: ModelSwap? { scoring.generation == 0 ? ModelSwap(rawValue: cache.newest.generation) : nil }

    func decisionDue(silence: Int64) -> ModelSwap? {
        let newest = cache.newest.generation
        return newest > scoring.generation ? ModelSwap(rawValue: newest) : nil
    }

    func write(whole: Bool) -> [UInt8] { scoring.write(isFull: whole) }

    func restore(_ parts: [[UInt8]]) throws { try scoring.restore(parts) { try cache.model(set: $0, version: $1) } }
}
