import Glibc

/// Conformal nearest neighbours on shingles: the last rows of an entity, as one point, against the same in its own past.
///
/// Burnaev and Ishimtsev, "Conformalized density- and distance-based anomaly detection in time-series data", 2016 (KNN-CAD in the Numenta
/// benchmark). A shingle's strangeness is the sum of Mahalanobis distances (squared) to its nearest past shingles; its rank among the
/// strangeness of recent shingles is a p-value without any assumption on the distribution. After an alert the detector is silent for a
/// while, since the shock stays in the shingles. Raw score: -log10 of that p-value, 0 while there is too little past; higher = more
/// anomalous.
///
/// It starts from nothing and learns on the way, `delay` behind the present, so that an anomaly is not its own example. What `fit` has seen
/// is the past of every new entity.
public struct ConformalNeighbours: StreamingDetector {
    public static let kind = DetectorKind.conformalNeighbours

    public static let card = DetectorCard(
        summary: "Conformal nearest neighbours: an entity's last rows against its own past; learns on the way.",
        assumptions: "Rows come at steady intervals; what happened in the span before is mostly normal.",
        cost: "O(span × shingle) a row and entity; keeps 2 × span rows and span shingles for each entity.",
        source: "Burnaev and Ishimtsev, Conformalized density- and distance-based anomaly detection in time-series data, 2016.",
        parameters: [
            ParameterSpec("span", .integer(30...5000), default: .integer(600), "Rows of the past that a shingle is compared with."),
            ParameterSpec(
                "shingle", .integer(1...100), default: .integer(19), "Numbers in a shingle; rows are this over the number of features."),
            ParameterSpec("neighbours", .integer(1...200), default: .integer(27), "Nearest shingles that count."),
            ParameterSpec(
                "alert_share", .number(0...0.2), default: .number(0.0035),
                "A p-value at or below this is an alert, which silences what follows."),
            ParameterSpec("silence", .number(0...1), default: .number(0.25), "Rows of silence after an alert, as a share of the span."),
        ])

    public let columns: Int
    let span: Int
    /// Rows in a shingle.
    let length: Int
    let neighbours: Int
    let alertShare: Double
    let silence: Int
    /// What `fit` has seen.
    private let past: DetectorState

    /// Numbers in a shingle.
    var width: Int { length * columns }
    /// Shingles compared with.
    private var shingles: Int { span - length }
    private var historyRows: Int { 2 * span }

    // Places in a state's numbers. Integers: rows seen, rows of silence left, strangeness values held, whether a metric is known, next
    // place in the strangeness ring, and whether the last row was scored.
    private var metricPlace: Int { historyRows * columns }
    private var whitenedPlace: Int { metricPlace + width * width }
    private var strangenessPlace: Int { whitenedPlace + shingles * width }
    private var lastPlace: Int { strangenessPlace + shingles }

    public static func fit(
        _ data: FeatureMatrix, order: RowOrder?, parameters: DetectorParameters, seed: UInt64, progress: FitProgress
    ) throws(DetectorError) -> ConformalNeighbours {
        guard data.rows >= 2 else { throw DetectorError(.data, "Conformal neighbours need at least two training rows.") }
        let length = max(1, parameters.integer("shingle") / data.columns)
        let span = max(min(parameters.integer("span"), data.rows), length + 10)
        let empty = ConformalNeighbours(
            columns: data.columns, span: span, length: length, neighbours: parameters.integer("neighbours"),
            alertShare: parameters.number("alert_share"), silence: Int(parameters.number("silence") * Double(span)), past: DetectorState())
        var state = empty.emptyState()
        var scratch = ScoringScratch()
        // One past for all: the longest sequence's, since shingles do not reach across entities.
        let rows = order?.sequences().max { $0.count < $1.count } ?? Array(0..<data.rows)
        for (number, row) in rows.enumerated() {
            let values = data.values.span.extracting(row * data.columns..<(row + 1) * data.columns)
            _ = empty.score(values, time: 0, state: &state, scratch: &scratch)
            empty.learn(values, time: 0, state: &state)
            if number & 1023 == 0 { progress(Double(number) / Double(rows.count)) }
        }
        progress(1)
        state.integers[1] = 0
        return empty.with(past: state)
    }

