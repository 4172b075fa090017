import Testing

@testable import Detectors

@Suite("Learning on the way")
struct LearningTests {
    private static let learning: [DetectorKind] = [.ewma, .halfSpaceTrees, .randomCutForest]

    private static func fit(_ kind: DetectorKind) throws -> TrainedModel {
        let given: [String: ParameterValue]
        switch kind {
        case .randomCutForest: given = ["trees": .integer(8), "sample_size": .integer(64), "shingle": .integer(1), "horizon": .integer(200)]
        case .halfSpaceTrees: given = ["window": .integer(100)]
        default: given = ["half_life": .number(50)]
        }
        let data = Sample.normal(rows: 1_000)
        return try TrainedModel.fit(
            data, order: RowOrder(times: (0..<1_000).map { Int64($0) }), plan: Sample.plan(kind, parameters: given))
    }

    @Test("a row that alerts teaches nothing: what follows scores as if it had not been", arguments: learning)
    func alertsTeachNothing(_ kind: DetectorKind) throws {
        let model = try Self.fit(kind)
        let rows = Sample.normal(rows: 300, seed: 5)
        let outrageous = [900.0, -900, 900, -900, 900]
        var (clean, disturbed) = (model.makeState(), model.makeState())
        var scorer = ModelScorer(model)
        for row in 0..<rows.rows {
            let expected = scorer.score(rows.row(row), time: Int64(row), state: &clean)
            if row % 3 == 0 { #expect(scorer.score(outrageous, time: Int64(row), state: &disturbed).isAnomaly) }
            #expect(scorer.score(rows.row(row), time: Int64(row), state: &disturbed) == expected)
        }
    }

    /// The values wander away by three deviations of the training rows, slower than each detector forgets.
    @Test("a slow drift is followed: alerts stay near what the threshold promises", arguments: learning)
    func drift(_ kind: DetectorKind) throws {
        let model = try Self.fit(kind)
        var rows = Sample.normal(rows: 3_000, seed: 6)
        for row in 0..<rows.rows {
            for column in 0..<rows.columns { rows[row, column] += 3 * Double(column + 1) * Double(row) / 3_000 }
        }
        var states = [model.makeState()]
        var (scores, flags) = ([Double](), [Bool]())
        var scorer = ModelScorer(model)
        scorer.score(
            rows.values, times: (0..<3_000).map { Int64($0) }, slots: [Int](repeating: 0, count: 3_000), states: &states, scores: &scores,
            flags: &flags)
        let share = Double(flags.suffix(1_000).count { $0 }) / 1_000
        // A model that does not learn calls most of the last rows anomalous.
        let still = try TrainedModel.fit(Sample.normal(rows: 1_000), plan: Sample.plan(.robustZ))
        var plain = ModelScorer(still)
        plain.score(rows.values, scores: &scores, flags: &flags)
        let without = Double(flags.suffix(1_000).count { $0 }) / 1_000
        #expect(share < 0.08 && share < without / 2, "\(share) with learning, \(without) without")
    }

    @Test("rows of several entities in one batch score as each entity's rows alone", arguments: DetectorKind.allCases.filter { $0.scope == .entity })
    func entities(_ kind: DetectorKind) throws {
        let data = Sample.normal(rows: 400)
        let order = RowOrder(times: (0..<400).map { Int64($0) * 1000 }, entities: (0..<400).map { Int32($0 % 4) })
        let model = try TrainedModel.fit(data, order: order, plan: Sample.plan(kind, parameters: ContractTests.parameters(kind)))
        let rows = Sample.planted(rows: 120).data
        var (together, alone) = (ModelScorer(model), ModelScorer(model))
        var states = (0..<4).map { _ in model.makeState() }
        var single = states
        var (scores, flags) = ([Double](), [Bool]())
        together.score(
            rows.values, times: (0..<120).map { Int64($0) * 1000 }, slots: (0..<120).map { $0 % 4 }, states: &states, scores: &scores, flags: &flags,
            explaining: true)
        #expect(together.explanations.map(\.row) == flags.indices.filter { flags[$0] })
        for row in 0..<120 {
            let own = alone.score(rows.row(row), time: Int64(row) * 1000, state: &single[row % 4])
            #expect(abs(own.score - scores[row]) < 1e-9 && own.isAnomaly == flags[row])
        }
        for (one, two) in zip(states, single) where model.needsState { #expect(one == two) }
    }

    @Test("the planted culprit is named first beside constant features and missing values", arguments: DetectorKind.allCases)
    func culpritAmongConstants(_ kind: DetectorKind) throws {
        func widened(_ data: FeatureMatrix) -> FeatureMatrix {
            var wide = FeatureMatrix(columns: 7, reservingRows: data.rows)
            for row in 0..<data.rows { wide.append(data.row(row) + [42, row % 97 == 0 ? 1.001 : 1]) }
            return wide
        }
        let model = try TrainedModel.fit(
            widened(Sample.normal(rows: 500)), plan: Sample.plan(kind, columns: 7, parameters: ContractTests.parameters(kind)))
        let planted = Sample.planted(rows: 300, shift: 9)
        let rows = widened(planted.data)
        var (named, total) = (0, 0)
        for (row, culprit) in planted.culprits.enumerated() where culprit >= 0 {
            var values = rows.row(row)
            values[(culprit + 2) % 5] = .nan
            total += 1
            let explanation = model.explain(values)
            if explanation.ranked().first == culprit, explanation.contributions[culprit].sign == (planted.signs[row] < 0 ? .minus : .plus) {
                named += 1
            }
        }
        #expect(Double(named) >= 0.95 * Double(total), "\(named) of \(total)")
    }
}
