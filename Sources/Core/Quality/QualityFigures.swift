/// How well alarms and truth fit, counted by events; see `EventMatcher`.
public struct QualityFigures: Sendable, Equatable {
    /// Episodes of one kind.
    public struct Kind: Sendable, Equatable {
        public let name: String
        public internal(set) var episodes = 0
        public internal(set) var found = 0
    }

    public internal(set) var alerts = 0
    public internal(set) var trueAlerts = 0
    /// In the order in which they were first seen.
    public internal(set) var kinds: [Kind] = []
    /// Entities with at least one score or label.
    public internal(set) var entities = 0
    /// Days that entities were watched, over all entities, in event time.
    public internal(set) var entityDays = 0.0
    /// Of the episodes that were found, seconds from their start to their first flagged record; the newest `keptDelays`.
    public internal(set) var delays: [Double] = []
    private var nextDelay = 0

    /// A bound on memory; enough for a steady 99th percentile.
    private static let keptDelays = 10_000

    public init() {}

    public var episodes: Int { kinds.reduce(0) { $0 + $1.episodes } }
    public var found: Int { kinds.reduce(0) { $0 + $1.found } }
    public var falseAlerts: Int { alerts - trueAlerts }
    /// True alerts among all; nil without an alert.
    public var precision: Double? { alerts > 0 ? Double(trueAlerts) / Double(alerts) : nil }
    /// Found episodes among all; nil without an episode.
    public var recall: Double? { episodes > 0 ? Double(found) / Double(episodes) : nil }
    /// Nil until time has passed.
    public var falseAlertsPerEntityDay: Double? { entityDays > 0 ? Double(falseAlerts) / entityDays : nil }

    /// The delays that were added since an earlier state of these figures.
    public func newDelays(since earlier: QualityFigures) -> [Double] {
        let count = found - earlier.found
        guard delays.count == Self.keptDelays else { return Array(delays.suffix(count)) }
        return (0..<min(count, delays.count)).map { delays[(nextDelay + delays.count - 1 - $0) % delays.count] }
    }

    /// Nearest-rank quantile of the delays, seconds.
    public func delay(quantile: Double) -> Double? {
        guard !delays.isEmpty else { return nil }
        let sorted = delays.sorted()
        return sorted[min(sorted.count, max(1, Int((quantile * Double(sorted.count)).rounded(.up)))) - 1]
    }

    mutating func add(kind name: String, delay: Double?) {
        let place = kinds.firstIndex { $0.name == name } ?? kinds.count
        if place == kinds.count { kinds.append(Kind(name: name)) }
        kinds[place].episodes += 1
        guard let delay else { return }
        kinds[place].found += 1
        if delays.count < Self.keptDelays {
            delays.append(delay)
        } else {
            delays[nextDelay] = delay
            nextDelay = (nextDelay + 1) % Self.keptDelays
        }
    }
}