    private func with(past: DetectorState) -> ConformalNeighbours {
        ConformalNeighbours(
            columns: columns, span: span, length: length, neighbours: neighbours, alertShare: alertShare, silence: silence, past: past)
    }

    /// A detector without any past, for a stream that starts from nothing.
    static func untrained(columns: Int, parameters: DetectorParameters) -> ConformalNeighbours {
        let length = max(1, parameters.integer("shingle") / columns)
        let span = max(parameters.integer("span"), length + 10)
        let empty = ConformalNeighbours(
            columns: columns, span: span, length: length, neighbours: parameters.integer("neighbours"),
            alertShare: parameters.number("alert_share"), silence: Int(parameters.number("silence") * Double(span)), past: DetectorState())
        return empty.with(past: empty.emptyState())
    }

    private init(columns: Int, span: Int, length: Int, neighbours: Int, alertShare: Double, silence: Int, past: DetectorState) {
        self.columns = columns
        self.span = span
        self.length = length
        self.neighbours = neighbours
        self.alertShare = alertShare
        self.silence = silence
        self.past = past
    }

    private func emptyState() -> DetectorState {
        DetectorState(numbers: [Double](repeating: 0, count: lastPlace + 1), integers: [Int64](repeating: 0, count: 6))
    }

    public func makeState() -> DetectorState { past }

    private func accepts(_ state: DetectorState) -> Bool {
        state.numbers.count == lastPlace + 1 && state.integers.count == 6 && state.integers.allSatisfy { $0 >= 0 }
            && state.integers[2] <= shingles && state.integers[4] < max(shingles, 1)
    }

    // MARK: Scoring

    public func score(_ row: Span<Double>, time: Int64, state: inout DetectorState, scratch: inout ScoringScratch) -> Double {
        if !accepts(state) { state = past }
        let seen = Int(state.integers[0])
        for column in 0..<columns { state.numbers[(seen % historyRows) * columns + column] = row[unchecked: column] }
        state.integers[0] = Int64(seen + 1)
        state.integers[5] = 0
        let count = seen + 1
        guard count >= span else { return 0 }
        if count % span == 0 || count % span == span / 2 { renewMetric(&state, count: count) }
        scratch.reserve(numbers: 2 * width + shingles)
        if state.integers[2] == 0 { rankPast(&state, &scratch) }
        let strangeness = strangeness(ofRowsEndingAt: count, state, &scratch, leavingOut: false)
        state.numbers[lastPlace] = strangeness
        state.integers[5] = 1
        let held = Int(state.integers[2])
        var atLeast = 0
        for index in 0..<held where state.numbers[strangenessPlace + index] >= strangeness { atLeast += 1 }
        if state.integers[1] > 0 {
            state.integers[1] -= 1
            return ConformalNeighbours.silentSurprise
        }
        if Double(atLeast) <= alertShare * Double(held) { state.integers[1] = Int64(silence) }
        let surprise = -log10((Double(atLeast) + 0.5) / (Double(held) + 1))
        // Stranger than all of the past is one in a thousand however short the past is, so that one threshold serves streams of any length.
        return atLeast == 0 ? max(surprise, 3) : surprise
    }

    /// What is reported in silence: a row in two is as strange.
    static let silentSurprise = 0.30103

    public func learn(_ row: Span<Double>, time: Int64, state: inout DetectorState) {
        guard accepts(state), state.integers[5] == 1, shingles > 0 else { return }
        let count = Int(state.integers[0])
        if count >= 2 * span { whiten(&state, end: count - span, count: count) }
        let place = Int(state.integers[4])
        state.numbers[strangenessPlace + place] = state.numbers[lastPlace]
        state.integers[4] = Int64((place + 1) % shingles)
        state.integers[5] = 0
    }

