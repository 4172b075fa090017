import Glibc

/// Spectral residual: what stands out from the usual rhythm of the last rows, feature by feature.
///
/// Ren et al., "Time-Series Anomaly Detection Service at Microsoft", KDD 2019: the logarithm of a window's amplitude spectrum minus its
/// running mean, put back into time, is large where the window is salient; the newest point counts, after the window is continued by a few
/// estimated points. The saliency is compared with its mean in the window. Raw score: the greatest ratio over the features; higher = more
/// anomalous. Without a history the row is judged by its distance from the training mean instead, which the first half window also uses.
public struct SpectralResidual: StreamingDetector {
    public static let kind = DetectorKind.spectralResidual

    public static let card = DetectorCard(
        summary: "Spectral residual: what stands out from the usual rhythm of the last rows.",
        assumptions: "Rows come at steady intervals; anomalies are short against the window.",
        cost: "O(features × window × log window) a row; a window of rows for each entity.",
        source: "Ren et al., Time-Series Anomaly Detection Service at Microsoft, KDD 2019.",
        parameters: [
            ParameterSpec("window", .choice(["32", "64", "128", "256", "512"]), default: .text("64"), "Rows in a window.")
        ])

    public let columns: Int
    let window: Int
    let means: [Double]
    let deviations: [Double]

    /// Estimated points after the newest, and points averaged for the estimate and in the spectrum.
    static let continued = 5
    static let estimated = 5
    static let smoothed = 3

    public static func fit(
        _ data: FeatureMatrix, order: RowOrder?, parameters: DetectorParameters, seed: UInt64, progress: FitProgress
    ) throws(DetectorError) -> SpectralResidual {
        guard data.rows >= 2 else { throw DetectorError(.data, "The spectral residual needs at least two training rows.") }
        var means: [Double] = []
        var deviations: [Double] = []
        for column in 0..<data.columns {
            let (mean, deviation) = moments(data.column(column))
            means.append(mean)
            deviations.append(deviation > 1e-9 ? deviation : 1)
        }
        progress(1)
        return SpectralResidual(
            columns: data.columns, window: Int(parameters.text("window")) ?? 64, means: means, deviations: deviations)
    }

    public func score(_ rows: Span<Double>, into scores: inout MutableSpan<Double>, scratch: inout ScoringScratch) {
        precondition(rows.count == scores.count * columns, "a batch is made of whole rows")
        for row in 0..<scores.count {
            var greatest = 0.0
            for column in 0..<columns { greatest = max(greatest, deviation(rows[unchecked: row * columns + column], column)) }
            scores[row] = greatest
        }
    }

    private func deviation(_ value: Double, _ column: Int) -> Double { abs(value - means[column]) / deviations[column] }

    /// Numbers: the last rows, `[row × column]`, as a ring. Integers: rows seen.
    public func makeState() -> DetectorState { DetectorState(numbers: [Double](repeating: 0, count: window * columns), integers: [0]) }

    private func accepts(_ state: DetectorState) -> Bool {
        state.numbers.count == window * columns && state.integers.count == 1 && (state.integers.first ?? -1) >= 0
    }

    public func score(_ row: Span<Double>, time: Int64, state: inout DetectorState, scratch: inout ScoringScratch) -> Double {
        if !accepts(state) { state = makeState() }
        let seen = Int(state.integers[0])
        for column in 0..<columns { state.numbers[(seen % window) * columns + column] = row[unchecked: column] }
        state.integers[0] = Int64(seen + 1)
        var greatest = 0.0
        for column in 0..<columns {
            let own = deviation(row[unchecked: column], column)
            greatest = max(greatest, seen + 1 < window ? own : saliency(state, column, seen: seen + 1, &scratch))
        }
        return greatest
    }

