import Alerting
import AlertStore
import Contracts
import Glibc
import JSON
import RedisClient
import ServiceKit
import UseCases

/// `vyuhactl alerts list | show | ack | snooze | silence | unsilence | history`.
enum AlertsCommand {
    private static let actions = [
        (name: "list", summary: "Lists what is going on: open alerts, those that wait, and silences."),
        (name: "show", summary: "Shows all that is known of one alert."),
        (name: "ack", summary: "Says that somebody takes care of an alert: no repeats and no escalation."),
        (name: "snooze", summary: "Nothing is told of an alert for a time, but its end."),
        (name: "silence", summary: "Anomalies that match are not told for a time: --match entity=7*,severity=warning."),
        (name: "unsilence", summary: "Ends a silence."),
        (name: "history", summary: "Shows what was told and done, the newest last."),
    ]

    static func run(_ arguments: [String]) throws {
        var arguments = arguments
        let action = Action.take("alerts", actions, from: &arguments)
        let summary = actions.first { $0.name == action }?.summary ?? ""
        let settings = Service.readSettings("vyuhactl alerts \(action)", summary, arguments: arguments) { reader in
            AlertsSettings(&reader, action: action)
        }
        let desk = try AlertDesk(
            AlertStore(RedisClient(settings.redis), keys: RedisKeys(useCase: settings.useCase.name)), settings.useCase.alerts.policy)
        switch action {
        case "show": print(try desk.show(settings.alert))
        case "ack": print(try desk.acknowledge(settings.alert, by: settings.by))
        case "snooze": print(try desk.snooze(settings.alert, milliseconds: settings.duration))
        case "silence":
            let from = Clock.milliseconds + settings.delay
            print(try desk.silence(settings.matcher, from: from, until: from + settings.duration, by: settings.by, comment: settings.comment))
        case "unsilence": print(try desk.unsilence(settings.alert))
        case "history": print(try desk.history(settings.count))
        default: print(try desk.list())
        }
    }
}

/// What the actions of `vyuhactl alerts` are given.
private struct AlertsSettings {
    let useCase: UseCase
    let redis: RedisSettings
    var alert = ""
    var by = ""
    var comment = ""
    var duration: Int64 = 0
    var delay: Int64 = 0
    var matcher = AlertMatcher()
    var count = 50

    init?(_ reader: inout SettingsReader, action: String) {
        if ["show", "ack", "snooze", "unsilence"].contains(action) {
            let what = action == "unsilence" ? "SILENCE" : "ALERT"
            alert = reader.positional(what, "Its id, or the beginning of it.") ?? ""
            if alert.isEmpty { reader.reject("Say which, by its id: see vyuhactl alerts list.") }
        }
        let useCase = reader.useCase()
        let redis = CommonSettings.redis(&reader)
        if action == "ack" || action == "silence" {
            let user = getenv("USER").map { String(cString: $0) } ?? "somebody"
            by = reader.string("--by", default: user, "Who says so.")
        }
        if action == "snooze" || action == "silence" {
            duration = Int64(reader.duration("--for", default: "1h", in: 1_000...2_592_000_000, "For how long, up to 30d.") ?? 0)
        }
        if action == "silence" {
            delay = Int64(reader.duration("--in", default: "0s", in: 0...2_592_000_000, "When it begins.") ?? 0)
            comment = reader.string("--comment", default: "", "Why.")
            matcher =
                reader.value(
                    "--match", default: nil,
                    "LABEL=PATTERN, several separated by commas; labels are entity, set, type and severity; * stands for anything."
                ) {
                    try AlertMatcher(text: $0)
                } ?? AlertMatcher()
            if matcher.patterns.isEmpty { reader.reject("Say what to silence, with --match, such as --match entity=7*.") }
        }
        if action == "history" { count = reader.integer("--last", default: 50, in: 1...10_000, "How many.") }
        guard let useCase, let redis else { return nil }
        self.useCase = useCase
        self.redis = redis
    }
}

extension AlertMatcher {
    /// Reads `entity=7*,severity=warning`.
    init(text: String) throws(CommandError) {
        self.init()
        for part in text.split(separator: ",") {
            let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard sides.count == 2, let label = AlertLabel(rawValue: String(sides[0])), !sides[1].isEmpty else {
                throw CommandError("\"\(part)\" is not LABEL=PATTERN with one of the labels entity, set, type, severity.")
            }
            if label == .severity, Severity(name: String(sides[1])) == nil {
                throw CommandError("The severity is info, warning or critical, not \"\(sides[1])\".")
            }
            patterns.append((label, String(sides[1])))
        }
    }
}
