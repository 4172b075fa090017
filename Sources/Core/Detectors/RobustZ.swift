import Glibc

/// Each feature's distance from its centre in units of its spread, joined over the features.
///
/// Centre and spread are median and 1.4826 × MAD (Iglewicz and Hoaglin 1993), or mean and deviation. Where more than half of the training
/// values are equal the MAD is zero; the deviation stands in. Raw score: the greatest or the mean absolute z, each capped at 30 in the mean
/// so that one feature cannot drown the others; higher = more anomalous.
public struct RobustZ: Detector {
    public static let kind = DetectorKind.robustZ

    public static let card = DetectorCard(
        summary: "Robust z: how far each feature lies from its median, in units of its spread.",
        assumptions: "Each feature alone shows the anomaly; one centre for each feature.",
        cost: "Fit O(rows log rows) a feature; score O(features).",
        source: "Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993.",
        parameters: [
            ParameterSpec(
                "combine", .choice(["max", "mean"]), default: .text("max"), "Join the features by the greatest or by the mean z."),
            ParameterSpec(
                "spread", .choice(["mad", "deviation"]), default: .text("mad"), "Median and MAD, or mean and standard deviation."),
        ])

    static let cap = 30.0

    public let columns: Int
    let centers: [Double]
    let factors: [Double]
    let isMean: Bool

    public static func fit(
        _ data: FeatureMatrix, order: RowOrder?, parameters: DetectorParameters, seed: UInt64, progress: FitProgress
    ) throws(DetectorError) -> RobustZ {
        guard data.rows >= 2 else { throw DetectorError(.data, "Robust z needs at least two training rows.") }
        var centers: [Double] = []
        var factors: [Double] = []
        for column in 0..<data.columns {
            let values = data.column(column)
            let (mean, deviation) = moments(values)
            var center = mean
            var spread = deviation
            if parameters.text("spread") == "mad" {
                center = median(values)
                let mad = 1.4826 * median(values.map { abs($0 - center) })
                if mad > 1e-9 * max(abs(center), deviation) { spread = mad }
            }
            centers.append(center)
            factors.append(spread > 1e-12 * max(abs(center), 1e-280) ? 1 / spread : 1)
            progress(Double(column + 1) / Double(data.columns))
        }
        return RobustZ(columns: data.columns, centers: centers, factors: factors, isMean: parameters.text("combine") == "mean")
    }

    public func score(_ rows: Span<Double>, into scores: inout MutableSpan<Double>, scratch: inout ScoringScratch) {
        precondition(rows.count == scores.count * columns, "a batch is made of whole rows")
        for row in 0..<scores.count {
            var greatest = 0.0
            var sum = 0.0
            for column in 0..<columns {
                let z = abs(rows[unchecked: row * columns + column] - centers[column]) * factors[column]
                greatest = max(greatest, z)
                sum += min(z, RobustZ.cap)
            }
            // Beyond the cap the mean still rises a little, or two extremes would be equal.
            scores[row] = isMean ? sum / Double(columns) + 1e-3 * log1p(greatest) : min(greatest, 1e300)
        }
    }

    public func expected(for row: [Double]) -> [Double] { centers }

    public func explain(_ row: [Double]) -> Explanation {
        let z = row.indices.map { abs(row[$0] - centers[$0]) * factors[$0] }
        // Squared, so that the feature that alerts stands out from the usual scatter of many.
        return Explanation.signed(z.map { min($0, 1e100) * min($0, 1e100) }, row: row, expected: centers)
    }

    public func encode(into writer: inout StateWriter) {
        writer.write(UInt8(1))
        writer.write(isMean)
        writer.write(centers)
        writer.write(factors)
    }

    public init(from reader: inout StateReader) throws(DetectorError) {
        try reader.version(1, of: "robust z")
        let isMean = try reader.flag()
        let centers = try reader.doubles()
        let factors = try reader.finiteDoubles(count: centers.count)
        guard !centers.isEmpty, centers.allSatisfy(\.isFinite), factors.allSatisfy({ $0 > 0 }) else {
            throw reader.damaged("a spread is not positive")
        }
        self.init(columns: centers.count, centers: centers, factors: factors, isMean: isMean)
    }

    private init(columns: Int, centers: [Double], factors: [Double], isMean: Bool) {
        self.columns = columns
        self.centers = centers
        self.factors = factors
        self.isMean = isMean
    }
}
