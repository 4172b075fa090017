import Testing

@testable import Alerting

/// One case: what happens when, and what must be sent between which times. Times are seconds after the beginning of a day (UTC).
struct TimelineCase: Sendable, CustomTestStringConvertible {
    enum Step: Sendable {
        /// An anomaly of an entity.
        case anomaly(_ at: Double, _ entity: String, score: Double = 0.95, set: String = "trip", type: String = "", partition: Int32 = 0)
        /// The entity is normal again.
        case cleared(_ at: Double, _ entity: String, set: String = "trip", type: String = "")
        case acknowledge(_ at: Double, _ group: String)
        case snooze(_ at: Double, _ group: String, for: Double)
        case silence(_ at: Double, _ matcher: AlertMatcher, for: Double)
        case unsilence(_ at: Double)

        var at: Double {
            switch self {
            case .anomaly(let at, _, _, _, _, _), .cleared(let at, _, _, _), .acknowledge(let at, _), .snooze(let at, _, _), .silence(let at, _, _),
                .unsilence(let at):
                at
            }
        }
    }

    /// A message that must be sent: not before `from`, not after `until`.
    struct Wanted: Sendable {
        let occasion: Occasion
        let group: String
        let from: Double
        let until: Double
        var anomalies: Int64?
        var severity: Severity?
        var to: [String]?
        var suppressed: Int64?
        var held: Int?

        init(
            _ occasion: Occasion, _ group: String, _ from: Double, _ until: Double, anomalies: Int64? = nil, severity: Severity? = nil,
            to: [String]? = nil, suppressed: Int64? = nil, held: Int? = nil
        ) {
            self.occasion = occasion
            self.group = group
            self.from = from
            self.until = until
            self.anomalies = anomalies
            self.severity = severity
            self.to = to
            self.suppressed = suppressed
            self.held = held
        }
    }

    let name: String
    var policy = AlertPolicy()
    let steps: [Step]
    /// The case ends so many seconds after its begin.
    let until: Double
    let wanted: [Wanted]

    init(_ name: String, _ change: (inout AlertPolicy) -> Void = { _ in }, until: Double, _ steps: [Step], _ wanted: [Wanted]) {
        self.name = name
        // 10 s, 60 s, 10 min, 2 min, 20 s, 30 s.
        policy.groupWait = 10_000
        policy.groupInterval = 60_000
        policy.repeatInterval = 600_000
        policy.resolveAfter = 120_000
        policy.keepFiringFor = 20_000
        policy.cooldown = 30_000
        policy.severity = [SeverityRule(.critical, score: 0.99)]
        change(&policy)
        self.steps = steps
        self.until = until
        self.wanted = wanted
    }

    var testDescription: String { name }
}

/// A Saturday at midnight, UTC, in milliseconds.
let midnight: Int64 = 1_763_769_600_000

extension TimelineCase {
    /// Runs the case, with what it must send at `rate` steps of the clock a second.
    func run() -> [Notice] {
        var timeline = AlertTimeline(AlertEngine(policy), now: midnight)
        var offset: Int64 = 0
        for step in steps {
            let now = midnight + Int64(step.at * 1_000)
            timeline.advance(to: now)
            apply(step, now, &offset, &timeline)
        }
        timeline.advance(to: midnight + Int64(until * 1_000))
        return timeline.takeNotices()
    }

    func apply(_ step: Step, _ now: Int64, _ offset: inout Int64, _ timeline: inout AlertTimeline) {
        switch step {
        case .anomaly(_, let entity, let score, let set, let type, let partition):
            offset += 1
            timeline.take(sighting(entity, now, offset, score: score, set: set, type: type, partition: partition))
        case .cleared(_, let entity, let set, let type):
            offset += 1
            var end = sighting(entity, now, offset, score: 0.1, set: set, type: type)
            end.isCleared = true
            timeline.take(end)
        case .acknowledge(_, let group):
            _ = timeline.engine.acknowledge(group, by: "me", now: now, &timeline.book)
        case .snooze(_, let group, let duration):
            _ = timeline.engine.snooze(group, until: now + Int64(duration * 1_000), now: now, &timeline.book)
        case .silence(_, let matcher, let duration):
            timeline.engine.silences.append(
                Silence(id: "s", matcher: matcher, from: now, until: now + Int64(duration * 1_000), by: "me", comment: ""))
        case .unsilence: timeline.engine.silences = []
        }
    }

    /// What is wrong with the messages; empty where they are as wanted.
    func mistakes(_ notices: [Notice]) -> [String] {
        let told = notices.filter { $0.occasion != .acknowledged && $0.occasion != .snoozed }
        var mistakes: [String] = []
        for (index, notice) in told.enumerated() {
            let at = Double(notice.at - midnight) / 1_000
            let what = "\(notice.occasion.rawValue) \(notice.group.name) at \(at), \(notice.group.anomalies) anomalies"
            guard index < wanted.count else {
                mistakes.append("not wanted: \(what)")
                continue
            }
            let wish = wanted[index]
            var isRight = wish.occasion == notice.occasion && wish.group == notice.group.name && (wish.from...wish.until).contains(at)
            if let anomalies = wish.anomalies, anomalies != notice.group.anomalies { isRight = false }
            if let severity = wish.severity, severity != notice.group.severity { isRight = false }
            if let to = wish.to, to != notice.to { isRight = false }
            if let suppressed = wish.suppressed, suppressed != notice.group.suppressed { isRight = false }
            if let held = wish.held, held != notice.held { isRight = false }
            if !isRight {
                mistakes.append(
                    "\(what), \(notice.group.severity) to \(notice.to), suppressed \(notice.group.suppressed), held \(notice.held); wanted \(wish)")
            }
        }
        for wish in wanted.dropFirst(told.count) { mistakes.append("missing: \(wish)") }
        return mistakes
    }
}

func sighting(
    _ entity: String, _ at: Int64, _ offset: Int64, score: Double = 0.95, set: String = "trip", type: String = "", partition: Int32 = 0,
    id: String? = nil
) -> Sighting {
    Sighting(
        id: id ?? "e:\(offset)", labels: AlertLabels(entity: entity, set: set, type: type), score: score, eventTime: at - 500, producedAt: at - 20,
        offset: offset, evidence: Array("{}".utf8), source: Sighting.Source(partition: partition, offset: offset, timestamp: at))
}

func matcher(_ patterns: (AlertLabel, String)...) -> AlertMatcher { AlertMatcher(patterns.map { (label: $0.0, pattern: $0.1) }) }
