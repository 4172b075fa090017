import Glibc

/// From a raw score to how surprising it is: p-value, and a score in 0...1.
///
/// **p-value**: the share of normal rows that score at least as high, learned from held-back rows. The body is the empirical distribution,
/// linear between quantiles; the upper tenth is a generalised Pareto distribution fitted to the excesses over that quantile by
/// probability-weighted moments (Hosking and Wallis 1987). Beyond the highest held-back score the tail goes on with the hazard it has
/// there, so it neither ends nor saturates. A score that several held-back rows share is never more surprising than those rows are many.
///
/// **Surprise** is -log10 p: 2 is one row in a hundred. It is computed directly, so p may underflow without harm.
///
/// **Score** is 1 - (1 + surprise)^-2, with the surprise beyond 10 compressed logarithmically: p 1 → 0, 0.1 → 0.75, 0.01 → 0.889, 0.001 →
/// 0.9375, 10^-6 → 0.980. It rises strictly with the raw score.
public struct Calibration: Sendable, Equatable {
    /// Raw scores at equally spaced shares from 0 to the start of the tail; strictly rising.
    let body: [Double]
    /// Surprise at each entry of `body`.
    let bodySurprise: [Double]
    /// Where the tail starts, and the share of held-back rows beyond.
    let tailStart: Double
    let tailShare: Double
    /// Scale and shape of the generalised Pareto distribution.
    let scale: Double
    let shape: Double
    /// The highest held-back excess: beyond it the tail is exponential.
    let lastExcess: Double
    /// Scores of the tail that several rows share, strictly rising, and the most surprise that each may have: values repeat, and a smooth tail
    /// knows nothing of that.
    let shared: [Double]
    let sharedSurprise: [Double]
    /// Scores that differ by less, relative to their size, are one: the last bits depend on which rows the detector was fitted on.
    static let tolerance = 1e-9

    /// Share of rows that the fitted tail covers.
    public static let tailFraction = 0.1

    /// Learns from the raw scores of rows that the detector was not fitted on. At least two are needed for anything but a step.
    public init(heldBack raw: [Double]) {
        let sorted = raw.filter(\.isFinite).sorted()
        guard let first = sorted.first, let last = sorted.last else {
            self.init(
                body: [0], bodySurprise: [0], tailStart: 0, tailShare: 1, scale: 1, shape: 0, lastExcess: 0, shared: [], sharedSurprise: [])
            return
        }
        let count = sorted.count
        let tailCount = min(max(Int(Double(count) * Calibration.tailFraction), min(10, count / 2)), count)
        let start = sorted[max(count - tailCount - 1, 0)]
        let excesses = sorted.filter { $0 - start > Calibration.slack(start) }.map { $0 - start }
        // Plotting position: with n rows the k-th highest stands for k / (n + 1).
        let share = max(Double(excesses.count), 0.5) / Double(count + 1)
        let (scale, shape) = Calibration.fitTail(excesses, floor: max(abs(start), abs(last - first), 1e-300) * 1e-9)
        var body: [Double] = []
        var surprise: [Double] = []
        let below = Array(sorted.dropLast(excesses.count))
        let steps = min(256, below.count)
        for step in 0...steps {
            let position = step * (below.count - 1) / max(steps, 1)
            let value = below[position]
            guard value > body.last ?? -.infinity else { continue }
            // Rows at or above this one; equal values share the rank of their first.
            var first = position
            while first > 0, value - below[first - 1] <= Calibration.slack(value) { first -= 1 }
            let rank = count - first
            body.append(value)
            surprise.append(-log10(min(Double(rank) / Double(count + 1), 1)))
        }
        // The body ends where the tail begins, in score and in share. Many rows that score exactly that, as where policies hide nearly every
        // deviation, are as unsurprising as they are many.
        body[body.count - 1] = start
        let equal = below.count { abs($0 - start) <= Calibration.slack(start) }
        surprise[surprise.count - 1] = -log10(equal > 1 ? min(share + Double(equal) / Double(count + 1), 1) : share)
        let ties = Calibration.ties(Array(sorted.suffix(excesses.count)), rows: count)
        self.init(
            body: body, bodySurprise: surprise, tailStart: start, tailShare: share, scale: scale, shape: shape, lastExcess: max(last - start, 0),
            shared: ties.map(\.score), sharedSurprise: ties.map(\.surprise))
    }

