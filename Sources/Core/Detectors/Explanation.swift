/// Why a row has its score.
public struct Explanation: Sendable, Equatable {
    /// The value of each feature that would have been normal.
    public var expected: [Double]
    /// Per feature, positive where the value lies above the expected one and negative where below; the absolute values sum to 1, or are all
    /// 0 where nothing deviates.
    public var contributions: [Double]

    public init(expected: [Double], contributions: [Double]) {
        self.expected = expected
        self.contributions = contributions
    }

    /// Feature indexes, greatest absolute contribution first.
    public func ranked() -> [Int] {
        contributions.indices.sorted { abs(contributions[$0]) > abs(contributions[$1]) }
    }

    /// Signs weights by the side on which the row deviates and scales them to sum to 1. Without any weight, the deviations themselves
    /// count.
    static func signed(_ weights: [Double], row: [Double], expected: [Double]) -> Explanation {
        var weights = weights.map { $0.isFinite ? max(0, $0) : 0 }
        for index in row.indices where row[index] == expected[index] { weights[index] = 0 }
        if weights.reduce(0, +) <= 0 { weights = zip(row, expected).map { abs($0 - $1) } }
        let total = weights.reduce(0, +)
        guard total > 0, total.isFinite else { return Explanation(expected: expected, contributions: row.map { _ in 0 }) }
        let signed = weights.indices.map { row[$0] < expected[$0] ? -weights[$0] / total : weights[$0] / total }
        return Explanation(expected: expected, contributions: signed)
    }

    /// Each feature's weight is the mean of two counterfactuals: how far the score falls when this feature alone becomes expected, and how
    /// far it rises when this feature alone deviates. These are the last and the first term of its Shapley value; two features that hide
    /// each other show in the one, a feature that needs company in the other. Cost: 2 × columns + 2 scored rows.
    static func comparing(_ row: [Double], with expected: [Double], score: (FeatureMatrix) -> [Double]) -> Explanation {
        let columns = row.count
        var variants = FeatureMatrix(columns: columns, reservingRows: 2 * columns + 2)
        variants.append(row)
        variants.append(expected)
        for column in 0..<columns {
            var without = row
            without[column] = expected[column]
            variants.append(without)
            var alone = expected
            alone[column] = row[column]
            variants.append(alone)
        }
        let scores = score(variants)
        let weights = (0..<columns).map { column in
            max(0, scores[0] - scores[2 + 2 * column]) + max(0, scores[3 + 2 * column] - scores[1])
        }
        return signed(weights, row: row, expected: expected)
    }
}
