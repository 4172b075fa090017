import Detectors
import Features
import Text
import YAMLReader

/// `detector`: what judges the features.
public struct DetectorSection: Sendable {
    public let parameters: DetectorParameters
    /// The features that the detector sees; empty for all of a set.
    public let features: [String]
    public let seed: UInt64
    public let scaling: Scaling

    public var kind: DetectorKind { parameters.kind }
    /// As it is written in the definition.
    public var name: String { kind.rawValue }
}

/// `detector`, `detectors` and `policies`: what judges each feature set, and which deviations of a feature count.
public struct DetectorsSection: Sendable {
    /// What judges a set that has no entry of its own; nil where every set has one.
    let general: DetectorSection?
    let own: [String: DetectorSection]
    /// In the order of the definition.
    public let policies: [FeaturePolicy]
}

/// `threshold`: from which score on a record is an anomaly.
public struct ThresholdSection: Sendable, Equatable {
    public let rule: ThresholdRule
}

/// `baseline`: a plain limit on one field, whose best figures a report puts beside the detector's.
public struct BaselineSection: Sendable, Equatable {
    public enum Direction: String, Sendable, CaseIterable { case up, down }

    public let field: String
    /// Its index in the schema.
    public let fieldIndex: Int
    /// Whether high or low values count as anomalous.
    public let direction: Direction
}

extension DetectorsSection {
    init(_ root: YAMLMapping, sets: [FeatureSetInfo]) throws(YAMLError) {
        let names = sets.map(\.name)
        var own: [String: DetectorSection] = [:]
        if let node = root["detectors"] {
            let declared = try node.mapping()
            for entry in declared.entries {
                guard let set = sets.first(where: { $0.name == entry.key }) else {
                    let hint =
                        Nearest.name(to: entry.key, in: names).map { "; did you mean `\($0)`?" } ?? "; it has \(names.joined(separator: ", "))."
                    throw declared.error(at: entry.key, "`detectors` is about feature sets, and there is no set `\(entry.key)`\(hint)")
                }
                own[entry.key] = try DetectorSection(entry.value, sets: [set])
            }
        }
        self.own = own
        let missing = names.filter { own[$0] == nil }
        if root["detector"] == nil, !own.isEmpty, let first = missing.first {
            throw root.error(at: "detectors", "The feature set `\(first)` has no detector: give it one here, or a `detector` for all others.")
        }
        general = root["detector"] == nil && !own.isEmpty ? nil : try DetectorSection(try root.required("detector"), sets: sets)
        if let node = root["detector"], missing.isEmpty {
            throw node.error("Every feature set has a detector of its own under `detectors`, so `detector` would judge nothing; leave it out.")
        }
        policies = try root["policies"].map { node throws(YAMLError) in try Self.policies(node, sets) } ?? []
    }

    private static func policies(_ node: YAMLNode, _ sets: [FeatureSetInfo]) throws(YAMLError) -> [FeaturePolicy] {
        let known = sets.flatMap(\.features)
        let declared = try node.mapping()
        var policies: [FeaturePolicy] = []
        for entry in declared.entries {
            guard known.contains(entry.key) else {
                let hint = Nearest.name(to: entry.key, in: known).map { "; did you mean `\($0)`?" } ?? "; declare it under `features`."
                throw declared.error(at: entry.key, "There is no feature `\(entry.key)`\(hint)")
            }
            policies.append(try policy(entry))
        }
        return policies
    }

    private static func policy(_ entry: YAMLEntry) throws(YAMLError) -> FeaturePolicy {
        let names = ["direction", "minimum_absolute", "minimum_relative", "valid_range"]
        let keys = try entry.value.mapping(names)
        guard names.contains(where: { keys.contains($0) }) else {
            throw entry.value.error("A policy wants at least one of \(names.joined(separator: ", ")).")
        }
        var policy = FeaturePolicy(feature: entry.key)
        if let node = keys["direction"] { policy.direction = try node.choice(FeaturePolicy.Direction.allCases.map { ($0.rawValue, $0) }) }
        if let node = keys["minimum_absolute"] { policy.minimumAbsolute = try node.double(0...Double.greatestFiniteMagnitude) }
        if let node = keys["minimum_relative"] { policy.minimumRelative = try node.double(0...1_000_000) }
        if let node = keys["valid_range"] {
            let ends = try node.sequence()
            guard ends.count == 2 else { throw node.error("`valid_range` wants two numbers: [lowest, highest].") }
            let (low, high) = (try ends[0].double(), try ends[1].double())
            guard low <= high else { throw ends[1].error("The highest valid value must not be below the lowest.") }
            policy.validRange = low...high
        }
        return policy
    }
}

