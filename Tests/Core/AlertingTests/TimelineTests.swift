import Testing

@testable import Alerting

/// What happens, and what must be sent between which times.
@Suite("Alerts on a timeline")
struct TimelineTests {
    @Test("What is told, when, and about what", arguments: cases)
    func timeline(_ example: TimelineCase) {
        #expect(example.mistakes(example.run()).isEmpty, "\(example.mistakes(example.run()).joined(separator: "\n"))")
    }

    static let cases: [TimelineCase] = grouping + lifecycle + people + flood + mutes

    // MARK: group_wait, group_interval, repeat_interval

    private static let grouping: [TimelineCase] = [
        TimelineCase("nothing comes of nothing", until: 3_600, [], []),
        TimelineCase(
            "the first message waits for group_wait", until: 60, [.anomaly(0, "a")], [.init(.opened, "a", 10, 10, anomalies: 1)]),
        TimelineCase(
            "without group_wait it is told at once", { $0.groupWait = 0 }, until: 60, [.anomaly(5, "a")], [.init(.opened, "a", 5, 5, anomalies: 1)]),
        TimelineCase(
            "what comes within group_wait is one message", until: 60, [.anomaly(0, "a"), .anomaly(3, "a"), .anomaly(9.9, "a")],
            [.init(.opened, "a", 10, 10, anomalies: 3)]),
        TimelineCase(
            "two groups are two alerts", until: 60, [.anomaly(0, "a"), .anomaly(2, "b")],
            [.init(.opened, "a", 10, 10, anomalies: 1), .init(.opened, "b", 12, 12, anomalies: 1)]),
        TimelineCase(
            "what is added is told after group_interval, in one message", until: 75, [.anomaly(0, "a"), .anomaly(20, "a"), .anomaly(30, "a")],
            [.init(.opened, "a", 10, 10, anomalies: 1), .init(.updated, "a", 70, 70, anomalies: 3)]),
        TimelineCase(
            "a long burst is told once an interval", { $0.resolveAfter = 300_000 }, until: 200,
            stride(from: 0.0, to: 200, by: 1).map { .anomaly($0, "a") },
            [
                .init(.opened, "a", 10, 10), .init(.updated, "a", 70, 70), .init(.updated, "a", 130, 130), .init(.updated, "a", 190, 190),
            ]),
        TimelineCase(
            "an update that comes late is told at once", until: 110, [.anomaly(0, "a"), .anomaly(100, "a")],
            [.init(.opened, "a", 10, 10), .init(.updated, "a", 100, 100, anomalies: 2)]),
        TimelineCase(
            "an open alert to which nothing is added is repeated", { $0.resolveAfter = 2_000_000 }, until: 1_250, [.anomaly(0, "a")],
            [.init(.opened, "a", 10, 10), .init(.repeated, "a", 610, 610), .init(.repeated, "a", 1_210, 1_210)]),
        TimelineCase(
            "all entities may be one group", { $0.groupBy = [] }, until: 60,
            [.anomaly(0, "a"), .anomaly(1, "b", partition: 1), .anomaly(2, "c", partition: 2)],
            [.init(.opened, "*", 10, 10, anomalies: 3)]),
        TimelineCase(
            "a group may be an entity's feature set", { $0.groupBy = [.entity, .set] }, until: 60,
            [.anomaly(0, "a"), .anomaly(1, "a", set: "recent")],
            [.init(.opened, "a/trip", 10, 10, anomalies: 1), .init(.opened, "a/recent", 11, 11, anomalies: 1)]),
        TimelineCase(
            "beyond the limit of groups, anomalies share one", { $0.groupLimit = 2 }, until: 60,
            [.anomaly(0, "a"), .anomaly(0, "b"), .anomaly(1, "c"), .anomaly(2, "d")],
            [.init(.opened, "a", 10, 10), .init(.opened, "b", 10, 10), .init(.opened, "others", 11, 11, anomalies: 2)]),
    ]

    // MARK: open, update, resolve

