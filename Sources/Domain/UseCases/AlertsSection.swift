import Alerting
import Features
import JSON
import YAMLReader

/// `alerts`: what people are told about an anomaly, how often, and in which words.
public struct AlertsSection: Sendable, Equatable {
    public let policy: AlertPolicy
    public let title: AlertTemplate
    public let text: AlertTemplate
    /// The text when the alert is over.
    public let resolved: AlertTemplate
    /// What a receiver gets instead of its own form, by its name: webhook, slack.
    public let payloads: [String: AlertTemplate]
    /// Where alerts are posted to, if the definition says so; the environment may say otherwise.
    public let webhook: String?

    /// The receivers that a route may name; log and topic get everything anyway.
    public static let receivers = ["log", "topic", "webhook", "slack", "alertmanager", "smtp"]
    /// Those whose payload may be a template.
    static let withPayload = ["webhook", "slack"]
}

extension AlertsSection {
    private static let keys = [
        "group_by", "group_wait", "group_interval", "repeat_interval", "resolve_after", "keep_firing_for", "cooldown", "cap_per_hour",
        "severity", "title", "text", "resolved", "payloads", "webhook", "route", "escalate", "inhibit", "maintenance",
    ]
    private static let defaultTitle = "{use_case}: {entity} is {status}"
    private static let defaultText = "Score {score} at {event_time}: {top_features}."
    private static let defaultResolved = "Over. {anomalies} anomalies from {since} to {last}; the worst: score {score}, {top_features}."

    init(_ node: YAMLNode?, sets: [FeatureSetInfo]) throws(YAMLError) {
        let keys = try node.map { node throws(YAMLError) in try node.mapping(Self.keys) }
        let features = sets.flatMap(\.features)
        policy = try AlertPolicy(keys)
        title = try AlertTemplate(keys?["title"], default: Self.defaultTitle, features: features)
        text = try AlertTemplate(keys?["text"], default: Self.defaultText, features: features)
        resolved = try AlertTemplate(keys?["resolved"], default: Self.defaultResolved, features: features)
        webhook = try keys?["webhook"].map { node throws(YAMLError) in try Self.address(node) }
        payloads = try Self.payloads(keys?["payloads"], features)
    }

    private static func payloads(_ node: YAMLNode?, _ features: [String]) throws(YAMLError) -> [String: AlertTemplate] {
        guard let mapping = try node.map({ node throws(YAMLError) in try node.mapping(withPayload) }) else { return [:] }
        var result: [String: AlertTemplate] = [:]
        for entry in mapping.entries {
            let template = try AlertTemplate(entry.value, default: "", features: features, isPayload: true)
            // A place stands inside quotes or is a number; a digit is right in both.
            guard (try? JSONValue.parse(template.render { _ in "0" })) != nil else {
                throw entry.value.error("The payload is not JSON once its places are filled in; write {{ and }} for the braces of an object.")
            }
            result[entry.key] = template
        }
        return result
    }

    private static func address(_ node: YAMLNode) throws(YAMLError) -> String {
        let text = try node.string()
        let isAddress = text.hasPrefix("https://") || text.hasPrefix("http://")
        guard isAddress, text.unicodeScalars.allSatisfy({ $0.value > 0x20 && $0.value != 0x7F }), text.utf8.count > 8 else {
            throw node.error("`webhook` wants an address that begins with https:// or http://, but has `\(text.prefix(80))`.")
        }
        return text
    }
}

extension AlertPolicy {
    private static let week: Int64 = 7 * 86_400_000

