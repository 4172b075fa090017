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
    /// An entity's history goes on from the training table where the test table follows it within twenty usual steps; elsewhere it starts
    /// anew.
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
        let scope = model.stateScope
        let before = history.map { table in
            Dictionary(table.order.sequences(scope).compactMap { rows in rows.first.map { (owner(of: $0, in: table, scope), rows) } }) {
                first, _ in first
            }
        }
        var (own, ownFlags): ([Double], [Bool]) = ([], [])
        func run(_ rows: some Collection<Int>, of table: ScoringTable, _ states: inout [DetectorState]) {
            let rows = Array(rows)
            scorer.score(
                table.matrix.selecting(rows: rows).values, times: rows.map { table.times[$0] }, slots: rows.map { _ in 0 }, states: &states,
                scores: &own, flags: &ownFlags)
        }
        for sequence in test.order.sequences(scope) {
            guard let first = sequence.first else { continue }
            var states = [model.makeState()]
            if let history, let earlier = before?[owner(of: first, in: test, scope)],
                follows(test.times[first], earlier.map { history.times[$0] })
            {
                run(earlier.suffix(Self.warmUp), of: history, &states)
            }
            run(sequence, of: test, &states)
            for (place, row) in sequence.enumerated() { (scores[row], flags[row]) = (own[place], ownFlags[place]) }
        }
        return FileScores(scores: scores, flags: flags, model: model)
    }

    private static func owner(of row: Int, in table: ScoringTable, _ scope: StateScope) -> Int {
        scope == .entity ? table.order.entity(row) : 0
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

extension FileScorer {
    /// Scores a stream row by row, never looking ahead and learning on the way; each entity is a stream of its own.
    ///
    /// The first `probation` of each stream (at most 750 rows) is learned from and scores 0. `ensemble` and `conformal-neighbours` then
    /// compare the last rows with the stream's own past; every other detector is fitted on the past and again each time half a probation
    /// has gone by.
    public static func stream(
        _ table: ScoringTable, probation: Double, plan: TrainingPlan, progress: FitProgress = { _ in }
    ) throws(DetectorError) -> FileScores {
        guard probation > 0, probation < 1 else {
            throw DetectorError(.parameter, "The probation must lie between 0 and 1, not \(probation).")
        }
        var result = FileScores(
            scores: [Double](repeating: 0, count: table.matrix.rows), flags: [Bool](repeating: false, count: table.matrix.rows), model: nil)
        let threshold = try Threshold(plan.threshold, eventsPerEntityPerDay: plan.eventsPerEntityPerDay)
        let sequences = table.order.sequences()
        for (number, sequence) in sequences.enumerated() {
            let span = min(Int(Double(sequence.count) * probation), 750)
            let rows = table.matrix.selecting(rows: sequence)
            let part: (scores: [Double], flags: [Bool])
            if plan.detector == .ensemble {
                var members = try StreamEnsemble(columns: rows.columns, span: min(max(span, 30), 5000))
                part = ownPast(rows, span: span, cut: threshold.score) { members.score($0) }
            } else if plan.detector == .conformalNeighbours {
                let given = Dictionary(uniqueKeysWithValues: plan.parameters.values.map { ($0.name, $0.value) })
                let parameters = try DetectorParameters(
                    for: .conformalNeighbours, given: given.merging(["span": .integer(max(span, 30))]) { $1 })
                let detector = ConformalNeighbours.untrained(columns: rows.columns, parameters: parameters)
                var (state, scratch) = (detector.makeState(), ScoringScratch())
                part = ownPast(rows, span: span, cut: threshold.score) { row in
                    let surprise = detector.score(row, time: 0, state: &state, scratch: &scratch)
                    detector.learn(row, time: 0, state: &state)
                    return Calibration.score(surprise: surprise)
                }
            } else {
                part = try refitting(rows, times: sequence.map { table.times[$0] }, span: span, plan: plan)
            }
            for (place, row) in sequence.enumerated() {
                result.scores[row] = part.scores[place]
                result.flags[row] = part.flags[place]
            }
            progress(Double(number + 1) / Double(sequences.count))
        }
        return result
    }

    /// Each row against the stream's own past: `score` takes a row in and gives its score.
    private static func ownPast(
        _ rows: FeatureMatrix, span: Int, cut: Double, score: (Span<Double>) -> Double
    ) -> (scores: [Double], flags: [Bool]) {
        var scores: [Double] = []
        var flags: [Bool] = []
        var last = [Double](repeating: 0, count: rows.columns)
        for row in 0..<rows.rows {
            // A missing value repeats the last one.
            for column in 0..<rows.columns where rows[row, column].isFinite { last[column] = rows[row, column] }
            scores.append(score(last.span))
            flags.append(scores[row] >= cut && row >= span)
        }
        return (scores, flags)
    }

    /// Fits on the past, scores ahead, and fits again each time half a probation has gone by, on at most four probations.
    private static func refitting(
        _ rows: FeatureMatrix, times: [Int64], span: Int, plan: TrainingPlan
    ) throws(DetectorError) -> (scores: [Double], flags: [Bool]) {
        var scores = [Double](repeating: 0, count: min(span, rows.rows))
        var flags = [Bool](repeating: false, count: scores.count)
        guard span >= 20 else {
            throw DetectorError(.data, "The probation has \(span) rows: a stream needs at least twenty to learn from.")
        }
        while scores.count < rows.rows {
            let start = scores.count
            let past = max(0, start - 4 * span)..<start
            let ahead = start..<min(start + max(span / 2, 10), rows.rows)
            let history = ScoringTable(matrix: rows.selecting(rows: past), times: Array(times[past]))
            let model = try TrainedModel.fit(history.matrix, order: history.order, plan: plan)
            let next = ScoringTable(matrix: rows.selecting(rows: ahead), times: Array(times[ahead]))
            let part = score(next, with: model, after: history)
            scores.append(contentsOf: part.scores)
            flags.append(contentsOf: part.flags)
        }
        return (scores, flags)
    }
}
