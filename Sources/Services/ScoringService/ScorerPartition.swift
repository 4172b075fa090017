import Scoring
import StateStore

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

    /// Goes on to the models of a generation.
    func go(to generation: Int64) throws { scoring.use(try cache.models(at: generation, for: scoring)) }

    func advanceDue(silence: Int64) -> Int64? {
        let newest = cache.newest.generation
        return newest > scoring.generation ? newest : nil
    }

    func write(whole: Bool) -> [UInt8] { scoring.write(isFull: whole) }

    func restore(_ parts: [[UInt8]]) throws { try scoring.restore(parts) { try cache.model(set: $0, version: $1) } }
}
