import Contracts
import Detectors

/// Rows of one batch that are scored in one call: those of a model that needs no state, of all partitions; or those of one partition by a
/// model that has its states. Buffers are reused. One thread, and no code of the caller's runs inside: the run-time checks for overlapping
/// access are left out.
final class Lane {
    /// Nil for records about silence, which need no model.
    let model: StreamModel?
    let states: EntityStates?
    /// Its place among the lanes of this batch; -1 while it has no rows.
    @exclusivity(unchecked) var number = -1

    @exclusivity(unchecked) private(set) var heads: [Head] = []
    @exclusivity(unchecked) private(set) var text: [UInt8] = []
    @exclusivity(unchecked) private(set) var scores: [Double] = []
    @exclusivity(unchecked) private(set) var flags: [Bool] = []
    /// Rows as the model sees them, `[row × feature of the model]`.
    @exclusivity(unchecked) private(set) var vectors: [Double] = []
    @exclusivity(unchecked) var matrix: [Double] = []
    @exclusivity(unchecked) private var times: [Int64] = []
    @exclusivity(unchecked) private var slots: [Int] = []
    @exclusivity(unchecked) private var isNews: [Bool] = []
    private var nextExplanation = 0

    init(model: StreamModel?, states: EntityStates?) {
        self.model = model
        self.states = states
    }

    struct Head {
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
        /// Of the raw record.
        var offset: Int64
        /// Of the record itself.
        var place: Int64
        /// The row's effects are durable already; it only teaches.
        var isSilent: Bool
    }

    func removeAll() {
        number = -1
        heads.removeAll(keepingCapacity: true)
        text.removeAll(keepingCapacity: true)
        matrix.removeAll(keepingCapacity: true)
        times.removeAll(keepingCapacity: true)
        slots.removeAll(keepingCapacity: true)
        isNews.removeAll(keepingCapacity: true)
    }

    /// Takes the record that the reader has just read.
    /// - Parameter place: offset of the record in its own topic.
    func append(_ reader: FeatureRecordReader, partition: Int32, place: Int64, isSilent: Bool) {
        reader.appendVector(to: &matrix)
        if let states {
            slots.append(states.slot(of: reader.text[reader.entity], offset: place))
            isNews.append(reader.isNews)
        }
        times.append(reader.eventTime)
        let start = text.count
        text.append(contentsOf: reader.text[reader.id])
        let afterID = text.count
        text.append(contentsOf: reader.text[reader.kind])
        let afterKind = text.count
        text.append(contentsOf: reader.text[reader.entity])
        heads.append(
            Head(
                id: start..<afterID, kind: afterID..<afterKind, entity: afterKind..<text.count, partition: partition,
                eventTime: reader.eventTime, window: reader.window, revision: reader.revision, isLate: reader.isLate, producedAt: reader.producedAt,
                offset: reader.offset, place: place,
                isSilent: isSilent))
    }

    func score() {
        guard let model else { return }
        nextExplanation = 0
        model.loaded.gather(matrix, width: model.width, into: &vectors)
        guard let states else {
            var none: [DetectorState] = []
            return model.scorer.score(vectors, times: times, slots: slots, states: &none, scores: &scores, flags: &flags, explaining: true)
        }
        model.scorer.score(
            vectors, times: times, slots: slots, isNews: isNews, states: &states.states, scores: &scores, flags: &flags, explaining: true)
        states.batchIsOver()
        // Lanes share the scorer: what it says about this one is kept until it is written.
        explanations = model.scorer.explanations
    }

    private var explanations: [(row: Int, explanation: Explanation)] = []

    /// Why an alerted row alerted; asked for in the rows' order.
    func reason(row: Int) -> ScoreRecordWriter.Reason {
        let all = states == nil ? model?.scorer.explanations ?? [] : explanations
        while nextExplanation < all.count, all[nextExplanation].row < row { nextExplanation += 1 }
        let columns = model?.loaded.model.featureNames.count ?? 0
        let actual = Array(vectors[row * columns..<(row + 1) * columns])
        guard nextExplanation < all.count, all[nextExplanation].row == row else {
            return ScoreRecordWriter.Reason(actual: actual, expected: actual, contributions: actual.map { _ in 0 })
        }
        let found = all[nextExplanation].explanation
        return ScoreRecordWriter.Reason(actual: actual, expected: found.expected, contributions: found.contributions)
    }
}