    private static let lifecycle: [TimelineCase] = [
        TimelineCase(
            "an alert ends after silence", until: 300, [.anomaly(0, "a")],
            [.init(.opened, "a", 10, 10), .init(.resolved, "a", 120, 120, anomalies: 1)]),
        TimelineCase(
            "an alert ends when the scorer says so", until: 300, [.anomaly(0, "a"), .cleared(15, "a")],
            [.init(.opened, "a", 10, 10), .init(.resolved, "a", 35, 35)]),
        TimelineCase(
            "an entity that is odd again soon keeps its alert open", until: 230, [.anomaly(0, "a"), .cleared(15, "a"), .anomaly(30, "a")],
            [.init(.opened, "a", 10, 10), .init(.updated, "a", 70, 70, anomalies: 2), .init(.resolved, "a", 150, 150)]),
        TimelineCase(
            "the end of one feature set's anomaly is not the end of another's", until: 200,
            [.anomaly(0, "a"), .anomaly(1, "a", set: "recent"), .cleared(15, "a")], [.init(.opened, "a", 10, 10), .init(.resolved, "a", 121, 121)]),
        TimelineCase(
            "a group of several entities ends when all are normal", { $0.groupBy = [] }, until: 200,
            [.anomaly(0, "a"), .anomaly(1, "b"), .cleared(15, "a"), .cleared(40, "b")],
            [.init(.opened, "*", 10, 10), .init(.resolved, "*", 60, 60, anomalies: 2)]),
        TimelineCase(
            "the end of what nobody was told about is not told, and the next alert counts it", { $0.groupWait = 30_000 }, until: 200,
            [.anomaly(0, "a"), .cleared(5, "a"), .anomaly(60, "a")],
            [.init(.opened, "a", 90, 90, anomalies: 1, suppressed: 1), .init(.resolved, "a", 180, 180)]),
        TimelineCase("that all is well without an alert is not told", until: 200, [.cleared(0, "a"), .cleared(10, "b")], []),
        TimelineCase(
            "a new burst after the end is a new alert, after the cooldown", { $0.cooldown = 100_000 }, until: 140,
            [.anomaly(0, "a"), .cleared(11, "a"), .anomaly(40, "a"), .anomaly(90, "a")],
            [.init(.opened, "a", 10, 10), .init(.resolved, "a", 31, 31), .init(.opened, "a", 131, 131, anomalies: 2)]),
        TimelineCase(
            "what the cooldown held back to its end is told with the next alert", { $0.cooldown = 500_000 }, until: 600,
            [.anomaly(0, "a"), .cleared(11, "a"), .anomaly(40, "a"), .anomaly(50, "a"), .anomaly(531, "a")],
            [.init(.opened, "a", 10, 10), .init(.resolved, "a", 31, 31), .init(.opened, "a", 541, 541, anomalies: 1, suppressed: 2)]),
        TimelineCase(
            "a rise in severity is told at once", until: 100, [.anomaly(0, "a"), .anomaly(15, "a", score: 0.995)],
            [.init(.opened, "a", 10, 10, severity: .warning), .init(.updated, "a", 15, 15, anomalies: 2, severity: .critical)]),
        TimelineCase(
            "a fall in severity is not", until: 75, [.anomaly(0, "a", score: 0.995), .anomaly(15, "a", score: 0.9)],
            [.init(.opened, "a", 10, 10, severity: .critical), .init(.updated, "a", 70, 70, severity: .critical)]),
        TimelineCase(
            "what lasts becomes critical", { $0.severity = [SeverityRule(.critical, after: 90_000)] }, until: 100,
            [.anomaly(0, "a"), .anomaly(50, "a")],
            [
                .init(.opened, "a", 10, 10, severity: .warning), .init(.updated, "a", 70, 70, severity: .warning),
                .init(.updated, "a", 90, 90, severity: .critical),
            ]),
    ]

    // MARK: people

