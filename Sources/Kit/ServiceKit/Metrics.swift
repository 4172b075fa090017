import Synchronization

/// A number that only grows. Safe from any thread; one atomic add, so hot paths add once per batch.
public final class Counter: Sendable {
    private let bits = Atomic<Int>(0)
    public func add(_ amount: Int = 1) { bits.wrappingAdd(amount, ordering: .relaxed) }
    public var value: Int { bits.load(ordering: .relaxed) }
}

/// A number that goes up and down. Safe from any thread.
public final class Gauge: Sendable {
    private let bits = Atomic<UInt64>(0)
    public func set(_ value: Double) { bits.store(value.bitPattern, ordering: .relaxed) }
    public var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }
}

/// Counts of observations in fixed buckets, Prometheus style. One writing thread; any thread may read.
public final class Histogram: Sendable {
    /// Upper bounds in seconds from 0.5 ms to 10 s, for latencies.
    public static let latencyBounds: [Double] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

    let bounds: [Double]
    private let counts: Mutex<(buckets: [Int], sum: Double)>

    init(bounds: [Double]) {
        self.bounds = bounds
        counts = Mutex((Array(repeating: 0, count: bounds.count + 1), 0))
    }

    /// Adds a batch of observations under one lock.
    public func observe(_ values: [Double]) {
        counts.withLock { state in
            for value in values {
                var index = 0
                while index < bounds.count, value > bounds[index] { index += 1 }
                state.buckets[index] += 1
                state.sum += value
            }
        }
    }

    public func observe(_ value: Double) { observe([value]) }

    var snapshot: (buckets: [Int], sum: Double) { counts.withLock { $0 } }
}

/// The metrics of one process, rendered in the Prometheus text format 0.0.4.
///
/// Labels are given when a metric is made, so label values come from closed sets in the code, never from data. Source of the naming
/// rules: prometheus.io, "Metric and label naming".
public final class Metrics: Sendable {
    private enum Kind: Sendable {
        case counter(Counter)
        case gauge(Gauge)
        case computed(@Sendable () -> Double)
        case histogram(Histogram)

        var type: String {
            switch self {
            case .counter: "counter"
            case .gauge, .computed: "gauge"
            case .histogram: "histogram"
            }
        }
    }

    private struct Series: Sendable {
        let labels: String
        let kind: Kind
    }

    private struct Family: Sendable {
        let name: String
        let help: String
        var series: [Series]
    }

    private let families = Mutex<[Family]>([])
    private let common: String

    /// - Parameter common: labels of every series, such as the use case.
    public init(common: [(String, String)] = []) {
        self.common = Self.text(common)
    }

    /// The counter of that name and labels; asked again, the same one.
    public func counter(_ name: String, _ help: String, _ labels: [(String, String)] = []) -> Counter {
        if case .counter(let existing)? = find(name, labels) { return existing }
        let counter = Counter()
        register(name, help, labels, .counter(counter))
        return counter
    }

    public func gauge(_ name: String, _ help: String, _ labels: [(String, String)] = []) -> Gauge {
        if case .gauge(let existing)? = find(name, labels) { return existing }
        let gauge = Gauge()
        register(name, help, labels, .gauge(gauge))
        return gauge
    }

    /// A gauge whose value is asked for at each scrape.
    public func computed(_ name: String, _ help: String, _ labels: [(String, String)] = [], _ value: @escaping @Sendable () -> Double) {
        register(name, help, labels, .computed(value))
    }

    public func histogram(
        _ name: String, _ help: String, _ labels: [(String, String)] = [], bounds: [Double] = Histogram.latencyBounds
    ) -> Histogram {
        if case .histogram(let existing)? = find(name, labels) { return existing }
        let histogram = Histogram(bounds: bounds)
        register(name, help, labels, .histogram(histogram))
        return histogram
    }

    /// The whole exposition. Cost: one pass over all series.
    public func render() -> [UInt8] {
        var out = ""
        for family in families.withLock({ $0 }) {
            guard let type = family.series.first?.kind.type else { continue }
            out += "# HELP \(family.name) \(family.help)\n# TYPE \(family.name) \(type)\n"
            for series in family.series {
                let labels = [common, series.labels].filter { !$0.isEmpty }.joined(separator: ",")
                let braces = labels.isEmpty ? "" : "{" + labels + "}"
                switch series.kind {
                case .counter(let counter): out += "\(family.name)\(braces) \(counter.value)\n"
                case .gauge(let gauge): out += "\(family.name)\(braces) \(Self.text(gauge.value))\n"
                case .computed(let value): out += "\(family.name)\(braces) \(Self.text(value()))\n"
                case .histogram(let histogram):
                    let (buckets, sum) = histogram.snapshot
                    var total = 0
                    for (index, count) in buckets.enumerated() {
                        total += count
                        let bound = index < histogram.bounds.count ? "\(histogram.bounds[index])" : "+Inf"
                        out += "\(family.name)_bucket{\(labels)\(labels.isEmpty ? "" : ",")le=\"\(bound)\"} \(total)\n"
                    }
                    out += "\(family.name)_sum\(braces) \(sum)\n\(family.name)_count\(braces) \(total)\n"
                }
            }
        }
        return Array(out.utf8)
    }

    private func find(_ name: String, _ labels: [(String, String)]) -> Kind? {
        let text = Self.text(labels)
        return families.withLock { $0.first { $0.name == name }?.series.first { $0.labels == text }?.kind }
    }

    private func register(_ name: String, _ help: String, _ labels: [(String, String)], _ kind: Kind) {
        let series = Series(labels: Self.text(labels), kind: kind)
        families.withLock { families in
            if let index = families.firstIndex(where: { $0.name == name }) {
                families[index].series.append(series)
            } else {
                families.append(Family(name: name, help: help, series: [series]))
            }
        }
    }

    /// As Prometheus writes numbers (Exposition formats, "Text-based format").
    private static func text(_ value: Double) -> String {
        value.isNaN ? "NaN" : value.isInfinite ? (value < 0 ? "-Inf" : "+Inf") : "\(value)"
    }

    private static func text(_ labels: [(String, String)]) -> String {
        labels.map { name, value in
            let escaped = value.map { character -> String in
                switch character {
                case "\\": "\\\\"
                case "\"": "\\\""
                case "\n": "\\n"
                default: String(character)
                }
            }.joined()
            return "\(name)=\"\(escaped)\""
        }.joined(separator: ",")
    }
}