    /// The shingle whose last row is number `end` (1-based) goes, whitened, to its place in the ring.
    private func whiten(_ state: inout DetectorState, end: Int, count: Int) {
        let slot = whitenedPlace + ((end - length) % shingles) * width
        for component in 0..<width {
            var sum = 0.0
            for index in 0...component {
                sum += state.numbers[metricPlace + component * width + index] * history(state, end: end, index: index)
            }
            state.numbers[slot + component] = sum
        }
    }

    /// Number `index` of the shingle that ends at row `end`.
    @inline(__always)
    private func history(_ state: DetectorState, end: Int, index: Int) -> Double {
        let row = end - length + index / columns
        return state.numbers[(row % historyRows) * columns + index % columns]
    }

    /// The last row of the newest shingle that may be an example.
    private func newestExample(_ count: Int) -> Int { count >= 2 * span ? count - span : span - 1 }

    /// The metric is the inverse of the examples' second moments, kept as the inverse of its Cholesky factor; the examples are whitened
    /// with it. Where the moments are singular the metric stays what it was, at first plain distance.
    private func renewMetric(_ state: inout DetectorState, count: Int) {
        let newest = newestExample(count)
        let ends = (newest - shingles + 1)...newest
        var moments = [Double](repeating: 0, count: width * width)
        var shingle = [Double](repeating: 0, count: width)
        for end in ends {
            for index in 0..<width { shingle[index] = history(state, end: end, index: index) }
            for first in 0..<width {
                for second in 0...first { moments[first * width + second] += shingle[first] * shingle[second] }
            }
        }
        if let factor = choleskyFactor(moments, order: width) {
            let inverse = lowerInverse(factor, order: width)
            for index in inverse.indices { state.numbers[metricPlace + index] = inverse[index] }
            state.integers[3] = 1
        } else if state.integers[3] == 0 {
            for index in 0..<width { state.numbers[metricPlace + index * width + index] = 1 }
        }
        for end in ends { whiten(&state, end: end, count: count) }
    }

    /// Fills the strangeness of the examples among themselves.
    private func rankPast(_ state: inout DetectorState, _ scratch: inout ScoringScratch) {
        let newest = newestExample(span)
        for (place, end) in ((newest - shingles + 1)...newest).enumerated() {
            state.numbers[strangenessPlace + place] = strangeness(ofRowsEndingAt: end, state, &scratch, leavingOut: true)
        }
        state.integers[2] = Int64(shingles)
        state.integers[4] = 0
    }

    /// Sum of the squared distances to the nearest examples; an example leaves out itself.
    private func strangeness(ofRowsEndingAt end: Int, _ state: DetectorState, _ scratch: inout ScoringScratch, leavingOut: Bool) -> Double {
        for index in 0..<width { scratch.numbers[width + index] = history(state, end: end, index: index) }
        return strangeness(state, &scratch, leavingOut: leavingOut)
    }

    /// The same for a shingle that stands at `scratch.numbers[width...]`.
    private func strangeness(_ state: DetectorState, _ scratch: inout ScoringScratch, leavingOut: Bool) -> Double {
        let width = width
        let shingles = shingles
        let kept = min(neighbours + (leavingOut ? 1 : 0), shingles)
        return state.numbers.withUnsafeBufferPointer { numbers in
            scratch.numbers.withUnsafeMutableBufferPointer { work in
                for component in 0..<width {
                    var sum = 0.0
                    for index in 0...component { sum += numbers[metricPlace + component * width + index] * work[width + index] }
                    work[component] = sum
                }
                let nearest = 2 * width
                var held = 0
                for shingle in 0..<shingles {
                    let base = whitenedPlace + shingle * width
                    let worst = held == kept ? work[nearest + kept - 1] : .infinity
                    var sum = 0.0
                    for index in 0..<width {
                        let difference = numbers[base + index] - work[index]
                        sum += difference * difference
                    }
                    guard sum < worst else { continue }
                    var place = held < kept ? held : kept - 1
                    while place > 0, work[nearest + place - 1] > sum {
                        work[nearest + place] = work[nearest + place - 1]
                        place -= 1
                    }
                    work[nearest + place] = sum
                    if held < kept { held += 1 }
                }
                var sum = 0.0
                for index in 0..<held { sum += work[nearest + index] }
                return sum
            }
        }
    }

