import Glibc

/// Principal components: rows that leave the directions in which the training rows vary, or go too far along them.
///
/// Hotelling's T² is the squared distance along the leading components, each in its own deviation; Q (squared prediction error) is what
/// they leave unexplained (Jackson and Mudholkar, Technometrics 1979). The default joins both as the squared distance along all components,
/// where those that hardly vary count as if they varied by a hundredth of the largest: broken relations between features weigh most,
/// rounding noise does not. Raw score: natural logarithm of the statistic; higher = more anomalous.
public struct PrincipalComponents: Detector {
    public static let kind = DetectorKind.pca

    public static let card = DetectorCard(
        summary: "Principal components (T² and Q): rows that break the linear relations between features or go too far along them.",
        assumptions: "Relations between features are close to linear and the training rows mostly normal; scaled features.",
        cost: "Fit O(rows × features² + features³); score O(features²).",
        source: "Jackson and Mudholkar, Control procedures for residuals associated with principal component analysis, Technometrics 1979.",
        parameters: [
            ParameterSpec(
                "statistic", .choice(["combined", "t2", "q"]), default: .text("combined"),
                "combined: all components; t2: the leading ones; q: what those leave."),
            ParameterSpec(
                "variance", .number(0.01...1), default: .number(0.9), "Share of the variance that the leading components explain."),
        ])

    public let columns: Int
    let mean: [Double]
    /// `[component × column]`: each row is a component over its deviation, so that the statistic is the squared length of `weights × (x -
    /// mean)`.
    let weights: [Double]

    /// Small eigenvalues count as this share of the largest.
    static let floorShare = 1e-4

    public static func fit(
        _ data: FeatureMatrix, order: RowOrder?, parameters: DetectorParameters, seed: UInt64, progress: FitProgress
    ) throws(DetectorError) -> PrincipalComponents {
        guard data.rows >= 2 else { throw DetectorError(.data, "Principal components need at least two training rows.") }
        let columns = data.columns
        let (mean, covariance) = covariance(data)
        progress(0.3)
        let eigen = SymmetricEigen(covariance, order: columns)
        let largest = max(eigen.values.first ?? 0, 1e-12)
        let total = eigen.values.reduce(0) { $0 + max($1, 0) }
        var leading = 0
        var explained = 0.0
        while leading < columns, explained < parameters.number("variance") * total - 1e-12 * largest {
            explained += max(eigen.values[leading], 0)
            leading += 1
        }
        let chosen: Range<Int>
        switch parameters.text("statistic") {
        case "t2": chosen = 0..<max(leading, 1)
        case "q": chosen = min(leading, columns - 1)..<columns
        default: chosen = 0..<columns
        }
        // Q is a plain squared length, in units of the whole variance; the others are in deviations of each component.
        let isResidual = parameters.text("statistic") == "q"
        var weights: [Double] = []
        for component in chosen {
            let variance = isResidual ? max(total / Double(columns), 1e-12) : max(eigen.values[component], floorShare * largest)
            let factor = 1 / variance.squareRoot()
            for column in 0..<columns { weights.append(factor * eigen.vectors[component * columns + column]) }
        }
        progress(1)
        return PrincipalComponents(columns: columns, mean: mean, weights: weights)
    }

    /// Mean and covariance `[column × column]`.
    static func covariance(_ data: FeatureMatrix) -> (mean: [Double], covariance: [Double]) {
        let columns = data.columns
        let rows = data.rows
        var mean = [Double](repeating: 0, count: columns)
        for index in data.values.indices { mean[index % columns] += data.values[index] }
        for column in 0..<columns { mean[column] /= Double(max(rows, 1)) }
        var sum = [Double](repeating: 0, count: columns * columns)
        var centred = [Double](repeating: 0, count: columns)
        data.values.withUnsafeBufferPointer { values in
            sum.withUnsafeMutableBufferPointer { sum in
                for row in 0..<rows {
                    for column in 0..<columns { centred[column] = values[row * columns + column] - mean[column] }
                    for first in 0..<columns where centred[first] != 0 {
                        let factor = centred[first]
                        for second in first..<columns { sum[first * columns + second] += factor * centred[second] }
                    }
                }
            }
        }
        let scale = 1 / Double(max(rows - 1, 1))
        for first in 0..<columns {
            for second in first..<columns {
                sum[first * columns + second] *= scale
                sum[second * columns + first] = sum[first * columns + second]
            }
        }
        return (mean, sum)
    }

