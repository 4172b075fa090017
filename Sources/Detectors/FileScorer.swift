/// Rows of a file, as numbers: what `trainer score` reads.
public struct ScoringTable: Sendable {
    /// NaN = missing.
    public var matrix: FeatureMatrix
    /// Milliseconds, or row numbers where the file has no time.
    public var times: [Int64]
    /// A number for each row's entity, the same entity the same number in the training and the test table; empty for one entity.
    public var entities: [Int32]

    public init(matrix: FeatureMatrix, times: [Int64], entities: [Int32] = []) {
        self.matrix = matrix
        self.times = times
        self.entities = entities
    }

    var order: RowOrder { RowOrder(times: times, entities: entities) }
}

/// One entry for each row, in the rows' order.
public struct FileScores: Sendable {
    public var scores: [Double]
    public var flags: [Bool]
    /// What was fitted; nil for a stream, which has no one model.
    public var model: TrainedModel?
}

/// Scores whole files: the library half of `trainer score`.
public enum FileScorer {
    /// Fits on the training table alone and scores the test table, each entity in the order of time.
    ///
    /// An entity's history goes on from the training table where the test table follows it within twenty usual steps; elsewhere it starts anew.
    public static func score(
        train: ScoringTable, test: ScoringTable, plan: TrainingPlan, progress: FitProgress = { _ in }
    ) throws(DetectorError) -> FileScores {
        guard test.matrix.columns == train.matrix.columns else {
            throw DetectorError(.data, "The test rows have \(test.matrix.columns) features and the training rows \(train.matrix.columns).")
        }
        let model = try TrainedModel.fit(train.matrix, order: train.order, plan: plan, progress: progress)
        return score(test, with: model, after: train)
    }

    /// Scores a table with a model; `history` is what came before it.
    public static func score(_ test: ScoringTable, with model: TrainedModel, after history: ScoringTable? = nil) -> FileScores {
        var scorer = ModelScorer(model)
        var scores: [Double] = []
        var flags: [Bool] = []
        guard model.needsState else {
            scorer.score(test.matrix.values, scores: &scores, flags: &flags)
            return FileScores(scores: scores, flags: flags, model: model)
        }
        scores = [Double](repeating: 0, count: test.matrix.rows)
        flags = [Bool](repeating: false, count: test.matrix.rows)
        let before = history.map { table in
            Dictionary(table.order.sequences().compactMap { rows in rows.first.map { (table.order.entity($0), rows) } }) { first, _ in first }
        }
        for sequence in test.order.sequences() {
            guard let first = sequence.first else { continue }
            var state = model.makeState()
            if let history, let earlier = before?[test.order.entity(first)], follows(test.times[first], earlier.map { history.times[$0] }) {
                for row in earlier.suffix(Self.warmUp) {
                    _ = scorer.score(history.matrix.row(row), time: history.times[row], state: &state)
                }
            }
            for row in sequence {
                (scores[row], flags[row]) = scorer.score(test.matrix.row(row), time: test.times[row], state: &state)
            }
        }
        return FileScores(scores: scores, flags: flags, model: model)
    }

    /// Training rows that are enough to settle a history.
    static let warmUp = 500

    /// Whether a row at `time` comes soon after the last of these.
    private static func follows(_ time: Int64, _ earlier: [Int64]) -> Bool {
        guard let last = earlier.last, time > last, earlier.count > 2 else { return false }
        let steps = zip(earlier.dropFirst(), earlier).map { Double($0 - $1) }
        return Double(time - last) <= 20 * max(median(steps), 1)
    }
}