    /// Rows without a history: each as the newest row after an unremarkable past (zero, the middle of every scaled feature). The logarithm
    /// of its strangeness, since ranks are of histories.
    public func score(_ rows: Span<Double>, into scores: inout MutableSpan<Double>, scratch: inout ScoringScratch) {
        precondition(rows.count == scores.count * columns, "a batch is made of whole rows")
        scratch.reserve(numbers: 2 * width + shingles)
        for row in 0..<scores.count {
            for index in 0..<width - columns { scratch.numbers[width + index] = 0 }
            for column in 0..<columns { scratch.numbers[2 * width - columns + column] = rows[unchecked: row * columns + column] }
            let isKnown = past.integers.first.map { Int($0) >= span } ?? false
            scores[row] = isKnown ? log(strangeness(past, &scratch, leavingOut: false) + 1e-12) : 0
        }
    }

    // MARK: Explanation

    public func expected(for row: [Double]) -> [Double] { explain(row).expected }

    public func explain(_ row: [Double]) -> Explanation {
        explain(row, shingle: [Double](repeating: 0, count: width - columns) + row, metric: past)
    }

    public func explain(_ row: [Double], time: Int64, state: DetectorState) -> Explanation {
        let state = accepts(state) ? state : past
        let count = Int(state.integers[0])
        guard count >= length else { return explain(row) }
        return explain(row, shingle: (0..<width).map { history(state, end: count, index: $0) }, metric: state)
    }

    /// Each newest value against what the shingle's other numbers let expect, under the metric's second moments.
    private func explain(_ row: [Double], shingle: [Double], metric: DetectorState) -> Explanation {
        var gradient = [Double](repeating: 0, count: columns)
        var curvature = gradient
        let offset = width - columns
        for component in 0..<width {
            let base = metricPlace + component * width
            var length = 0.0
            for index in 0...component { length += metric.numbers[base + index] * shingle[index] }
            for column in 0..<columns where offset + column <= component {
                let weight = metric.numbers[base + offset + column]
                gradient[column] += length * weight
                curvature[column] += weight * weight
            }
        }
        let expected = row.indices.map { curvature[$0] > 0 ? row[$0] - gradient[$0] / curvature[$0] : 0 }
        let drops = row.indices.map { curvature[$0] > 0 ? gradient[$0] * gradient[$0] / curvature[$0] : 0 }
        return Explanation.signed(drops, row: row, expected: expected)
    }

    // MARK: State

    public func encode(into writer: inout StateWriter) {
        writer.write(UInt8(1))
        for value in [columns, span, length, neighbours, silence] { writer.write(UInt32(clamping: value)) }
        writer.write(alertShare)
        writer.write(past.numbers)
        writer.write(past.integers)
    }

    public init(from reader: inout StateReader) throws(DetectorError) {
        try reader.version(1, of: "conformal neighbours")
        var sizes: [Int] = []
        for _ in 0..<5 { sizes.append(Int(try reader.uint32())) }
        let alertShare = try reader.finite()
        let past = DetectorState(numbers: try reader.doubles(), integers: try reader.int64s())
        guard sizes[0] > 0, sizes[0] <= 100_000, (11...1_000_000).contains(sizes[1]), sizes[2] > 0, sizes[2] <= 100,
            sizes[1] >= sizes[2] + 10,
            sizes[3] > 0, sizes[0] * sizes[2] <= 200_000
        else { throw reader.damaged("a span or shingle is out of range") }
        self.init(
            columns: sizes[0], span: sizes[1], length: sizes[2], neighbours: sizes[3], alertShare: alertShare, silence: sizes[4], past: past
        )
        guard accepts(past), past.numbers.allSatisfy(\.isFinite) else { throw reader.damaged("a past does not fit its span") }
    }
}
