import Glibc

/// Turns the rows of one entity, in order, into wider rows that also say how the entity has been lately. Chosen from training rows alone.
///
/// Four views of each feature, in this order: the value; its smoothed value; its volatility, as the logarithm of the median absolute step
/// over the last ten rows; and the median of its last three values, which hides single-sample artefacts.
///
/// The smoothing's half-life is 20 rows × (1 - r), where r is the median over features of the autocorrelation at one step: where neighbours
/// already agree nothing is smoothed, where they hardly do, noise is averaged away. Below one row smoothing is left out.
struct ContextPlan: Sendable, Equatable {
    /// Features in a row.
    let columns: Int
    /// In rows; 0 for none.
    let halfLife: Double
    /// Per feature: steps below this count as none; a hundredth of the deviation.
    let floors: [Double]

    static let views = 4
    static let window = 10
    /// Rows are a series where the median over features of the autocorrelation at one step is above the first, or its upper quartile above
    /// the second: shuffled rows stay far below both, and a series with many noisy features still has some that are not.
    static let typicalAutocorrelation = 0.1
    static let upperAutocorrelation = 0.4

    var outputColumns: Int { columns * ContextPlan.views }

    /// The plan for these scaled rows, or nil where they are no time series: no order is known, or neighbours have nothing in common.
    static func choose(_ data: FeatureMatrix, order: RowOrder?) -> ContextPlan? {
        guard let order, data.rows >= 50 else { return nil }
        let columns = data.columns
        var products = [Double](repeating: 0, count: columns)
        var squares = products
        let mean = (0..<columns).map { data.column($0).reduce(0, +) / Double(data.rows) }
        for sequence in order.sequences() {
            for (position, row) in sequence.enumerated() {
                for column in 0..<columns {
                    let value = data[row, column] - mean[column]
                    squares[column] += value * value
                    if position > 0 { products[column] += value * (data[sequence[position - 1], column] - mean[column]) }
                }
            }
        }
        var correlations: [Double] = []
        for column in 0..<columns where squares[column] > 1e-12 * Double(data.rows) {
            correlations.append(products[column] / squares[column])
        }
        guard !correlations.isEmpty else { return nil }
        let typical = median(correlations)
        let upper = quantile(sorted: correlations.sorted(), 0.75)
        guard typical > typicalAutocorrelation || upper > upperAutocorrelation else { return nil }
        let halfLife = 20 * (1 - min(max(typical, 0), 1))
        let floors = squares.map { 0.01 * ($0 / Double(data.rows)).squareRoot() + 1e-9 }
        return ContextPlan(columns: columns, halfLife: halfLife >= 1 ? halfLife : 0, floors: floors)
    }

    /// Layout of a state's numbers: sums of the smoothing, last row, the row before it, and the last ten absolute steps, `[step × column]`;
    /// then the smoothing's total weight. Integers: rows seen.
    func makeState() -> DetectorState {
        DetectorState(numbers: [Double](repeating: 0, count: columns * (3 + ContextPlan.window) + 1), integers: [0])
    }

    /// Whether a stored state can be one of this plan.
    func accepts(_ state: DetectorState) -> Bool {
        state.numbers.count == columns * (3 + ContextPlan.window) + 1 && state.integers.count == 1 && (state.integers.first ?? -1) >= 0
    }

    /// Writes the wide row to `output` (`outputColumns` numbers) and takes the row into the state.
    func expand(_ row: Span<Double>, state: inout DetectorState, into output: inout MutableSpan<Double>) {
        let columns = columns
        let window = ContextPlan.window
        let seen = Int(truncatingIfNeeded: state.integers[0])
        let decay = halfLife > 0 ? exp2(-1 / halfLife) : 0
        let weight = 1 + decay * state.numbers[columns * (3 + window)]
        let kept = min(seen + 1, window)
        state.numbers.withUnsafeMutableBufferPointer { numbers in
            for column in 0..<columns {
                let value = row[unchecked: column]
                let last = seen > 0 ? numbers[columns + column] : value
                let beforeLast = seen > 1 ? numbers[2 * columns + column] : last
                let sum = value + decay * numbers[column]
                numbers[column] = sum
                numbers[columns + column] = value
                numbers[2 * columns + column] = last
                let steps = 3 * columns + column
                numbers[steps + (seen % window) * columns] = abs(value - last)
                output[unchecked: column] = value
                output[unchecked: columns + column] = halfLife > 0 ? sum / weight : value
                output[unchecked: 2 * columns + column] = log(
                    ContextPlan.medianStep(numbers, from: steps, stride: columns, count: kept) + floors[column])
                output[unchecked: 3 * columns + column] =
                    seen == 0 ? value : seen == 1 ? (value + last) / 2 : max(min(value, last), min(max(value, last), beforeLast))
            }
            numbers[columns * (3 + window)] = weight
        }
        state.integers[0] = Int64(seen + 1)
    }

    /// The median of up to ten numbers, by insertion.
    private static func medianStep(_ numbers: UnsafeMutableBufferPointer<Double>, from start: Int, stride: Int, count: Int) -> Double {
        var sorted = SIMD16<Double>(repeating: .infinity)
        for index in 0..<count {
            let value = numbers[start + index * stride]
            var place = index
            while place > 0, sorted[place - 1] > value {
                sorted[place] = sorted[place - 1]
                place -= 1
            }
            sorted[place] = value
        }
        return count.isMultiple(of: 2) ? (sorted[count / 2 - 1] + sorted[count / 2]) / 2 : sorted[count / 2]
    }

    /// The wide rows of all training rows, in the rows' own order; `isWarm` is false for the first rows of each entity.
    func expand(_ data: FeatureMatrix, order: RowOrder) -> (wide: FeatureMatrix, isWarm: [Bool]) {
        var wide = FeatureMatrix(values: [Double](repeating: 0, count: data.rows * outputColumns), columns: outputColumns)
        var isWarm = [Bool](repeating: true, count: data.rows)
        var output = [Double](repeating: 0, count: outputColumns)
        for sequence in order.sequences() {
            var state = makeState()
            for (position, row) in sequence.enumerated() {
                var span = output.mutableSpan
                expand(data.values.span.extracting(row * columns..<(row + 1) * columns), state: &state, into: &span)
                for column in 0..<outputColumns { wide.values[row * outputColumns + column] = output[column] }
                // Twenty rows settle the medians and most of the smoothing; a short sequence has to do with what it has.
                isWarm[row] = position >= min(20, sequence.count / 4)
            }
        }
        return (wide, isWarm)
    }

    func encode(into writer: inout StateWriter) {
        writer.write(UInt8(1))
        writer.write(halfLife)
        writer.write(floors)
    }

    init(from reader: inout StateReader) throws(DetectorError) {
        try reader.version(1, of: "context")
        let halfLife = try reader.finite()
        let floors = try reader.doubles()
        guard !floors.isEmpty, floors.count <= 1 << 20, floors.allSatisfy({ $0 > 0 && $0.isFinite }),
            halfLife == 0 || (1...1000).contains(halfLife)
        else { throw reader.damaged("a context plan is out of range") }
        self.init(columns: floors.count, halfLife: halfLife, floors: floors)
    }

    private init(columns: Int, halfLife: Double, floors: [Double]) {
        self.columns = columns
        self.halfLife = halfLife
        self.floors = floors
    }
}