    init(_ keys: YAMLMapping?) throws(YAMLError) {
        self.init()
        guard let keys else { return }
        func time(_ key: String, _ lowest: Int64, _ value: inout Int64) throws(YAMLError) {
            if let node = keys[key] { value = try node.milliseconds(lowest...Self.week) }
        }
        try time("group_wait", 0, &groupWait)
        try time("group_interval", 1_000, &groupInterval)
        try time("repeat_interval", 1_000, &repeatInterval)
        try time("resolve_after", 1_000, &resolveAfter)
        try time("keep_firing_for", 0, &keepFiringFor)
        try time("cooldown", 0, &cooldown)
        if let node = keys["cap_per_hour"] { capPerHour = try node.int(1...1_000_000) }
        if let node = keys["group_by"] { groupBy = try Self.labels(node, [.entity, .set, .type]) }
        if let node = keys["severity"] { severity = try Self.severities(node) }
        for node in try keys["route"]?.sequence() ?? [] {
            let route = try node.mapping(["match", "to"])
            routes.append(Route(try Self.matcher(route["match"]), to: try Self.receivers(try route.required("to"))))
        }
        if let node = keys["escalate"] {
            let parts = try node.mapping(["after", "to"])
            escalation = Escalation(
                after: try parts.required("after").milliseconds(1_000...Self.week), to: try Self.receivers(try parts.required("to")))
        }
        for node in try keys["inhibit"]?.sequence() ?? [] {
            let rule = try node.mapping(["source", "target", "equal"])
            inhibitions.append(
                Inhibition(
                    source: try Self.matcher(try rule.required("source")), target: try Self.matcher(try rule.required("target")),
                    equal: try rule["equal"].map { node throws(YAMLError) in try Self.labels(node, AlertLabel.allCases) } ?? [.entity]))
        }
        for node in try keys["maintenance"]?.sequence() ?? [] { maintenance.append(try MaintenanceWindow(node)) }
    }

    fileprivate static func matcher(_ node: YAMLNode?) throws(YAMLError) -> AlertMatcher {
        guard let node else { return AlertMatcher() }
        var patterns: [(label: AlertLabel, pattern: String)] = []
        for entry in try node.mapping(AlertLabel.allCases.map(\.rawValue)).entries {
            guard let label = AlertLabel(rawValue: entry.key) else { continue }
            let pattern = try entry.value.nonEmptyString()
            if label == .severity, Severity(name: pattern) == nil {
                throw entry.value.error("`severity` is info, warning or critical, not `\(pattern)`.")
            }
            patterns.append((label, pattern))
        }
        return AlertMatcher(patterns)
    }

    private static func labels(_ node: YAMLNode, _ known: [AlertLabel]) throws(YAMLError) -> [AlertLabel] {
        var labels: [AlertLabel] = []
        for item in try node.sequence() { labels.append(try item.choice(known.map { ($0.rawValue, $0) })) }
        return labels
    }

    private static func receivers(_ node: YAMLNode) throws(YAMLError) -> [String] {
        var names: [String] = []
        for item in try node.sequence() { names.append(try item.choice(AlertsSection.receivers.map { ($0, $0) })) }
        return names
    }

    private static func severities(_ node: YAMLNode) throws(YAMLError) -> [SeverityRule] {
        var rules: [SeverityRule] = []
        for entry in try node.mapping(Severity.allCases.map(\.name)).entries {
            guard let severity = Severity(name: entry.key) else { continue }
            let rule = try entry.value.mapping(["score", "after"])
            rules.append(
                SeverityRule(
                    severity, score: try rule["score"].map { node throws(YAMLError) in try node.double(0...1) },
                    after: try rule["after"].map { node throws(YAMLError) in try node.milliseconds(1_000...week) }))
        }
        return rules
    }
}

extension MaintenanceWindow {
    private static let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

    fileprivate init(_ node: YAMLNode) throws(YAMLError) {
        let keys = try node.mapping(["days", "from", "until", "match"])
        var days: Set<Int> = []
        let choices = Self.days.enumerated().map { ($0.element, $0.offset) }
        for item in try keys["days"]?.sequence() ?? [] { days.insert(try item.choice(choices)) }
        self.init(
            days: days.isEmpty ? Set(0..<7) : days, from: try Self.minutes(try keys.required("from")),
            until: try Self.minutes(try keys.required("until")), matcher: try AlertPolicy.matcher(keys["match"]))
    }

    /// `22:30`, UTC.
    private static func minutes(_ node: YAMLNode) throws(YAMLError) -> Int {
        let text = try node.string()
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ $0.utf8.count == 2 && $0.utf8.allSatisfy { (48...57).contains($0) } }),
            let hour = Int(parts[0]), let minute = Int(parts[1]), hour < 24, minute < 60
        else { throw node.error("A time of the day is written as \"22:30\" (UTC), not `\(text.prefix(20))`.") }
        return hour * 60 + minute
    }
}