    private static let people: [TimelineCase] = [
        TimelineCase(
            "who acknowledged is not told the same again", { $0.resolveAfter = 2_000_000 }, until: 1_900,
            [.anomaly(0, "a"), .acknowledge(20, "a"), .anomaly(200, "a")], [.init(.opened, "a", 10, 10)]),
        TimelineCase(
            "but that it became worse", until: 60, [.anomaly(0, "a"), .acknowledge(20, "a"), .anomaly(30, "a", score: 0.999)],
            [.init(.opened, "a", 10, 10), .init(.updated, "a", 30, 30, severity: .critical)]),
        TimelineCase(
            "and that it is over", until: 300, [.anomaly(0, "a"), .acknowledge(20, "a")],
            [.init(.opened, "a", 10, 10), .init(.resolved, "a", 120, 120)]),
        TimelineCase(
            "an acknowledgement ends with its alert", until: 250,
            [.anomaly(0, "a"), .acknowledge(12, "a"), .cleared(15, "a"), .anomaly(100, "a"), .anomaly(180, "a")],
            [.init(.opened, "a", 10, 10), .init(.resolved, "a", 35, 35), .init(.opened, "a", 110, 110), .init(.updated, "a", 180, 180)]),
        TimelineCase(
            "a snoozed alert is quiet, then says what came meanwhile", { $0.resolveAfter = 1_000_000 }, until: 550,
            [.anomaly(0, "a"), .snooze(20, "a", for: 400), .anomaly(30, "a"), .anomaly(200, "a")],
            [.init(.opened, "a", 10, 10), .init(.updated, "a", 420, 420, anomalies: 3)]),
        TimelineCase(
            "a snoozed alert that ends says so", until: 300, [.anomaly(0, "a"), .snooze(20, "a", for: 4_000)],
            [.init(.opened, "a", 10, 10), .init(.resolved, "a", 120, 120)]),
        TimelineCase(
            "nobody acknowledges: somebody else is told, once",
            {
                $0.escalation = AlertPolicy.Escalation(after: 50_000, to: ["smtp"])
                $0.resolveAfter = 700_000
                $0.routes = [.init(AlertMatcher(), to: ["slack"])]
            }, until: 800, [.anomaly(0, "a")],
            [
                .init(.opened, "a", 10, 10, to: ["slack"]), .init(.escalated, "a", 60, 60, to: ["smtp"]),
                .init(.repeated, "a", 660, 660, to: ["slack"]),
                .init(.resolved, "a", 700, 700, to: ["slack", "smtp"]),
            ]),
        TimelineCase(
            "somebody acknowledges: nobody else is told", { $0.escalation = AlertPolicy.Escalation(after: 50_000, to: ["smtp"]) }, until: 100,
            [.anomaly(0, "a"), .acknowledge(59, "a")], [.init(.opened, "a", 10, 10)]),
        TimelineCase(
            "the first route that matches says who is told",
            {
                $0.routes = [
                    .init(matcher((.severity, "critical")), to: ["smtp"]), .init(matcher((.entity, "test-*")), to: ["log"]),
                ]
            }, until: 60, [.anomaly(0, "a"), .anomaly(1, "b", score: 0.995), .anomaly(2, "test-1")],
            [
                .init(.opened, "a", 10, 10, to: ["*"]), .init(.opened, "b", 11, 11, to: ["smtp"]), .init(.opened, "test-1", 12, 12, to: ["log"]),
            ]),
    ]

    // MARK: the cap

    private static let flood: [TimelineCase] = [
        TimelineCase(
            "beyond the cap nothing is told but that, and in the next hour what is still open",
            {
                $0.capPerHour = 2
                $0.groupWait = 0
                $0.resolveAfter = 7_200_000
                $0.repeatInterval = 86_400_000
            }, until: 3_700,
            [.anomaly(0, "a"), .anomaly(1, "b"), .anomaly(2, "c"), .anomaly(3, "d")],
            [
                .init(.opened, "a", 0, 0), .init(.opened, "b", 1, 1), .init(.capped, "c", 2, 2, held: 1),
                .init(.heldBack, "c", 3_600, 3_600, held: 2), .init(.opened, "c", 3_600, 3_600), .init(.opened, "d", 3_600, 3_600),
            ]),
        TimelineCase(
            "what is over in the next hour is only counted",
            {
                $0.capPerHour = 1
                $0.groupWait = 0
            }, until: 7_200, [.anomaly(0, "a"), .anomaly(1, "b")],
            [
                .init(.opened, "a", 0, 0), .init(.capped, "b", 1, 1), .init(.resolved, "a", 120, 120), .init(.heldBack, "b", 3_600, 3_600, held: 1),
            ]),
        TimelineCase(
            "the end of an alert passes a full cap",
            {
                $0.capPerHour = 1
                $0.groupWait = 0
            }, until: 300, [.anomaly(0, "a"), .cleared(5, "a")], [.init(.opened, "a", 0, 0), .init(.resolved, "a", 25, 25)]),
        TimelineCase(
            "a call for help passes a full cap",
            {
                $0.capPerHour = 1
                $0.groupWait = 0
                $0.escalation = AlertPolicy.Escalation(after: 50_000, to: ["smtp"])
            }, until: 100, [.anomaly(0, "a")], [.init(.opened, "a", 0, 0), .init(.escalated, "a", 50, 50)]),
    ]

