import Text

/// When the absence of events, or of change, is worth a record of its own.
public struct SilenceRules: Sendable, Equatable {
    /// How often an entity is expected to send.
    public enum Interval: Sendable, Equatable {
        /// Milliseconds.
        case declared(Int64)
        /// The moving average of the entity's own gaps (weight 0.1), once there were ten; gaps during which it was missing do not count.
        case learned
    }

    /// A value that stays exactly the same.
    public struct Stuck: Sendable, Equatable {
        /// Name of a number, integer, boolean or string field.
        public var field: String
        /// For at least so many milliseconds,
        public var after: Int64
        /// and so many events in a row.
        public var events: Int

        public init(field: String, after: Int64, events: Int = 2) {
            self.field = field
            self.after = after
            self.events = events
        }
    }

    /// Nil: silence is not watched.
    public var interval: Interval?
    /// An entity is missing after this many intervals without an event. At least 1.
    public var missedIntervals: Double
    /// An entity that goes missing this often within the period is flapping. 2...16; nil: not watched.
    public var flappingCount: Int?
    /// Milliseconds.
    public var flappingPeriod: Int64
    public var stuck: [Stuck]

    public init(
        interval: Interval? = nil, missedIntervals: Double = 3, flappingCount: Int? = nil, flappingPeriod: Int64 = 3_600_000,
        stuck: [Stuck] = []
    ) {
        self.interval = interval
        self.missedIntervals = missedIntervals
        self.flappingCount = flappingCount
        self.flappingPeriod = flappingPeriod
        self.stuck = stuck
    }

    /// A sentence about what is wrong with the rules, or nil.
    func mistake(_ schema: EventSchema) -> String? {
        if case .declared(let milliseconds) = interval, !(1...FeaturePlan.maximumWindow).contains(milliseconds) {
            return "The expected interval lies between 1 ms and 366 days."
        }
        if !(missedIntervals >= 1 && missedIntervals <= 1_000_000) { return "The number of missed intervals lies between 1 and 1000000." }
        if let flappingCount {
            if !(2...16).contains(flappingCount) { return "The number of absences that make flapping lies between 2 and 16." }
            if !(1...FeaturePlan.maximumWindow).contains(flappingPeriod) { return "The flapping period lies between 1 ms and 366 days." }
            if interval == nil { return "Flapping can be noticed only where silence is: give an expected interval." }
        }
        for rule in stuck {
            guard let index = schema.index(of: rule.field) else {
                let hint = Nearest.sentence(rule.field, in: schema.fields.map(\.name))
                return "There is no field `\(rule.field)` to be stuck.\(hint)"
            }
            if schema.fields[index].type == .timestamp { return "A timestamp such as `\(rule.field)` cannot be stuck." }
            if rule.after < 0 || rule.after > FeaturePlan.maximumWindow || !(2...1_000_000).contains(rule.events) {
                return "A stuck value needs at least 2 events, and a time of at most 366 days."
            }
        }
        return nil
    }
}
