import Contracts
import Detectors

/// What one thread needs to score by a model, reused between calls: nothing is allocated while a batch is no larger than any before and
/// nothing alerts.
public final class ModelRunner {
    public let model: ActiveModel
    @exclusivity(unchecked) private var scorer: ModelScorer

    public init(_ model: ActiveModel) {
        self.model = model
        scorer = ModelScorer(model.model)
    }

    /// Scores rows each by itself; a model that learns sees each as its entity's first.
    /// - Parameter rows: `[row × feature of the set]`, NaN for what is missing.
    public func score(_ rows: [Double], into scored: inout ScoredRows) {
        model.gather(rows, into: &scored.vectors)
        scorer.score(scored.vectors, scores: &scored.scores, flags: &scored.flags)
        scored.explanations.removeAll(keepingCapacity: true)
    }

    /// Scores rows in the order in which they happened, each in the light of its state, which takes it in, and explains those that alert.
    /// - Parameters:
    ///   - rows: `[row × feature of the set]`, NaN for what is missing.
    ///   - times: event time of each row, milliseconds.
    ///   - slots: for each row, which of `states` is its entity's; empty for a model that needs no state.
    ///   - isNews: for each row, whether a learning model may learn from it; empty where it may from all.
    func score(
        _ rows: [Double], times: [Int64], slots: [Int], isNews: [Bool], states: inout [DetectorState], into scored: inout ScoredRows
    ) {
        model.gather(rows, into: &scored.vectors)
        scorer.score(
            scored.vectors, times: times, slots: slots, isNews: isNews, states: &states, scores: &scored.scores, flags: &scored.flags,
            explaining: true)
        scored.explanations = scorer.explanations
        scored.nextExplanation = 0
    }
}

/// Rows as a model saw them, and what it says about them. Buffers are reused.
public struct ScoredRows {
    /// `[row × feature of the model]`
    public fileprivate(set) var vectors: [Double] = []
    /// 0...1
    public fileprivate(set) var scores: [Double] = []
    /// Whether the score is at or above the threshold.
    public fileprivate(set) var flags: [Bool] = []
    fileprivate var explanations: [(row: Int, explanation: Explanation)] = []
    fileprivate var nextExplanation = 0

    public init() {}

    /// Why a row alerted; asked for in the rows' order.
    mutating func reason(row: Int, columns: Int) -> ScoreRecordWriter.Reason {
        while nextExplanation < explanations.count, explanations[nextExplanation].row < row { nextExplanation += 1 }
        let actual = Array(vectors[row * columns..<(row + 1) * columns])
        guard nextExplanation < explanations.count, explanations[nextExplanation].row == row else {
            return ScoreRecordWriter.Reason(actual: actual, expected: actual, contributions: actual.map { _ in 0 })
        }
        let found = explanations[nextExplanation].explanation
        return ScoreRecordWriter.Reason(actual: actual, expected: found.expected, contributions: found.contributions)
    }
}