    /// Saliency of the newest point over the window's mean saliency.
    private func saliency(_ state: DetectorState, _ column: Int, seen: Int, _ scratch: inout ScoringScratch) -> Double {
        let size = window
        let newest = size - SpectralResidual.continued - 1
        scratch.reserve(numbers: 4 * size)
        var series = ScoringScratch.lend(&scratch.numbers, 4 * size)
        defer { scratch.numbers = series }
        // Oldest first; the window's last places are the estimated continuation, so that the newest point is not at the edge.
        for index in 0...newest {
            let row = seen - 1 - (newest - index)
            series[index] = state.numbers[(row % size) * columns + column]
        }
        let last = series[newest]
        var slope = 0.0
        for back in 1...SpectralResidual.estimated { slope += (last - series[newest - back]) / Double(back) }
        slope /= Double(SpectralResidual.estimated)
        let estimate = series[newest - SpectralResidual.estimated + 1] + slope * Double(SpectralResidual.estimated)
        for index in newest + 1..<size { series[index] = estimate }
        for index in 0..<size { series[size + index] = 0 }
        fourier(&series, size: size, inverse: false)
        // Amplitude's logarithm minus its running mean; the phase stays.
        for index in 0..<size {
            let amplitude = (series[index] * series[index] + series[size + index] * series[size + index]).squareRoot()
            series[2 * size + index] = log(amplitude + 1e-8)
            series[3 * size + index] = amplitude
        }
        for index in 0..<size {
            var mean = 0.0
            let from = max(0, index - SpectralResidual.smoothed + 1)
            for near in from...index { mean += series[2 * size + near] }
            let residual = exp(series[2 * size + index] - mean / Double(index - from + 1))
            let amplitude = series[3 * size + index]
            let factor = amplitude > 1e-8 ? residual / amplitude : 0
            series[index] *= factor
            series[size + index] *= factor
        }
        fourier(&series, size: size, inverse: true)
        var mean = 0.0
        for index in 0..<newest { mean += (series[index] * series[index] + series[size + index] * series[size + index]).squareRoot() }
        mean /= Double(newest)
        let own = (series[newest] * series[newest] + series[size + newest] * series[size + newest]).squareRoot()
        return own / (mean + 1e-8)
    }

    /// Iterative radix-2 transform (Cooley and Tukey 1965) of the real parts at `0..<size` and the imaginary ones after them, in place.
    private func fourier(_ values: inout [Double], size: Int, inverse: Bool) {
        var reversed = 0
        for index in 1..<size {
            var bit = size >> 1
            while reversed & bit != 0 {
                reversed ^= bit
                bit >>= 1
            }
            reversed |= bit
            if index < reversed {
                values.swapAt(index, reversed)
                values.swapAt(size + index, size + reversed)
            }
        }
        var length = 2
        while length <= size {
            let angle = (inverse ? 2 : -2) * Double.pi / Double(length)
            for offset in 0..<length / 2 {
                let (c, s) = (cos(angle * Double(offset)), sin(angle * Double(offset)))
                for start in stride(from: 0, to: size, by: length) {
                    let (low, high) = (start + offset, start + offset + length / 2)
                    let real = values[high] * c - values[size + high] * s
                    let imaginary = values[high] * s + values[size + high] * c
                    values[high] = values[low] - real
                    values[size + high] = values[size + low] - imaginary
                    values[low] += real
                    values[size + low] += imaginary
                }
            }
            length *= 2
        }
        if inverse { for index in 0..<2 * size { values[index] /= Double(size) } }
    }

    public func expected(for row: [Double]) -> [Double] { means }

    public func explain(_ row: [Double]) -> Explanation {
        Explanation.signed(row.indices.map { deviation(row[$0], $0) * deviation(row[$0], $0) }, row: row, expected: means)
    }

    /// Saliency of each feature; expected is the mean of the five rows before.
    public func explain(_ row: [Double], time: Int64, state: DetectorState) -> Explanation {
        guard accepts(state), let seen = state.integers.first.map({ Int($0) }), seen >= window else { return explain(row) }
        let expected = row.indices.map { column in
            (1...5).reduce(0) { $0 + state.numbers[((seen - 1 - $1) % window) * columns + column] } / 5
        }
        var scratch = ScoringScratch()
        let weights = row.indices.map { column in
            let saliency = saliency(state, column, seen: seen, &scratch)
            return saliency * saliency
        }
        return Explanation.signed(weights, row: row, expected: expected)
    }

    public func encode(into writer: inout StateWriter) {
        writer.write(UInt8(1))
        writer.write(UInt32(clamping: window))
        writer.write(means)
        writer.write(deviations)
    }

    public init(from reader: inout StateReader) throws(DetectorError) {
        try reader.version(1, of: "spectral residual")
        let window = Int(try reader.uint32())
        let means = try reader.doubles()
        let deviations = try reader.finiteDoubles(count: means.count)
        guard [32, 64, 128, 256, 512].contains(window), !means.isEmpty, means.allSatisfy({ $0.isFinite }), deviations.allSatisfy({ $0 > 0 })
        else { throw reader.damaged("a window or spread is out of range") }
        self.init(columns: means.count, window: window, means: means, deviations: deviations)
    }

    private init(columns: Int, window: Int, means: [Double], deviations: [Double]) {
        self.columns = columns
        self.window = window
        self.means = means
        self.deviations = deviations
    }
}
