import Glibc

/// A mergeable summary of numbers from which any quantile can be read within 1 % of its value.
///
/// DDSketch (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch", VLDB 2019): numbers are counted in bins whose
/// ends grow by γ = (1 + α) / (1 − α), α = 0.01; a merge adds the counts, so the result does not depend on how the numbers were split.
/// At most 2048 bins are kept; then those of the smallest magnitude become one. Magnitudes below 1e-300 count as zero.
struct QuantileSketch: Equatable {
    /// Relative error of an answer.
    static let accuracy = 0.01
    static let maximumBins = 2048
    private static let logGamma = log((1 + accuracy) / (1 - accuracy))
    /// Added to the bin number of a magnitude, so that all are positive: 0 is left for zero and the sign for negative numbers.
    private static let shift: Double = 40_000

    /// Ascending: bin in the upper half (signed), count in the lower.
    private(set) var bins: [Int64] = []

    init() {}

    /// From the bins of a snapshot; nil when they are not ascending.
    init?(bins: [Int64]) {
        guard bins.count <= Self.maximumBins, zip(bins, bins.dropFirst()).allSatisfy({ $0 >> 32 < $1 >> 32 }) else { return nil }
        self.bins = bins
    }

    private static func bin(_ value: Double) -> Int64 {
        let magnitude = value.magnitude
        guard magnitude >= 1e-300 else { return 0 }
        let number = Int64((log(magnitude) / logGamma).rounded(.up) + shift)
        return value < 0 ? -number : number
    }

    /// The number that stands for a bin: within the accuracy of each number in it.
    private static func value(_ bin: Int64) -> Double {
        guard bin != 0 else { return 0 }
        let magnitude = exp((Double(bin.magnitude) - shift) * logGamma) * (1 - accuracy)
        return bin < 0 ? -magnitude : magnitude
    }

    /// About 30 ns; allocates only when a bin is new.
    mutating func add(_ value: Double) {
        let bin = Self.bin(value)
        let at = position(bin)
        if at < bins.count, bins[at] >> 32 == bin {
            if bins[at] & 0xFFFF_FFFF < 0xFFFF_FFFF { bins[at] += 1 }
        } else {
            bins.insert(bin << 32 | 1, at: at)
            if bins.count > Self.maximumBins { collapse() }
        }
    }

    private func position(_ bin: Int64) -> Int {
        var low = 0
        var high = bins.count
        while low < high {
            let middle = (low + high) / 2
            if bins[middle] >> 32 < bin { low = middle + 1 } else { high = middle }
        }
        return low
    }

    mutating func merge(_ other: QuantileSketch) {
        if other.bins.isEmpty { return }
        if bins.isEmpty {
            bins = other.bins
            return
        }
        var merged: [Int64] = []
        merged.reserveCapacity(bins.count + other.bins.count)
        var (i, j) = (0, 0)
        while i < bins.count || j < other.bins.count {
            if j == other.bins.count || (i < bins.count && bins[i] >> 32 < other.bins[j] >> 32) {
                merged.append(bins[i])
                i += 1
            } else if i == bins.count || bins[i] >> 32 > other.bins[j] >> 32 {
                merged.append(other.bins[j])
                j += 1
            } else {
                let count = min((bins[i] & 0xFFFF_FFFF) + (other.bins[j] & 0xFFFF_FFFF), 0xFFFF_FFFF)
                merged.append((bins[i] >> 32) << 32 | count)
                i += 1
                j += 1
            }
        }
        bins = merged
        while bins.count > Self.maximumBins { collapse() }
    }

    /// Joins the two neighbouring bins of the smallest magnitude.
    private mutating func collapse() {
        var best = 0
        var least = Int64.max
        for i in 0..<bins.count - 1 {
            let size = max((bins[i] >> 32).magnitude, (bins[i + 1] >> 32).magnitude)
            if Int64(size) < least { (best, least) = (i, Int64(size)) }
        }
        let keep = (bins[best] >> 32).magnitude >= (bins[best + 1] >> 32).magnitude ? bins[best] >> 32 : bins[best + 1] >> 32
        let count = min((bins[best] & 0xFFFF_FFFF) + (bins[best + 1] & 0xFFFF_FFFF), 0xFFFF_FFFF)
        bins.remove(at: best)
        bins[best] = keep << 32 | count
    }

    /// The number below or at which a part of all numbers lies (the one of rank ⌊q·(n−1)⌋ in ascending order); NaN when there is none.
    func quantile(_ q: Double) -> Double {
        var total: Int64 = 0
        for bin in bins { total += bin & 0xFFFF_FFFF }
        guard total > 0 else { return .nan }
        let rank = Int64((q * Double(total - 1)).rounded(.down))
        var seen: Int64 = 0
        for bin in bins {
            seen += bin & 0xFFFF_FFFF
            if seen > rank { return Self.value(bin >> 32) }
        }
        return .nan
    }

    mutating func removeAll() { bins = [] }
}
