import Detectors
import Text

/// Rows of four related features around a few centres, the same every time.
struct Rows {
    static let columns = 4
    private var random: SplitMix64

    init(seed: UInt64) { random = SplitMix64(seed: seed) }

    /// A bell of deviation 1: twelve uniform numbers.
    private mutating func bell() -> Double { (0..<12).reduce(-6) { sum, _ in sum + random.unit() } }

    mutating func next() -> [Double] {
        let (centre, common) = (Double(Int(random.unit() * 3)) * 4, bell())
        return [20 + centre + common + 0.5 * bell(), 5 - 0.5 * centre + 0.8 * common + 0.6 * bell(), 100 + 10 * bell(), bell() + 0.2 * centre]
    }

    /// Thousandths, as sensors have them.
    mutating func matrix(_ count: Int) -> FeatureMatrix {
        var matrix = FeatureMatrix(columns: Self.columns, reservingRows: count)
        for _ in 0..<count { matrix.append(next().map { ($0 * 1000).rounded() / 1000 }) }
        return matrix
    }
}