    public func score(_ rows: Span<Double>, into scores: inout MutableSpan<Double>, scratch: inout ScoringScratch) {
        let columns = columns
        let components = weights.count / columns
        precondition(rows.count == scores.count * columns, "a batch is made of whole rows")
        scratch.reserve(numbers: columns)
        scratch.numbers.withUnsafeMutableBufferPointer { centred in
            weights.withUnsafeBufferPointer { weights in
                for row in 0..<scores.count {
                    for column in 0..<columns { centred[column] = rows[unchecked: row * columns + column] - mean[column] }
                    var sum = 0.0
                    for component in 0..<components {
                        let base = component * columns
                        var even = 0.0
                        var odd = 0.0
                        var column = 0
                        while column + 1 < columns {
                            even += weights[base + column] * centred[column]
                            odd += weights[base + column + 1] * centred[column + 1]
                            column += 2
                        }
                        if column < columns { even += weights[base + column] * centred[column] }
                        sum += (even + odd) * (even + odd)
                    }
                    scores[row] = log(min(sum, 1e300) + PrincipalComponents.least)
                }
            }
        }
    }

    /// Keeps the logarithm finite at the mean.
    static let least = 1e-9

    /// For each feature the value that the other features let expect: the one that makes the statistic smallest.
    public func expected(for row: [Double]) -> [Double] {
        let (gradient, curvature) = slopes(row)
        return row.indices.map { curvature[$0] > 0 ? row[$0] - gradient[$0] / curvature[$0] : mean[$0] }
    }

    /// A feature's weight is how far the statistic falls when it takes its expected value; exact, since the statistic is quadratic.
    public func explain(_ row: [Double]) -> Explanation {
        let (gradient, curvature) = slopes(row)
        let drops = row.indices.map { curvature[$0] > 0 ? gradient[$0] * gradient[$0] / curvature[$0] : 0 }
        return Explanation.signed(drops, row: row, expected: expected(for: row))
    }

    /// Half the first and half the second derivative of the statistic by each feature.
    private func slopes(_ row: [Double]) -> (gradient: [Double], curvature: [Double]) {
        var gradient = [Double](repeating: 0, count: columns)
        var curvature = gradient
        for component in 0..<weights.count / columns {
            let weights = weights[component * columns..<(component + 1) * columns]
            var length = 0.0
            for (column, weight) in weights.enumerated() { length += weight * (row[column] - mean[column]) }
            for (column, weight) in weights.enumerated() {
                gradient[column] += length * weight
                curvature[column] += weight * weight
            }
        }
        return (gradient, curvature)
    }

    public func encode(into writer: inout StateWriter) {
        writer.write(UInt8(1))
        writer.write(mean)
        writer.write(weights)
    }

    public init(from reader: inout StateReader) throws(DetectorError) {
        try reader.version(1, of: "principal components")
        let mean = try reader.doubles()
        let weights = try reader.doubles()
        guard !mean.isEmpty, mean.allSatisfy(\.isFinite), weights.allSatisfy(\.isFinite), !weights.isEmpty,
            weights.count.isMultiple(of: mean.count)
        else { throw reader.damaged("components do not fit the features") }
        self.init(columns: mean.count, mean: mean, weights: weights)
    }

    private init(columns: Int, mean: [Double], weights: [Double]) {
        self.columns = columns
        self.mean = mean
        self.weights = weights
    }
}
