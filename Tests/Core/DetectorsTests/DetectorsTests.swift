import Text
@testable import Detectors

/// Data that the suites share: seeded, so that a failure is the same failure tomorrow.
enum Sample {
    /// Normal rows: correlated Gaussians with different scales and centres.
    static func normal(rows: Int, columns: Int = 5, seed: UInt64 = 1) -> FeatureMatrix {
        var random = SplitMix64(seed: seed)
        var result = FeatureMatrix(columns: columns, reservingRows: rows)
        for _ in 0..<rows {
            let common = random.normal()
            result.append((0..<columns).map { 10 * Double($0 + 1) + Double($0 + 1) * (0.5 * common + random.normal()) })
        }
        return result
    }

    /// Normal rows of which every `every`-th has one feature moved by `shift` of its deviations; the culprit's column, or -1.
    static func planted(
        rows: Int, columns: Int = 5, every: Int = 10, shift: Double = 8, seed: UInt64 = 2
    ) -> (data: FeatureMatrix, culprits: [Int], signs: [Double]) {
        var data = normal(rows: rows, columns: columns, seed: seed)
        var random = SplitMix64(seed: seed &+ 100)
        var culprits = [Int](repeating: -1, count: rows)
        var signs = [Double](repeating: 0, count: rows)
        for row in stride(from: 0, to: rows, by: every) {
            let column = random.below(columns)
            let sign: Double = random.below(2) == 0 ? 1 : -1
            culprits[row] = column
            signs[row] = sign
            data[row, column] += sign * shift * Double(column + 1) * 1.118
        }
        return (data, culprits, signs)
    }

    static func names(_ count: Int) -> [String] { (0..<count).map { "f\($0)" } }

    static func plan(
        _ kind: DetectorKind, columns: Int = 5, parameters: [String: ParameterValue] = [:], threshold: ThresholdRule = .contamination(0.01),
        seed: UInt64 = 7, policies: [FeaturePolicy] = [], eventsPerEntityPerDay: Double? = nil
    ) throws -> TrainingPlan {
        try TrainingPlan(
            detector: kind, parameters: DetectorParameters(for: kind, given: parameters), featureNames: names(columns),
            threshold: threshold,
            seed: seed, createdAt: 1_700_000_000_000, policies: policies, eventsPerEntityPerDay: eventsPerEntityPerDay)
    }
}

extension ModelScorer {
    /// Scores of a whole matrix.
    mutating func scores(_ data: FeatureMatrix) -> [Double] {
        var scores: [Double] = []
        var flags: [Bool] = []
        score(data.values, scores: &scores, flags: &flags)
        return scores
    }
}
