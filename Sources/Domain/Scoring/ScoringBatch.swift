import Contracts
import Detectors

/// Records that are scored in one call: those of a model that needs no state, of all partitions; or those of one partition by a model that
/// has its states. Buffers are reused. One thread's own.
///
/// Nothing of it comes in twice, so access is not checked.
final class ScoringBatch {
    /// Nil for records about absence, which need no model.
    let runner: ModelRunner?
    let states: EntityStates?
    /// Its position among the batches in progress; -1 while it has no records.
    @exclusivity(unchecked) var index = -1

    @exclusivity(unchecked) private(set) var records: [Record] = []
    /// The records' strings.
    @exclusivity(unchecked) private(set) var text: [UInt8] = []
    /// `[record × feature of the set]`
    @exclusivity(unchecked) private(set) var matrix: [Double] = []
    @exclusivity(unchecked) var scored = ScoredRows()
    @exclusivity(unchecked) private var times: [Int64] = []
    @exclusivity(unchecked) private var slots: [Int] = []
    @exclusivity(unchecked) private var isNews: [Bool] = []

    init(runner: ModelRunner?, states: EntityStates?) {
        self.runner = runner
        self.states = states
    }

    /// All of a feature record but its vector; strings are ranges of `text`.
    struct Record {
        var id: Range<Int>
        var kind: Range<Int>
        var entity: Range<Int>
        var partition: Int32
        var eventTime: Int64
        var window: Range<Int64>?
        var revision: UInt32
        /// It came too late to say how its entity is now.
        var isLate: Bool
        var producedAt: Int64
        /// Of the event that caused it.
        var eventOffset: Int64
        var eventSequence: Int64
        /// Of the record itself.
        var offset: Int64
        /// Its effects are durable already; it only rebuilds the state.
        var isReplay: Bool
        var state: ScoringState
    }

    func removeAll() {
        index = -1
        records.removeAll(keepingCapacity: true)
        text.removeAll(keepingCapacity: true)
        matrix.removeAll(keepingCapacity: true)
        times.removeAll(keepingCapacity: true)
        slots.removeAll(keepingCapacity: true)
        isNews.removeAll(keepingCapacity: true)
    }

    /// Takes the record that the reader has just read.
    /// - Parameter offset: of the record in its own topic.
    func append(_ reader: FeatureRecordReader, partition: Int32, offset: Int64, isReplay: Bool, state: ScoringState) {
        reader.appendVector(to: &matrix)
        if let states {
            slots.append(states.slot(of: reader.text[reader.entity], offset: offset))
            isNews.append(reader.isNews)
        }
        times.append(reader.eventTime)
        let start = text.count
        text.append(contentsOf: reader.text[reader.id])
        let afterID = text.count
        text.append(contentsOf: reader.text[reader.kind])
        let afterKind = text.count
        text.append(contentsOf: reader.text[reader.entity])
        records.append(
            Record(
                id: start..<afterID, kind: afterID..<afterKind, entity: afterKind..<text.count, partition: partition,
                eventTime: reader.eventTime, window: reader.window, revision: reader.revision, isLate: reader.isLate, producedAt: reader.producedAt,
                eventOffset: reader.offset, eventSequence: reader.sequence, offset: offset,
                isReplay: isReplay, state: state))
    }

    func score() {
        guard let runner else { return }
        guard let states else {
            var none: [DetectorState] = []
            return runner.score(matrix, times: times, slots: slots, isNews: isNews, states: &none, into: &scored)
        }
        runner.score(matrix, times: times, slots: slots, isNews: isNews, states: &states.states, into: &scored)
        states.batchIsOver()
    }
}
