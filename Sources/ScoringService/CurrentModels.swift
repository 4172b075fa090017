import Detectors
import JSON
import Synchronization

/// A model as it scores: immutable, shared by threads.
struct LoadedModel: Sendable {
    let model: TrainedModel
    /// The registry's version number.
    let version: Int64
    /// The detector's name as a JSON string, quotes included.
    let name: [UInt8]

    init(_ model: TrainedModel, version: Int64) {
        self.model = model
        self.version = version
        var writer = JSONWriter(capacity: 32)
        writer.value(model.kind.rawValue)
        name = writer.bytes
    }
}

/// The newest usable model of each feature set. The watcher puts, the stream and `/predict` take; a taker looks at `generation` (one atomic
/// load) and fetches only when it changed, so a swap costs nothing per record and takes effect between two batches.
final class CurrentModels: Sendable {
    private let models: Mutex<[LoadedModel?]>
    private let changes = Atomic<Int>(0)

    init(sets: Int) { models = Mutex(Array(repeating: nil, count: sets)) }

    var generation: Int { changes.load(ordering: .acquiring) }
    var all: [LoadedModel?] { models.withLock { $0 } }

    func put(_ model: LoadedModel, set: Int) {
        models.withLock { $0[set] = model }
        changes.wrappingAdd(1, ordering: .releasing)
    }
}

/// One thread's own scorers of the current models.
struct Scorers {
    private let models: CurrentModels
    private var generation = -1
    private(set) var current: [(loaded: LoadedModel, scorer: ModelScorer)?] = []

    init(_ models: CurrentModels) { self.models = models }

    /// Takes newer models if there are any; call between batches.
    mutating func refresh() {
        let newest = models.generation
        guard newest != generation else { return }
        generation = newest
        current = models.all.map { loaded in loaded.map { ($0, ModelScorer($0.model)) } }
    }

    /// Scores rows of one set. See `ModelScorer.score`.
    mutating func score(set: Int, _ vectors: [Double], scores: inout [Double], flags: inout [Bool]) {
        current[set]?.scorer.score(vectors, scores: &scores, flags: &flags)
    }

    mutating func score(set: Int, row: [Double]) -> (score: Double, isAnomaly: Bool)? {
        current[set]?.scorer.score(row)
    }
}

/// How sure a verdict is: 0 at the threshold, towards 1 the further the p-value is on its side of it.
func confidence(score: Double, threshold: Threshold) -> Double {
    let p = Calibration.pValue(score: score)
    let cut = max(threshold.probability, .leastNormalMagnitude)
    return p <= cut ? 1 - p / cut : min(1, (p - cut) / max(1 - cut, .leastNormalMagnitude))
}
