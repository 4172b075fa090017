import Detectors

/// Rows of four related features around a few centres, the same every time.
struct Rows {
    static let columns = 4
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    /// Uniform in 0 ..< 1 (splitmix64, Steele et al. 2014).
    private mutating func uniform() -> Double {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return Double((z ^ (z >> 31)) >> 11) * 0x1p-53
    }

    /// A bell of deviation 1: twelve uniform numbers.
    private mutating func bell() -> Double { (0..<12).reduce(-6) { sum, _ in sum + uniform() } }

    mutating func next() -> [Double] {
        let (centre, common) = (Double(Int(uniform() * 3)) * 4, bell())
        return [20 + centre + common + 0.5 * bell(), 5 - 0.5 * centre + 0.8 * common + 0.6 * bell(), 100 + 10 * bell(), bell() + 0.2 * centre]
    }

    /// Thousandths, as sensors have them.
    mutating func matrix(_ count: Int) -> FeatureMatrix {
        var matrix = FeatureMatrix(columns: Self.columns, reservingRows: count)
        for _ in 0..<count { matrix.append(next().map { ($0 * 1000).rounded() / 1000 }) }
        return matrix
    }
}
