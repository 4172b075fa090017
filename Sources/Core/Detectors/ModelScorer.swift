/// Scores rows with a model: vectors in, scores and flags out. One for each thread; it owns its working memory, so that scoring allocates
/// only while the batch is larger than any before.
public struct ModelScorer: Sendable {
    public let model: TrainedModel
    private var scaled: [Double] = []
    private var wide: [Double] = []
    private var scratch = ScoringScratch()
    private var oneScore: [Double] = []
    private var oneFlag: [Bool] = []
    private var oneState = [DetectorState()]
    private let streaming: (any StreamingDetector)?

    /// Why rows of the last call alerted, in the rows' order; only where it was asked for.
    public private(set) var explanations: [(row: Int, explanation: Explanation)] = []

    public init(_ model: TrainedModel) {
        self.model = model
        streaming = model.needsState ? model.streaming : nil
    }

    /// Scores a batch of `[row × feature]`; NaN is a missing value. `scores` (0...1) and `flags` (score at or above the threshold) get one
    /// entry for each row and keep their storage.
    public mutating func score(_ vectors: [Double], scores: inout [Double], flags: inout [Bool]) {
        model.score(vectors, &scaled, &scratch, scores: &scores, flags: &flags)
    }

    /// Scores one row.
    public mutating func score(_ row: [Double]) -> (score: Double, isAnomaly: Bool) {
        precondition(row.count == model.featureNames.count, "a row has a number for each feature")
        model.score(row, &scaled, &scratch, scores: &oneScore, flags: &oneFlag)
        return (oneScore[0], oneFlag[0])
    }

    /// Scores rows in the order in which they happened, each in the light of its state, which takes it in; a row that does not alert also
    /// teaches a learning detector. For a model that needs no state this is `score(_:scores:flags:)`.
    ///
    /// - Parameters:
    ///   - times: event time of each row, milliseconds.
    ///   - slots: for each row, which of `states` is its entity's (or its stream's, see `TrainedModel.stateScope`).
    ///   - isNews: for each row, whether its state takes it in; what says something again, or out of its time, is scored only. Empty: all.
    ///   - explaining: says in `explanations` why rows alerted.
    public mutating func score(
        _ vectors: [Double], times: [Int64], slots: [Int], isNews: [Bool] = [], states: inout [DetectorState], scores: inout [Double],
        flags: inout [Bool], explaining: Bool = false
    ) {
        explanations.removeAll(keepingCapacity: true)
        guard let streaming else {
            model.score(vectors, &scaled, &scratch, scores: &scores, flags: &flags)
            guard explaining else { return }
            let columns = model.featureNames.count
            for row in flags.indices where flags[row] {
                explanations.append((row, model.explain(Array(vectors[row * columns..<(row + 1) * columns]))))
            }
            return
        }
        var reasons: [(row: Int, explanation: Explanation)]? = explaining ? [] : nil
        if let widening = streaming as? any WideningDetector {
            model.score(vectors, widening, slots, isNews, &states, &scaled, &wide, &scratch, scores: &scores, flags: &flags, &reasons)
        } else {
            model.score(vectors, streaming, times, slots, isNews, &states, &scaled, &scratch, scores: &scores, flags: &flags, &reasons)
        }
        explanations = reasons ?? []
    }

    /// Scores one row in the light of its state.
    public mutating func score(_ row: [Double], time: Int64, state: inout DetectorState) -> (score: Double, isAnomaly: Bool) {
        var (states, scores, flags): ([DetectorState], [Double], [Bool]) = ([], [], [])
        swap(&states, &oneState)
        swap(&states[0], &state)
        score(row, times: [time], slots: [0], states: &states, scores: &scores, flags: &flags)
        swap(&states[0], &state)
        swap(&states, &oneState)
        return (scores[0], flags[0])
    }
}

extension TrainedModel {
    /// Rows one after the other through a detector that learns.
    fileprivate func score(
        _ vectors: [Double], _ detector: some StreamingDetector, _ times: [Int64], _ slots: [Int], _ isNews: [Bool],
        _ states: inout [DetectorState], _ scaled: inout [Double], _ scratch: inout ScoringScratch, scores: inout [Double], flags: inout [Bool],
        _ reasons: inout [(row: Int, explanation: Explanation)]?
    ) {
        let columns = featureNames.count
        let rows = prepare(vectors, &scaled, &scores, &flags)
        precondition(times.count == rows && slots.count == rows, "each row has a time and a state")
        for row in 0..<rows {
            let values = scaled.span.extracting(row * columns..<(row + 1) * columns)
            let slot = slots[row]
            guard isNews.isEmpty || isNews[row] else {
                var state = states[slot]
                let raw = detector.score(values, time: times[row], state: &state, scratch: &scratch)
                judge(raw, values, vectors.span, row, &scores, &flags)
                if flags[row], reasons != nil {
                    let own = Array(scaled[row * columns..<(row + 1) * columns])
                    reasons?.append((row, inUnits(detector.explain(own, time: times[row], state: state), of: own)))
                }
                continue
            }
            let raw = detector.score(values, time: times[row], state: &states[slot], scratch: &scratch)
            judge(raw, values, vectors.span, row, &scores, &flags)
            if !flags[row] {
                detector.learn(values, time: times[row], state: &states[slot])
            } else if reasons != nil {
                let own = Array(scaled[row * columns..<(row + 1) * columns])
                reasons?.append((row, inUnits(detector.explain(own, time: times[row], state: states[slot]), of: own)))
            }
        }
    }

