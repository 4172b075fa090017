/// Scores rows with a model: vectors in, scores and flags out. One for each thread; it owns its working memory, so that scoring allocates
/// only while the batch is larger than any before.
public struct ModelScorer: Sendable {
    public let model: TrainedModel
    private var scaled: [Double] = []
    private var scratch = ScoringScratch()
    private var oneScore: [Double] = []
    private var oneFlag: [Bool] = []

    private let streaming: (any StreamingDetector)?

    public init(_ model: TrainedModel) {
        self.model = model
        streaming = model.detector as? any StreamingDetector
    }

    /// Scores a batch of `[row × feature]`; NaN is a missing value. `scores` (0...1) and `flags` (score at or above the threshold) get one
    /// entry for each row and keep their storage.
    public mutating func score(_ vectors: [Double], scores: inout [Double], flags: inout [Bool]) {
        model.score(vectors, scaled: &scaled, scratch: &scratch, scores: &scores, flags: &flags)
    }

    /// Scores one row.
    public mutating func score(_ row: [Double]) -> (score: Double, isAnomaly: Bool) {
        precondition(row.count == model.featureNames.count, "a row has a number for each feature")
        model.score(row, scaled: &scaled, scratch: &scratch, scores: &oneScore, flags: &oneFlag)
        return (oneScore[0], oneFlag[0])
    }

    /// Scores one row in the light of its entity's history, which takes it in; a row that does not alert also teaches a learning detector.
    /// For a model that needs no state this is `score(_:)`.
    public mutating func score(_ row: [Double], time: Int64, state: inout DetectorState) -> (score: Double, isAnomaly: Bool) {
        guard let streaming else { return score(row) }
        return model.score(row, with: streaming, time: time, state: &state, scaled: &scaled, scratch: &scratch)
    }
}

extension TrainedModel {
    /// One row through a streaming detector.
    fileprivate func score(
        _ row: [Double], with streaming: any StreamingDetector, time: Int64, state: inout DetectorState, scaled: inout [Double],
        scratch: inout ScoringScratch
    ) -> (score: Double, isAnomaly: Bool) {
        precondition(row.count == featureNames.count, "a row has a number for each feature")
        if scaled.count < row.count { scaled = [Double](repeating: 0, count: row.count) }
        var output = scaled.mutableSpan
        preprocessing.apply(row.span, into: &output)
        let values = scaled.span.extracting(first: row.count)
        var result = calibration.score(streaming.score(values, time: time, state: &state, scratch: &scratch))
        if preprocessing.hasRanges, preprocessing.isOutsideRange(row.span, row: 0) { result = 1 }
        let isAnomaly = result >= threshold.score
        if !isAnomaly { streaming.learn(values, time: time, state: &state) }
        return (result, isAnomaly)
    }

    /// Preprocessing, detector, calibration and threshold over one batch.
    fileprivate func score(
        _ vectors: [Double], scaled: inout [Double], scratch: inout ScoringScratch, scores: inout [Double], flags: inout [Bool]
    ) {
        let columns = featureNames.count
        precondition(vectors.count.isMultiple(of: columns), "a batch is made of whole rows")
        let rows = vectors.count / columns
        resize(&scores, rows, 0)
        resize(&flags, rows, false)
        guard rows > 0 else { return }
        if scaled.count < vectors.count { scaled = [Double](repeating: 0, count: vectors.count) }
        let input = vectors.span
        var output = scaled.mutableSpan
        preprocessing.apply(input, into: &output)
        var raw = scores.mutableSpan
        detector.score(scaled.span.extracting(first: vectors.count), into: &raw, scratch: &scratch)
        let cut = threshold.score
        let hasRanges = preprocessing.hasRanges
        for row in 0..<rows {
            var score = calibration.score(raw[row])
            if hasRanges, preprocessing.isOutsideRange(input, row: row) { score = 1 }
            raw[row] = score
            flags[row] = score >= cut
        }
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
