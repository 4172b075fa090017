import Scoring
import Synchronization

/// The newest usable models. The watcher puts, the stream and `/predict` take; a taker looks at `changes` (one atomic load) and fetches only
/// when it moved, so a swap costs nothing per record.
final class CurrentModels: Sendable {
    private let held: Mutex<ActiveModels>
    private let count = Atomic<Int>(0)

    init(sets: Int) { held = Mutex(ActiveModels(generation: 0, models: Array(repeating: nil, count: sets))) }

    /// How often the models have changed in this process.
    var changes: Int { count.load(ordering: .acquiring) }
    var active: ActiveModels { held.withLock { $0 } }

    func put(_ active: ActiveModels) {
        held.withLock { $0 = active }
        count.wrappingAdd(1, ordering: .releasing)
    }
}

/// One thread's own runners of the current models, one per feature set.
struct CurrentRunners {
    private let models: CurrentModels
    private var changes = -1
    private var runners: [ModelRunner?] = []

    init(_ models: CurrentModels) { self.models = models }

    /// Takes newer models if there are any; call between batches.
    mutating func refresh() {
        let newest = models.changes
        guard newest != changes else { return }
        changes = newest
        runners = models.active.models.map { $0.map { ModelRunner($0) } }
    }

    /// Nil while the set has no model.
    subscript(index: Int) -> ModelRunner? { index < runners.count ? runners[index] : nil }
}