    // MARK: silences, maintenance, inhibition

    private static let mutes: [TimelineCase] = [
        TimelineCase("a silenced anomaly opens nothing", until: 200, [.silence(0, matcher((.entity, "a")), for: 100), .anomaly(5, "a")], []),
        TimelineCase(
            "a silence is for what it matches", until: 60, [.silence(0, matcher((.entity, "a*")), for: 100), .anomaly(5, "ab"), .anomaly(5, "b")],
            [.init(.opened, "b", 15, 15)]),
        TimelineCase(
            "after a silence anomalies are told again", until: 150,
            [.silence(0, matcher((.entity, "a")), for: 100), .anomaly(5, "a"), .anomaly(101, "a")],
            [.init(.opened, "a", 111, 111, anomalies: 1)]),
        TimelineCase(
            "a silence that is ended early is over", until: 60,
            [.silence(0, AlertMatcher(), for: 1_000), .anomaly(5, "a"), .unsilence(10), .anomaly(20, "a")],
            [.init(.opened, "a", 30, 30)]),
        TimelineCase(
            "an alert that is silenced while open stays open and quiet", until: 400,
            [.anomaly(0, "a"), .silence(20, AlertMatcher(), for: 300)] + stride(from: 30.0, to: 310, by: 40).map { .anomaly($0, "a") } + [
                .anomaly(330, "a")
            ],
            [.init(.opened, "a", 10, 10), .init(.updated, "a", 330, 330, anomalies: 2)]),
        TimelineCase(
            "in a maintenance window nothing is opened",
            { $0.maintenance = [MaintenanceWindow(days: [5], from: 60, until: 120, matcher: matcher((.entity, "a")))] }, until: 7_300,
            [.anomaly(3_599, "b"), .anomaly(3_601, "a"), .anomaly(3_700, "b", set: "recent"), .anomaly(7_199, "a"), .anomaly(7_201, "a")],
            [
                .init(.opened, "b", 3_609, 3_609), .init(.updated, "b", 3_700, 3_700), .init(.resolved, "b", 3_820, 3_820),
                .init(.opened, "a", 7_211, 7_211),
            ]),
        TimelineCase(
            "a maintenance window may cross midnight", { $0.maintenance = [MaintenanceWindow(days: [4], from: 23 * 60, until: 60)] }, until: 3_700,
            [.anomaly(10, "a"), .anomaly(3_601, "a")], [.init(.opened, "a", 3_611, 3_611)]),
        TimelineCase(
            "an entity that is missing explains what is odd about it",
            { $0.inhibitions = [.init(source: matcher((.type, "missing")), target: matcher((.set, "trip")), equal: [.entity])] }, until: 60,
            [.anomaly(0, "a", score: 0.9, set: "silence", type: "missing"), .anomaly(5, "a"), .anomaly(6, "b")],
            [.init(.opened, "a", 10, 10, anomalies: 1), .init(.opened, "b", 16, 16)]),
        TimelineCase(
            "when it is back, what is odd is told again",
            {
                $0.groupBy = [.entity, .set]
                $0.inhibitions = [.init(source: matcher((.type, "missing")), target: matcher((.set, "trip")), equal: [.entity])]
            }, until: 75,
            [
                .anomaly(0, "a", set: "silence", type: "missing"), .anomaly(5, "a"), .cleared(15, "a", set: "silence", type: "missing"),
                .anomaly(20, "a"), .anomaly(40, "a"),
            ],
            [
                .init(.opened, "a/silence", 10, 10), .init(.resolved, "a/silence", 35, 35), .init(.opened, "a/trip", 50, 50, anomalies: 1),
            ]),
    ]
}
