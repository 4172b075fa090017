/// What a use case wants people to be told, and how often. Times are milliseconds.
///
/// `group_wait`, `group_interval` and `repeat_interval` mean what they mean in Alertmanager
/// ([configuration](https://prometheus.io/docs/alerting/latest/configuration/#route)); `keep_firing_for` what it means in Prometheus' rules.
public struct AlertPolicy: Sendable, Equatable {
    /// Anomalies with equal values of these labels make one alert. Empty: all of the use case's.
    public var groupBy: [AlertLabel] = [.entity]
    /// How long a new alert waits for more anomalies before it is told; 0 tells it at once.
    public var groupWait: Int64 = 1_000
    /// Shortest time between two messages about an open alert to which anomalies were added.
    public var groupInterval: Int64 = 5 * 60_000
    /// How often an open alert is told again although nothing is new.
    public var repeatInterval: Int64 = 4 * 3_600_000
    /// An alert without anomalies for so long is over.
    public var resolveAfter: Int64 = 10 * 60_000
    /// After the scorer said that all is well again, an alert stays open for so long, in case it is not.
    public var keepFiringFor: Int64 = 30_000
    /// After a message about a group, a new alert of the same group is not opened for so long.
    public var cooldown: Int64 = 60_000
    /// Most messages in an hour, over all groups; `resolved` and `escalated` are not counted.
    public var capPerHour = 200
    /// Most alerts that are open at once; anomalies of further groups share one alert.
    public var groupLimit = 10_000
    /// The most severe that applies counts; `warning` where none does.
    public var severity = [SeverityRule(.critical, score: 0.99, after: 15 * 60_000)]
    /// The first that matches says who is told.
    public var routes: [Route] = []
    /// Who else is told of an alert that nobody acknowledges.
    public var escalation: Escalation?
    public var inhibitions: [Inhibition] = []
    public var maintenance: [MaintenanceWindow] = []

    public init() {}

    public struct Route: Sendable, Equatable {
        public var matcher: AlertMatcher
        /// Names of receivers.
        public var to: [String]

        public init(_ matcher: AlertMatcher, to: [String]) {
            self.matcher = matcher
            self.to = to
        }
    }

    public struct Escalation: Sendable, Equatable {
        /// Milliseconds after the first message.
        public var after: Int64
        public var to: [String]

        public init(after: Int64, to: [String]) {
            self.after = after
            self.to = to
        }
    }

    /// While an anomaly that matches `source` is fresh, those that match `target` and have equal labels are not told.
    public struct Inhibition: Sendable, Equatable {
        public var source: AlertMatcher
        public var target: AlertMatcher
        public var equal: [AlertLabel]

        public init(source: AlertMatcher, target: AlertMatcher, equal: [AlertLabel]) {
            self.source = source
            self.target = target
            self.equal = equal
        }
    }

    /// The urgency by score and duration.
    public func severity(score: Double, duration: Int64) -> Severity {
        var found: Severity?
        for rule in severity {
            let applies =
                rule.score.map { score >= $0 } ?? false || rule.after.map { duration >= $0 } ?? false || (rule.score == nil && rule.after == nil)
            if applies, found.map({ $0 < rule.severity }) ?? true { found = rule.severity }
        }
        return found ?? .warning
    }
}