    /// Rows widened one after the other by what their states remember, then scored together.
    fileprivate func score(
        _ vectors: [Double], _ detector: some WideningDetector, _ slots: [Int], _ isNews: [Bool], _ states: inout [DetectorState],
        _ scaled: inout [Double], _ wide: inout [Double], _ scratch: inout ScoringScratch, scores: inout [Double], flags: inout [Bool],
        _ reasons: inout [(row: Int, explanation: Explanation)]?
    ) {
        let (columns, width) = (featureNames.count, detector.wideColumns)
        let rows = prepare(vectors, &scaled, &scores, &flags)
        precondition(slots.count == rows, "each row has a state")
        guard rows > 0 else { return }
        if wide.count < rows * width { wide = [Double](repeating: 0, count: rows * width) }
        var output = wide.mutableSpan
        for row in 0..<rows {
            var place = output._mutatingExtracting(row * width..<(row + 1) * width)
            let values = scaled.span.extracting(row * columns..<(row + 1) * columns)
            if isNews.isEmpty || isNews[row] {
                detector.widen(values, state: &states[slots[row]], into: &place)
            } else {
                var state = states[slots[row]]
                detector.widen(values, state: &state, into: &place)
            }
        }
        var raw = scores.mutableSpan
        detector.scoreWide(wide.span.extracting(first: rows * width), into: &raw, scratch: &scratch)
        for row in 0..<rows {
            judge(scores[row], scaled.span.extracting(row * columns..<(row + 1) * columns), vectors.span, row, &scores, &flags)
            if flags[row], reasons != nil {
                let own = Array(scaled[row * columns..<(row + 1) * columns])
                reasons?.append((row, inUnits(detector.explainWide(Array(wide[row * width..<(row + 1) * width])), of: own)))
            }
        }
    }

    /// Preprocessing, detector, calibration and threshold over one batch.
    fileprivate func score(
        _ vectors: [Double], _ scaled: inout [Double], _ scratch: inout ScoringScratch, scores: inout [Double], flags: inout [Bool]
    ) {
        let rows = prepare(vectors, &scaled, &scores, &flags)
        guard rows > 0 else { return }
        var raw = scores.mutableSpan
        detector.score(scaled.span.extracting(first: vectors.count), into: &raw, scratch: &scratch)
        let columns = featureNames.count
        for row in 0..<rows {
            judge(scores[row], scaled.span.extracting(row * columns..<(row + 1) * columns), vectors.span, row, &scores, &flags)
        }
    }

    /// Scales the rows, gives the results their size, and says how many rows there are.
    private func prepare(_ vectors: [Double], _ scaled: inout [Double], _ scores: inout [Double], _ flags: inout [Bool]) -> Int {
        let columns = featureNames.count
        precondition(vectors.count.isMultiple(of: columns), "a batch is made of whole rows")
        let rows = vectors.count / columns
        resize(&scores, rows, 0)
        resize(&flags, rows, false)
        if scaled.count < vectors.count { scaled = [Double](repeating: 0, count: vectors.count) }
        var output = scaled.mutableSpan
        preprocessing.apply(vectors.span, into: &output)
        return rows
    }

    /// From the raw score of a row to its score and flag.
    private func judge(
        _ raw: Double, _ scaled: Span<Double>, _ rows: Span<Double>, _ row: Int, _ scores: inout [Double], _ flags: inout [Bool]
    ) {
        var score = reach.judge(calibration.score(raw), raw: raw, scaled, cut: threshold.score)
        if preprocessing.hasRanges, preprocessing.isOutsideRange(rows, row: row) { score = 1 }
        scores[row] = score
        flags[row] = score >= threshold.score
    }
}

/// Changes the count and keeps the storage.
private func resize<T>(_ array: inout [T], _ count: Int, _ value: T) {
    if array.count > count {
        array.removeLast(array.count - count)
    } else if array.count < count {
        array.append(contentsOf: repeatElement(value, count: count - array.count))
    }
}
