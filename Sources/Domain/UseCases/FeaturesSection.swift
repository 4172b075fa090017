import Features
import YAMLReader

/// `features` and `time`: what is computed from events, and how event time is judged.
struct FeaturesSection {
    let sets: [FeatureSetDefinition]
    let plan: FeaturePlan
    /// How long Kafka is to keep events, milliseconds; nil leaves it to the broker.
    let retention: Int64?

    /// What a Kafka broker keeps unless told otherwise (`log.retention.hours`).
    static let usualRetention: Int64 = 7 * 86_400_000

    init(_ node: YAMLNode, schema: EventSchema, time: YAMLNode?, silence: YAMLNode?) throws(YAMLError) {
        let declared = try node.mapping()
        var sets: [FeatureSetDefinition] = []
        let (rules, retention) = try time.map { node throws(YAMLError) in try Self.rules(node) } ?? (EventTimeRules(), nil)
        self.retention = retention
        for entry in declared.entries {
            sets.append(try Self.set(entry, declared))
            try Self.checkRetention(entry, sets[sets.count - 1].scope, rules, retention)
        }
        self.sets = sets
        let silenceRules = try silence.map { node throws(YAMLError) in try Self.silence(node) }
        do {
            plan = try FeaturePlan(schema: schema, sets: sets, time: rules, silence: silenceRules, zones: Zones.find)
        } catch {
            throw Self.place(error, declared)
        }
    }

    /// An objection at the place in the expression that it is about.
    private static func place(_ error: FeaturePlanError, _ declared: YAMLMapping) -> YAMLError {
        guard let set = error.set, let entry = declared.entries.first(where: { $0.key == set }) else {
            return declared.node.error(error.error.message)
        }
        guard let name = error.feature, case .mapping(let features) = entry.value.content,
            let feature = features.first(where: { $0.key == name })
        else { return declared.error(at: set, error.error.message) }
        return feature.value.error(error.error.message, utf8Offset: error.error.offset)
    }

    /// A set's features by name; the keys `per` and `window` say what one vector describes, `when` which events the set takes.
    private static func set(_ entry: YAMLEntry, _ declared: YAMLMapping) throws(YAMLError) -> FeatureSetDefinition {
        let isSafe = entry.key.utf8.allSatisfy { Letters.isLower($0) || Letters.isDigit($0) || $0 == UInt8(ascii: "_") }
        guard isSafe, let first = entry.key.utf8.first, !Letters.isDigit(first), entry.key.utf8.count <= 64 else {
            throw declared.error(
                at: entry.key, "A feature set's name is 1 to 64 lower-case letters, digits and `_`, not `\(entry.key.prefix(80))`.")
        }
        let keys = try entry.value.mapping()
        var scope = FeatureScope.event
        if let per = keys["per"] {
            scope = try per.choice([("event", FeatureScope.event)])
            if keys.contains("window") { throw keys.error(at: "window", "A feature set has `per: event` or a `window`, not both.") }
        }
        if let window = keys["window"] { scope = try Self.window(window) }
        var features: [FeatureDefinition] = []
        let condition = try keys["when"].map { node throws(YAMLError) in try node.nonEmptyString() }
        for feature in keys.entries where !["per", "window", "when"].contains(feature.key) {
            features.append(FeatureDefinition(feature.key, try feature.value.nonEmptyString()))
        }
        return FeatureSetDefinition(name: entry.key, scope: scope, condition: condition, features: features)
    }

    /// State that was lost is rebuilt from the events that Kafka still has, so a window must be over before its first events are gone.
    private static func checkRetention(_ entry: YAMLEntry, _ scope: FeatureScope, _ rules: EventTimeRules, _ retention: Int64?) throws(YAMLError) {
        guard case .window(let length, _) = scope, let node = try entry.value.mapping()["window"] else { return }
        let needed = length + rules.longestDelay
        guard needed > retention ?? usualRetention else { return }
        let kept = YAMLNode.durationText(retention ?? usualRetention)
        throw (try node.mapping().required("length")).error(
            "A window of `\(entry.key)` is open for \(YAMLNode.durationText(needed)) with what `time` allows for late events, but events are kept for "
                + "\(kept)\(retention == nil ? " unless told otherwise" : ""); make the window shorter or `retention` in `time` longer.")
    }

    private static func window(_ node: YAMLNode) throws(YAMLError) -> FeatureScope {
        let keys = try node.mapping(["length", "slide"])
        let length = try keys.required("length").milliseconds(1...FeaturePlan.maximumWindow)
        let slide = try keys["slide"].map { node throws(YAMLError) in try node.milliseconds(1...length) }
        return .window(length: length, slide: slide ?? length)
    }

    /// `silence`: when the absence of events, or of change, is worth a record of its own.
    private static func silence(_ node: YAMLNode) throws(YAMLError) -> SilenceRules {
        let keys = try node.mapping(["interval", "missed_intervals", "flapping", "stuck"])
        let period = 1...FeaturePlan.maximumWindow
        var rules = SilenceRules()
        if let node = keys["interval"] {
            rules.interval = (try? node.string()) == "learned" ? .learned : .declared(try node.milliseconds(period))
        }
        if let node = keys["missed_intervals"] { rules.missedIntervals = try node.double(1...1_000_000) }
        if let node = keys["flapping"] {
            let flapping = try node.mapping(["count", "period"])
            rules.flappingCount = try flapping.required("count").int(2...16)
            rules.flappingPeriod = try flapping.required("period").milliseconds(period)
        }
        if let node = keys["stuck"] {
            for node in try node.sequence() {
                let stuck = try node.mapping(["field", "after", "events"])
                rules.stuck.append(
                    SilenceRules.Stuck(
                        field: try stuck.required("field").string(), after: try stuck.required("after").milliseconds(period),
                        events: try stuck["events"].map { node throws(YAMLError) in try node.int(2...1_000_000) } ?? 2))
            }
        }
        return rules
    }

    private static func rules(_ node: YAMLNode) throws(YAMLError) -> (EventTimeRules, retention: Int64?) {
        let keys = try node.mapping([
            "out_of_orderness", "allowed_lateness", "close_spread", "maximum_future", "maximum_past", "maximum_entities", "retention",
        ])
        var rules = EventTimeRules()
        let range = 0...FeaturePlan.maximumWindow
        if let node = keys["out_of_orderness"] { rules.outOfOrderness = try node.milliseconds(range) }
        if let node = keys["allowed_lateness"] { rules.allowedLateness = try node.milliseconds(range) }
        if let node = keys["close_spread"] { rules.closeSpread = try node.milliseconds(range) }
        if let node = keys["maximum_future"] {
            rules.maximumFuture = (try? node.string()) == "any" ? nil : try node.milliseconds(range)
        }
        if let node = keys["maximum_past"] { rules.maximumPast = try node.milliseconds(0...FeaturePlan.maximumPast) }
        if let node = keys["maximum_entities"] { rules.maximumEntities = try node.int(1...4_000_000) }
        // At least a minute, so that no topic is made that forgets what its readers have not read; at most ten years.
        return (rules, try keys["retention"].map { node throws(YAMLError) in try node.milliseconds(60_000...3_653 * 86_400_000) })
    }
}