    /// Scores of the tail, ascending, that more than one row has, with the share of all rows from there on as surprise. At most 256: of more,
    /// evenly spaced ones.
    private static func ties(_ tail: [Double], rows: Int) -> [(score: Double, surprise: Double)] {
        var ties: [(score: Double, surprise: Double)] = []
        var first = 0
        while first < tail.count {
            var next = first + 1
            while next < tail.count, tail[next] - tail[first] <= slack(tail[first]) { next += 1 }
            if next - first > 1 { ties.append((tail[next - 1], -log10(Double(tail.count - first) / Double(rows + 1)))) }
            first = next
        }
        guard ties.count > 256 else { return ties }
        return (0..<256).map { ties[($0 + 1) * ties.count / 256 - 1] }
    }

    private static func slack(_ score: Double) -> Double { tolerance * (1 + abs(score)) }

    private init(
        body: [Double], bodySurprise: [Double], tailStart: Double, tailShare: Double, scale: Double, shape: Double, lastExcess: Double,
        shared: [Double], sharedSurprise: [Double]
    ) {
        self.body = body
        self.bodySurprise = bodySurprise
        self.tailStart = tailStart
        self.tailShare = tailShare
        self.scale = scale
        self.shape = shape
        self.lastExcess = lastExcess
        self.shared = shared
        self.sharedSurprise = sharedSurprise
    }

    /// -log10 of the p-value, at least 0; rising in `raw`, NaN counts as the most surprising.
    public func surprise(_ raw: Double) -> Double {
        if raw.isNaN { return Calibration.mostSurprise }
        if raw >= tailStart {
            if let common = bodySurprise.last, common < -log10(tailShare), raw - tailStart <= Calibration.slack(tailStart) { return common }
            let smooth = min(-log10(tailShare) + tailSurprise(raw - tailStart), Calibration.mostSurprise)
            return shared.isEmpty ? smooth : min(smooth, most(raw))
        }
        guard let lowest = body.first, raw > lowest else {
            // Below everything seen: between 0 and the lowest known surprise, still rising with the score.
            let known = bodySurprise.first ?? 0
            let depth = ((body.first ?? 0) - raw) / max(scale, 1e-300)
            return known / (1 + depth)
        }
        var low = 0
        var high = body.count - 1
        while high - low > 1 {
            let middle = (low + high) / 2
            if body[middle] <= raw { low = middle } else { high = middle }
        }
        let share = (raw - body[low]) / (body[high] - body[low])
        return bodySurprise[low] + share * (bodySurprise[high] - bodySurprise[low])
    }

    /// The most surprise that a score of the tail may have: that of the next shared score, falling towards the one before.
    private func most(_ raw: Double) -> Double {
        var (low, high) = (0, shared.count)
        while low < high {
            let middle = (low + high) / 2
            if raw - shared[middle] <= Calibration.slack(shared[middle]) { high = middle } else { low = middle + 1 }
        }
        guard low < shared.count else { return Calibration.mostSurprise }
        let (from, start) = low > 0 ? (sharedSurprise[low - 1], shared[low - 1]) : (min(-log10(tailShare), sharedSurprise[low]), tailStart)
        let share = min(max((raw - start) / (shared[low] - start), 0), 1)
        return from + share * (sharedSurprise[low] - from)
    }

    /// -log10 of the share of the tail that lies beyond an excess.
    private func tailSurprise(_ excess: Double) -> Double {
        let inside = min(excess, lastExcess)
        let relative = shape * inside / scale
        let held = abs(relative) < 1e-9 ? inside / scale : log1p(relative) / shape
        // A heavy tail keeps its own form: going on with a constant hazard would overstate what lies far out.
        let beyond: Double
        if excess <= lastExcess {
            beyond = 0
        } else if shape > 1e-9 {
            beyond = log1p(shape * (excess - inside) / (scale + shape * inside)) / shape
        } else {
            beyond = (excess - inside) / (scale + shape * inside)
        }
        return (held + beyond) / log(10)
    }

