import Glibc

/// What is usual at this hour of the day and this day of the week: median and spread of each feature for each of them.
///
/// Each hour of the week has its own median, drawn towards the hour of the day's by how many training rows it has, and that a tenth as much
/// towards the feature's (shrinkage after James and Stein). Spreads are 1.4826 × the median absolute residual, of the hour of the day where
/// it has enough rows. Raw score: the greatest absolute residual in spreads; higher = more anomalous. Times are milliseconds in UTC;
/// without times every row is judged against the feature's median. After Hyndman and Athanasopoulos, Forecasting: Principles and Practice,
/// chapter 3.
public struct Seasonal: StreamingDetector {
    public static let kind = DetectorKind.seasonal

    public static let card = DetectorCard(
        summary: "Seasonal: far from what is usual at this hour of the day and day of the week.",
        assumptions: "Event times are milliseconds; days and weeks repeat; several days of training rows.",
        cost: "Fit O(rows log rows); score O(features).",
        source: "Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 2021.",
        parameters: [
            ParameterSpec(
                "shrinkage", .number(0...1000), default: .number(10), "Rows that the more general median is worth against an hour's own.")
        ])

    public let columns: Int
    /// `[hour of week × column]`, 168 hours.
    let levels: [Double]
    /// `[hour of day × column]`.
    let spreads: [Double]
    /// Without a time.
    let overall: [Double]
    let overallSpreads: [Double]

    static let hours = 168

    public static func fit(
        _ data: FeatureMatrix, order: RowOrder?, parameters: DetectorParameters, seed: UInt64, progress: FitProgress
    ) throws(DetectorError) -> Seasonal {
        guard data.rows >= 2 else { throw DetectorError(.data, "The seasonal detector needs at least two training rows.") }
        let shrinkage = parameters.number("shrinkage")
        let columns = data.columns
        var levels = [Double](repeating: 0, count: hours * columns)
        var spreads = [Double](repeating: 1, count: 24 * columns)
        var overall: [Double] = []
        var overallSpreads: [Double] = []
        let hourOf = (0..<data.rows).map { row in order.map { hour(of: $0.times[row]) } ?? 0 }
        for column in 0..<columns {
            let values = data.column(column)
            let middle = median(values)
            overall.append(middle)
            overallSpreads.append(spread(values.map { $0 - middle }, fallback: moments(values).deviation))
            var byDay = [[Double]](repeating: [], count: 24)
            var byWeek = [[Double]](repeating: [], count: hours)
            for row in values.indices {
                byDay[hourOf[row] % 24].append(values[row])
                byWeek[hourOf[row]].append(values[row])
            }
            let day = byDay.map { drawn(median($0), count: $0.count, towards: middle, shrinkage / 10) }
            for hour in 0..<hours {
                levels[hour * columns + column] = drawn(
                    median(byWeek[hour]), count: byWeek[hour].count, towards: day[hour % 24], shrinkage)
            }
            let residuals = values.indices.map { values[$0] - levels[hourOf[$0] * columns + column] }
            let usual = spread(residuals, fallback: overallSpreads[column])
            for hour in 0..<24 {
                let own = residuals.indices.filter { hourOf[$0] % 24 == hour }.map { residuals[$0] }
                let value = own.count >= 10 ? spread(own, fallback: usual) : usual
                // No hour so quiet that its next tremble alerts.
                spreads[hour * columns + column] = max(value, 0.2 * usual)
            }
            progress(Double(column + 1) / Double(columns))
        }
        return Seasonal(columns: columns, levels: levels, spreads: spreads, overall: overall, overallSpreads: overallSpreads)
    }

    private static func drawn(_ own: Double, count: Int, towards general: Double, _ shrinkage: Double) -> Double {
        count == 0 ? general : (Double(count) * own + shrinkage * general) / (Double(count) + shrinkage)
    }

    /// 1.4826 × the median absolute value, or what stands in where more than half are zero.
    private static func spread(_ residuals: [Double], fallback: Double) -> Double {
        let mad = 1.4826 * median(residuals.map { abs($0) })
        return mad > 1e-9 ? mad : max(fallback, 1e-6)
    }

    /// Hour of the week of a time in milliseconds, 0...167, Monday first (1970 began on a Thursday).
    static func hour(of time: Int64) -> Int {
        let hour = time >= 0 ? time / 3_600_000 : -((3_599_999 - time) / 3_600_000)
        let shifted = (hour % 168 + 72) % 168
        return Int(shifted < 0 ? shifted + 168 : shifted)
    }

    public func score(_ rows: Span<Double>, into scores: inout MutableSpan<Double>, scratch: inout ScoringScratch) {
        precondition(rows.count == scores.count * columns, "a batch is made of whole rows")
        for row in 0..<scores.count {
            var greatest = 0.0
            for column in 0..<columns {
                greatest = max(greatest, abs(rows[unchecked: row * columns + column] - overall[column]) / overallSpreads[column])
            }
            scores[row] = greatest
        }
    }

    /// Nothing to remember: the calendar is in the time.
    public func makeState() -> DetectorState { DetectorState() }

    public func score(_ row: Span<Double>, time: Int64, state: inout DetectorState, scratch: inout ScoringScratch) -> Double {
        let hour = Seasonal.hour(of: time)
        var greatest = 0.0
        for column in 0..<columns {
            let residual = row[unchecked: column] - levels[hour * columns + column]
            greatest = max(greatest, abs(residual) / spreads[(hour % 24) * columns + column])
        }
        return greatest
    }

    public func expected(for row: [Double]) -> [Double] { overall }

    public func explain(_ row: [Double]) -> Explanation {
        let weights = row.indices.map { (row[$0] - overall[$0]) * (row[$0] - overall[$0]) / (overallSpreads[$0] * overallSpreads[$0]) }
        return Explanation.signed(weights, row: row, expected: overall)
    }

    public func explain(_ row: [Double], time: Int64, state: DetectorState) -> Explanation {
        let hour = Seasonal.hour(of: time)
        let expected = row.indices.map { levels[hour * columns + $0] }
        let weights = row.indices.map { column in
            let z = (row[column] - expected[column]) / spreads[(hour % 24) * columns + column]
            return z * z
        }
        return Explanation.signed(weights, row: row, expected: expected)
    }

    public func encode(into writer: inout StateWriter) {
        writer.write(UInt8(1))
        for numbers in [overall, overallSpreads, levels, spreads] { writer.write(numbers) }
    }

    public init(from reader: inout StateReader) throws(DetectorError) {
        try reader.version(1, of: "seasonal detector")
        let overall = try reader.doubles()
        let overallSpreads = try reader.finiteDoubles(count: overall.count)
        let levels = try reader.finiteDoubles(count: overall.count * Seasonal.hours)
        let spreads = try reader.finiteDoubles(count: overall.count * 24)
        guard !overall.isEmpty, overall.allSatisfy({ $0.isFinite }), (overallSpreads + spreads).allSatisfy({ $0 > 0 }) else {
            throw reader.damaged("a spread is not positive")
        }
        self.init(columns: overall.count, levels: levels, spreads: spreads, overall: overall, overallSpreads: overallSpreads)
    }

    private init(columns: Int, levels: [Double], spreads: [Double], overall: [Double], overallSpreads: [Double]) {
        self.columns = columns
        self.levels = levels
        self.spreads = spreads
        self.overall = overall
        self.overallSpreads = overallSpreads
    }
}
