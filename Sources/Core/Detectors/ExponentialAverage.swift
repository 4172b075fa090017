import Glibc

/// Exponentially weighted mean and deviation of each feature of an entity; rows far from where the entity has been lately are anomalous.
/// Learns on the way.
///
/// Roberts, "Control Chart Tests Based on Geometric Moving Averages", Technometrics 1959; the variance after Finch, "Incremental
/// calculation of weighted mean and variance", 2009. Raw score: the greatest absolute deviation from the mean, in deviations; higher = more
/// anomalous.
public struct ExponentialAverage: StreamingDetector {
    public static let kind = DetectorKind.ewma

    public static let card = DetectorCard(
        summary: "EWMA: rows far from where the entity has been lately; learns on the way.",
        assumptions: "Each feature alone shows the anomaly; level and spread drift slower than the half-life.",
        cost: "O(features) a row; two numbers for each feature and entity.",
        source: "Roberts, Control Chart Tests Based on Geometric Moving Averages, Technometrics 1959.",
        parameters: [
            ParameterSpec("half_life", .number(1...1_000_000), default: .number(100), "Rows after which a row's weight has halved.")
        ])

    public let columns: Int
    let decay: Double
    let means: [Double]
    let variances: [Double]

    /// Share of the training variance below which an entity's own variance does not fall: a sensor that stands still for a while must not
    /// make its next tremble an alert.
    static let leastShare = 0.01

    public static func fit(
        _ data: FeatureMatrix, order: RowOrder?, parameters: DetectorParameters, seed: UInt64, progress: FitProgress
    ) throws(DetectorError) -> ExponentialAverage {
        guard data.rows >= 2 else { throw DetectorError(.data, "EWMA needs at least two training rows.") }
        var means: [Double] = []
        var variances: [Double] = []
        for column in 0..<data.columns {
            let (mean, deviation) = moments(data.column(column))
            means.append(mean)
            variances.append(max(deviation * deviation, 1e-12))
        }
        progress(1)
        return ExponentialAverage(
            columns: data.columns, decay: exp2(-1 / parameters.number("half_life")), means: means, variances: variances)
    }

    public func score(_ rows: Span<Double>, into scores: inout MutableSpan<Double>, scratch: inout ScoringScratch) {
        precondition(rows.count == scores.count * columns, "a batch is made of whole rows")
        for row in 0..<scores.count {
            var greatest = 0.0
            for column in 0..<columns {
                greatest = max(greatest, abs(rows[unchecked: row * columns + column] - means[column]) / variances[column].squareRoot())
            }
            scores[row] = greatest
        }
    }

    /// Numbers: mean and variance of each feature.
    public func makeState() -> DetectorState { DetectorState(numbers: means + variances) }

    private func accepts(_ state: DetectorState) -> Bool { state.numbers.count == 2 * columns }

    public func score(_ row: Span<Double>, time: Int64, state: inout DetectorState, scratch: inout ScoringScratch) -> Double {
        if !accepts(state) { state = makeState() }
        var greatest = 0.0
        for column in 0..<columns {
            let variance = max(state.numbers[columns + column], ExponentialAverage.leastShare * variances[column])
            greatest = max(greatest, abs(row[unchecked: column] - state.numbers[column]) / variance.squareRoot())
        }
        return greatest
    }

    public func learn(_ row: Span<Double>, time: Int64, state: inout DetectorState) {
        if !accepts(state) { state = makeState() }
        for column in 0..<columns {
            let difference = row[unchecked: column] - state.numbers[column]
            let step = (1 - decay) * difference
            state.numbers[column] += step
            state.numbers[columns + column] = decay * (state.numbers[columns + column] + difference * step)
        }
    }

    public func expected(for row: [Double]) -> [Double] { means }

    public func explain(_ row: [Double]) -> Explanation { explain(row, time: 0, state: makeState()) }

    public func explain(_ row: [Double], time: Int64, state: DetectorState) -> Explanation {
        let numbers = accepts(state) ? state.numbers : means + variances
        let weights = row.indices.map { column in
            let variance = max(numbers[columns + column], ExponentialAverage.leastShare * variances[column])
            return (row[column] - numbers[column]) * (row[column] - numbers[column]) / variance
        }
        return Explanation.signed(weights, row: row, expected: Array(numbers[..<columns]))
    }

    public func encode(into writer: inout StateWriter) {
        writer.write(UInt8(1))
        writer.write(decay)
        writer.write(means)
        writer.write(variances)
    }

    public init(from reader: inout StateReader) throws(DetectorError) {
        try reader.version(1, of: "EWMA")
        let decay = try reader.finite()
        let means = try reader.doubles()
        let variances = try reader.finiteDoubles(count: means.count)
        guard (0..<1).contains(decay), !means.isEmpty, means.allSatisfy({ $0.isFinite }), variances.allSatisfy({ $0 > 0 }) else {
            throw reader.damaged("an average is out of range")
        }
        self.init(columns: means.count, decay: decay, means: means, variances: variances)
    }

    private init(columns: Int, decay: Double, means: [Double], variances: [Double]) {
        self.columns = columns
        self.decay = decay
        self.means = means
        self.variances = variances
    }
}