    /// Share of normal rows with at least this raw score, 0...1.
    public func pValue(_ raw: Double) -> Double { pow(10, -surprise(raw)) }

    /// The reported score, 0...1.
    public func score(_ raw: Double) -> Double { Calibration.score(surprise: surprise(raw)) }

    static let mostSurprise = 1e300

    /// 1 - (1 + s)^-2, with the part of s beyond 10 compressed to 10 × (1 + ln(s / 10)).
    public static func score(surprise: Double) -> Double {
        let shown = surprise <= 10 ? max(surprise, 0) : 10 * (1 + log(surprise / 10))
        return 1 - 1 / ((1 + shown) * (1 + shown))
    }

    /// The surprise that has this score.
    public static func surprise(score: Double) -> Double {
        let shown = 1 / (1 - min(max(score, 0), 1)).squareRoot() - 1
        return shown <= 10 ? shown : min(10 * exp(shown / 10 - 1), mostSurprise)
    }

    /// The score of a p-value.
    public static func score(pValue: Double) -> Double { score(surprise: -log10(min(max(pValue, 1e-300), 1))) }

    /// The p-value of a score.
    public static func pValue(score: Double) -> Double { pow(10, -surprise(score: score)) }

    /// Probability-weighted moments: b0 = mean, b1 = mean of the excess weighted by the share that lies above it. Few or equal excesses
    /// make an exponential tail. The shape is kept within -0.5...0.5: outside, the estimator has no use and the tail no mean.
    private static func fitTail(_ excesses: [Double], floor: Double) -> (scale: Double, shape: Double) {
        let count = excesses.count
        guard count > 0 else { return (floor, 0) }
        let mean = excesses.reduce(0, +) / Double(count)
        guard count >= 10, mean > floor, let last = excesses.last else { return (max(mean, floor), 0) }
        var weighted = 0.0
        for (index, excess) in excesses.enumerated() {
            weighted += excess * (Double(count - index) - 0.65) / Double(count)
        }
        weighted /= Double(count)
        let gap = mean - 2 * weighted
        guard gap > 1e-12 * mean else { return (mean, 0) }
        let shape = min(max(2 - mean / gap, -0.5), 0.5)
        // The scale that keeps the mean; with a negative shape the tail must reach beyond the highest excess.
        let scale = mean * (1 - shape)
        guard scale + shape * last > 0.05 * scale else { return (mean, 0) }
        return (max(scale, floor), shape)
    }

    func encode(into writer: inout StateWriter) {
        writer.write(UInt8(2))
        writer.write(body)
        writer.write(bodySurprise)
        for value in [tailStart, tailShare, scale, shape, lastExcess] { writer.write(value) }
        writer.write(shared)
        writer.write(sharedSurprise)
    }

    init(from reader: inout StateReader) throws(DetectorError) {
        let layout = try reader.version(upTo: 2, of: "calibration")
        let body = try reader.doubles()
        let bodySurprise = try reader.finiteDoubles(count: body.count)
        let rising = zip(body, body.dropFirst()).allSatisfy { $0 < $1 }
        let tailStart = try reader.finite()
        let tailShare = try reader.finite()
        let scale = try reader.finite()
        let shape = try reader.finite()
        let lastExcess = try reader.finite()
        let shared = layout < 2 ? [] : try reader.doubles()
        let sharedSurprise = layout < 2 ? [] : try reader.finiteDoubles(count: shared.count)
        guard !body.isEmpty, rising, body.allSatisfy(\.isFinite), scale > 0, (-0.5...0.5).contains(shape), lastExcess >= 0,
            tailShare > 0, tailShare <= 1, shared.allSatisfy({ $0.isFinite && $0 > tailStart }),
            zip(shared, shared.dropFirst()).allSatisfy({ $0 < $1 })
        else { throw reader.damaged("a calibration is out of range") }
        self.init(
            body: body, bodySurprise: bodySurprise, tailStart: tailStart, tailShare: tailShare, scale: scale, shape: shape,
            lastExcess: lastExcess, shared: shared, sharedSurprise: sharedSurprise)
    }
}
