import Contracts
import Detectors
import JSON
import ServiceKit
import Synchronization

/// A model as it scores: immutable, shared by threads.
struct LoadedModel: Sendable {
    let model: TrainedModel
    /// The registry's version number.
    let version: Int64
    /// The detector's name as a JSON string, quotes included.
    let name: [UInt8]
    /// When this process took it into use, milliseconds since 1970.
    let loadedAt: Int64
    /// Where each of the model's features stands in the feature set; nil when it takes all of them in order.
    let columns: [Int]?

    /// - Parameter features: names of the feature set.
    /// - Returns: nil when the model wants a feature that the set does not have.
    init?(_ model: TrainedModel, version: Int64, features: [String]) {
        let found = model.featureNames.map { features.firstIndex(of: $0) }
        let columns = found.compactMap { $0 }
        guard columns.count == found.count else { return nil }
        self.columns = model.featureNames == features ? nil : columns
        self.model = model
        self.version = version
        loadedAt = Clock.milliseconds
        var writer = JSONWriter(capacity: 32)
        writer.value(model.kind.rawValue)
        name = writer.bytes
    }

    /// The rows of the set reduced to the model's columns, into a reused buffer.
    func gather(_ rows: [Double], width: Int, into vectors: inout [Double]) {
        vectors.removeAll(keepingCapacity: true)
        guard let columns else { return vectors.append(contentsOf: rows) }
        for start in stride(from: 0, to: rows.count, by: width) {
            for column in columns { vectors.append(rows[start + column]) }
        }
    }
}

/// The models of all feature sets as of one generation of the registry; nil for a set that has none yet.
struct LineUp: Sendable {
    var generation: Int64
    var models: [LoadedModel?]
}

/// The newest usable line-up. The watcher puts, the stream and `/predict` take; a taker looks at `generation` (one atomic load) and fetches
/// only when it changed, so a swap costs nothing per record.
final class CurrentModels: Sendable {
    private let held: Mutex<LineUp>
    private let changes = Atomic<Int>(0)

    init(sets: Int) { held = Mutex(LineUp(generation: 0, models: Array(repeating: nil, count: sets))) }

    /// How often the line-up has changed in this process.
    var generation: Int { changes.load(ordering: .acquiring) }
    var lineUp: LineUp { held.withLock { $0 } }
    var all: [LoadedModel?] { lineUp.models }

    func put(_ lineUp: LineUp) {
        held.withLock { $0 = lineUp }
        changes.wrappingAdd(1, ordering: .releasing)
    }
}

/// A model with what one thread needs to score by it; not shared.
final class Scorer {
    let loaded: LoadedModel
    // What an answer repeats, taken out of the model so that writing one touches no other part of it.
    let threshold: Threshold
    let name: [UInt8]
    let version: Int64
    let featureKeys: [[UInt8]]
    let types: AnomalyTypes
    let namesTypes: Bool
    private let width: Int
    private var scorer: ModelScorer
    /// Rows of the last call in the model's own columns.
    private(set) var vectors: [Double] = []

    init(_ loaded: LoadedModel, width: Int, types: [AnomalyType]) {
        self.loaded = loaded
        self.types = AnomalyTypes(types, features: loaded.model.featureNames)
        namesTypes = !types.isEmpty
        self.width = width
        threshold = loaded.model.threshold
        name = loaded.name
        version = loaded.version
        featureKeys = loaded.model.featureNames.map { JSONWriter.escapedKey($0) }
        scorer = ModelScorer(loaded.model)
    }

    /// - Parameter rows: `[row × feature of the set]`, NaN for what is missing.
    func score(_ rows: [Double], scores: inout [Double], flags: inout [Bool]) {
        loaded.gather(rows, width: width, into: &vectors)
        scorer.score(vectors, scores: &scores, flags: &flags)
    }

    /// The vectors of the last call, `[row × feature of the model]`, without a copy.
    func withVectors<Result>(_ body: (UnsafeBufferPointer<Double>) -> Result) -> Result { vectors.withUnsafeBufferPointer(body) }

    /// The values that the model saw in one row of the last call.
    func values(row: Int) -> [Double] {
        let columns = loaded.model.featureNames.count
        return Array(vectors[row * columns..<(row + 1) * columns])
    }
}

/// One thread's own scorers of the current models, one per feature set.
struct Scorers {
    private let models: CurrentModels
    private let widths: [Int]
    private let types: [AnomalyType]
    private var generation = -1
    private var current: [Scorer?] = []

    /// - Parameters:
    ///   - widths: number of features of each set.
    ///   - types: of the use case.
    init(_ models: CurrentModels, widths: [Int], types: [AnomalyType]) {
        self.models = models
        self.widths = widths
        self.types = types
    }

    /// Takes newer models if there are any; call between batches.
    mutating func refresh() {
        let newest = models.generation
        guard newest != generation else { return }
        generation = newest
        current = zip(models.all, widths).map { loaded, width in loaded.map { Scorer($0, width: width, types: types) } }
    }

    /// Nil while the set has no model.
    subscript(index: Int) -> Scorer? { index < current.count ? current[index] : nil }
}

/// How sure a verdict is: 0 at the threshold, towards 1 the further the p-value is on its side of it.
func confidence(score: Double, threshold: Threshold) -> Double {
    let p = Calibration.pValue(score: score)
    let cut = max(threshold.probability, .leastNormalMagnitude)
    return p <= cut ? 1 - p / cut : min(1, (p - cut) / max(1 - cut, .leastNormalMagnitude))
}
