/// Rates over the last few seconds, from counts that only grow; pure.
struct RateMeter {
    /// Seconds that a rate looks back.
    static let span = 3.0
    private var samples: [(at: Double, counts: HopCounts, cpu: [String: Double])] = []

    /// - Parameters:
    ///   - now: monotonic seconds.
    ///   - cpu: CPU seconds by service.
    mutating func note(_ counts: HopCounts, cpu: [String: Double], now: Double) {
        samples.append((now, counts, cpu))
        while samples.count > 2, now - samples[1].at >= Self.span { samples.removeFirst() }
    }

    /// A second, per hop.
    var rates: [Hop: Double] {
        guard let first = samples.first, let last = samples.last, last.at > first.at else { return [:] }
        var result: [Hop: Double] = [:]
        for hop in Hop.allCases { result[hop] = Double(last.counts[hop] - first.counts[hop]) / (last.at - first.at) }
        return result
    }

    /// Share of one core, per service that ran over the whole span.
    var cpu: [String: Double] {
        guard let first = samples.first, let last = samples.last, last.at > first.at else { return [:] }
        var result: [String: Double] = [:]
        for (name, seconds) in last.cpu {
            if let before = first.cpu[name] { result[name] = max(0, seconds - before) / (last.at - first.at) }
        }
        return result
    }
}
