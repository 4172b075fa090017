import Glibc

/// How far the training rows reach: what stands under the score of every detector, whatever its method.
///
/// - A value more than ten widths of the seen range away from it, or any other value of a feature that was constant, is anomalous even where
///   the detector cannot say so (the cuts of a forest end at what it has seen).
/// - With fewer than 200 training rows one in a hundred cannot be told from the highest seen: no row that scores within what was learnt is
///   anomalous.
struct Reach: Sendable, Equatable {
    /// Per feature, scaled: the lowest and the highest training value; infinite for a feature that had none.
    let lowest: [Double]
    let highest: [Double]
    /// The highest raw score of a training row where they were few, else -infinity.
    let learnt: Double

    static let widths = 10.0
    /// Twice the rows that give one expected alert at the usual contamination of 1 %: from there on the fitted tail decides.
    static let enoughRows = 200

    /// - Parameter learnt: raw scores of all training rows; empty where there are enough of them.
    init(_ data: FeatureMatrix, preprocessing: Preprocessing, learnt: [Double]) {
        var lowest: [Double] = []
        var highest: [Double] = []
        for column in 0..<data.columns {
            let (center, factor) = (preprocessing.centers[column], preprocessing.factors[column])
            var (low, high) = (Double.infinity, -Double.infinity)
            for row in 0..<data.rows where data[row, column].isFinite {
                low = min(low, data[row, column])
                high = max(high, data[row, column])
            }
            // The rounding of a scaled value.
            let slack = 1e-9 * abs(center) * factor
            lowest.append(low <= high ? (low - center) * factor - slack : -.infinity)
            highest.append(low <= high ? (high - center) * factor + slack : .infinity)
        }
        self.init(lowest: lowest, highest: highest, learnt: learnt.filter(\.isFinite).max() ?? -.infinity)
    }

    private init(lowest: [Double], highest: [Double], learnt: Double) {
        self.lowest = lowest
        self.highest = highest
        self.learnt = learnt
    }

    /// Of a model from before reaches were stored: nothing is out of it.
    init(unknownFor columns: Int) {
        self.init(
            lowest: Array(repeating: -.infinity, count: columns), highest: Array(repeating: .infinity, count: columns), learnt: -.infinity)
    }

    var columns: Int { lowest.count }

    /// By how many tens of widths the farthest value of a scaled row lies outside; 0 where none does by more than one. 1 for a feature that was
    /// constant. The first column of that distance is `column`.
    func excess(_ row: Span<Double>) -> (tens: Double, column: Int) {
        var farthest = (tens: 0.0, column: 0)
        for column in 0..<lowest.count {
            let value = row[unchecked: column]
            let beyond = max(value - highest[column], lowest[column] - value)
            guard beyond > 0 else { continue }
            let ten = Reach.widths * (highest[column] - lowest[column])
            // What had no width but that of rounding was constant.
            let tens = ten <= 1e-7 * max(abs(highest[column]), abs(lowest[column])) ? 1 : beyond / ten
            if tens >= 1, tens > farthest.tens { farthest = (tens, column) }
        }
        return farthest
    }

    /// The score of a row from its calibrated score, its raw score and itself, scaled.
    func judge(_ score: Double, raw: Double, _ row: Span<Double>, cut: Double) -> Double {
        var score = score
        if raw <= learnt { score = max(min(score, cut.nextDown), 0) }
        let tens = excess(row).tens
        if tens >= 1 { score = max(score, cut, Calibration.score(surprise: Calibration.surprise(score: cut) + log10(tens))) }
        return score
    }

    /// A value far outside is half of the reason, whatever the detector made of it.
    func explain(_ explanation: Explanation, _ row: [Double]) -> Explanation {
        let (tens, column) = excess(row.span)
        guard tens >= 1 else { return explanation }
        var explanation = explanation
        for place in row.indices { explanation.contributions[place] /= 2 }
        let half = explanation.contributions.contains { $0 != 0 } ? 0.5 : 1
        let size = abs(explanation.contributions[column]) + half
        explanation.contributions[column] = row[column] > highest[column] ? size : -size
        return explanation
    }

    func encode(into writer: inout StateWriter) {
        writer.write(UInt8(1))
        writer.write(lowest)
        writer.write(highest)
        writer.write(learnt)
    }

    init(from reader: inout StateReader) throws(DetectorError) {
        try reader.version(1, of: "reach")
        let lowest = try reader.doubles()
        let highest = try reader.doubles()
        let learnt = try reader.double()
        guard lowest.count == highest.count, zip(lowest, highest).allSatisfy({ $0 <= $1 }), !learnt.isNaN else {
            throw reader.damaged("the reach of a feature is out of order")
        }
        self.init(lowest: lowest, highest: highest, learnt: learnt)
    }
}