extension UseCase {
    /// What judges a feature set.
    public func detector(of set: FeatureSetInfo) -> DetectorSection { detectors.own[set.name] ?? detector }

    /// The policies of those features that the set's detector sees.
    public func policies(of set: FeatureSetInfo) -> [FeaturePolicy] {
        let seen = detector(of: set).features(of: set)
        return detectors.policies.filter { seen.contains($0.feature) }
    }
}

extension DetectorSection {
    init(_ node: YAMLNode, sets: [FeatureSetInfo]) throws(YAMLError) {
        let name = try node.mapping().required("name")
        let kind = try name.choice(DetectorKind.allCases.map { ($0.rawValue, $0) })
        let keys = try node.mapping(["name", "features", "seed", "scaling"] + kind.parameterSpecs.map(\.name))
        var given: [String: ParameterValue] = [:]
        for spec in kind.parameterSpecs {
            guard let node = keys[spec.name] else { continue }
            let value = try Self.value(node, spec.type)
            // Alone first, so that the objection stands at its value.
            do { _ = try DetectorParameters(for: kind, given: [spec.name: value]) } catch { throw node.error(error.message) }
            given[spec.name] = value
        }
        do { parameters = try DetectorParameters(for: kind, given: given) } catch { throw node.error(error.message) }
        features = try keys["features"].map { node throws(YAMLError) in try Self.features(node, sets) } ?? []
        seed = try keys["seed"].map { node throws(YAMLError) in UInt64(try node.integer(0...(.max))) } ?? 7
        scaling =
            try keys["scaling"].map { node throws(YAMLError) in try node.choice(Scaling.allCases.map { ($0.rawValue, $0) }) } ?? .robust
    }

    private static func value(_ node: YAMLNode, _ type: ParameterType) throws(YAMLError) -> ParameterValue {
        switch type {
        case .integer(let range): .integer(try node.int(range))
        case .number(let range): .number(try node.double(range))
        case .choice(let names): .text(try node.choice(names.map { ($0, $0) }))
        case .flag: .flag(try node.bool())
        case .list: .list(try node.strings())
        }
    }

    private static func features(_ node: YAMLNode, _ sets: [FeatureSetInfo]) throws(YAMLError) -> [String] {
        let known = sets.flatMap(\.features)
        var chosen: [String] = []
        for item in try node.sequence() {
            let name = try item.string()
            guard known.contains(name) else {
                let hint = Nearest.name(to: name, in: known).map { "; did you mean `\($0)`?" } ?? "; declare it under `features`."
                throw item.error("There is no feature `\(name)`\(hint)")
            }
            guard !chosen.contains(name) else { throw item.error("The feature `\(name)` is listed twice.") }
            chosen.append(name)
        }
        guard !chosen.isEmpty else { throw node.error("`features` lists no feature; leave it out to use all.") }
        return chosen
    }
}

extension ThresholdSection {
    init(_ node: YAMLNode?) throws(YAMLError) {
        guard let node else {
            rule = .contamination(0.01)
            return
        }
        let names = ["contamination", "false_alerts_per_entity_per_day", "score"]
        let keys = try node.mapping(names)
        let given = names.filter { keys[$0] != nil }
        guard given.count == 1, let name = given.first, let value = keys[name] else {
            throw node.error("`threshold` wants exactly one of contamination, false_alerts_per_entity_per_day and score.")
        }
        switch name {
        case "contamination":
            let share = try value.double(0...0.5)
            guard share > 0 else { throw value.error("`contamination` must be above 0, or nothing would ever alert.") }
            rule = .contamination(share)
        case "score": rule = .score(try value.double(0...1))
        default:
            let alerts = try value.double(0...1_000_000)
            guard alerts > 0 else { throw value.error("`false_alerts_per_entity_per_day` must be above 0, or nothing would ever alert.") }
            rule = .falseAlerts(perEntityPerDay: alerts)
        }
    }
}

extension BaselineSection {
    init(_ node: YAMLNode, schema: EventSchema) throws(YAMLError) {
        let keys = try node.mapping(["field", "direction"])
        let name = try keys.required("field")
        let index = try name.choice(schema.fields.enumerated().map { ($0.element.name, $0.offset) })
        guard schema.fields[index].type == .number || schema.fields[index].type == .integer else {
            throw name.error("The baseline's field `\(schema.fields[index].name)` must be a number.")
        }
        field = schema.fields[index].name
        fieldIndex = index
        direction =
            try keys["direction"].map { node throws(YAMLError) in try node.choice(Direction.allCases.map { ($0.rawValue, $0) }) } ?? .up
    }
}
