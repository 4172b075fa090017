import Contracts
import Features
import JSON
import Text
import UseCases
import YAMLReader

/// One case of a definition's `tests.yaml`: events, and what must come of them.
struct DefinitionCase {
    /// Values of the last event's vector in one set of features; nil means that the value must be missing.
    struct Values {
        let set: Int
        let features: [(index: Int, name: String, value: Double?)]
        /// There is to be no record at all.
        var isAbsent = false
    }

    struct Window {
        let values: Values
        let entity: String
        /// Milliseconds, exclusive.
        let end: Int64
    }

    struct Refusal {
        let reason: DeadLetterReason
        /// Every field that must be named; nil where the case does not say.
        let fields: [String]?
    }

    struct Silence {
        let kind: EmissionKind
        let entity: String
    }

    let name: String
    /// Where the case stands in its file.
    let line: Int
    /// Each as the bytes of a record's value.
    let events: [[UInt8]]
    /// Event time that is reached after the last event without another one, milliseconds.
    let until: Int64?
    /// Share of the expected value that an actual one may differ by, and for values within ±1 the difference itself.
    let tolerance: Double
    let values: [Values]
    let windows: [Window]
    let silence: [Silence]
    let refusal: Refusal?
}

extension DefinitionCase {
    /// The cases of a file; its names are checked against the definition.
    static func load(_ node: YAMLNode, for useCase: UseCase) throws(YAMLError) -> [DefinitionCase] {
        let list = try node.mapping(["cases"]).required("cases")
        var cases: [DefinitionCase] = []
        for item in try list.sequence() { cases.append(try DefinitionCase(item, useCase)) }
        guard !cases.isEmpty else { throw list.error("`cases` lists no case.") }
        return cases
    }

    private init(_ node: YAMLNode, _ useCase: UseCase) throws(YAMLError) {
        let keys = try node.mapping([
            "name", "event", "events", "text", "until", "tolerance", "expect", "windows", "silence", "refused",
        ])
        name = try keys.required("name").nonEmptyString()
        line = node.mark.line
        switch (keys["event"], keys["events"], keys["text"]) {
        case (let event?, nil, nil): events = [try JSONValue(event).serialized]
        case (nil, let list?, nil):
            var all: [[UInt8]] = []
            for event in try list.sequence() { all.append(try JSONValue(event).serialized) }
            events = all
        case (nil, nil, let text?): events = [Array(try text.string().utf8)]
        default: throw node.error("A case needs exactly one of `event`, `events` and `text`.")
        }
        until = try keys["until"].map { node throws(YAMLError) in try Self.time(node) }
        tolerance = try keys["tolerance"].map { node throws(YAMLError) in try node.double(0...1) } ?? 1e-6
        let sets = useCase.plan.sets
        values = try keys["expect"].map { node throws(YAMLError) in try Self.vectors(node, sets) } ?? []
        windows = try keys["windows"].map { node throws(YAMLError) in try Self.windows(node, sets) } ?? []
        silence = try keys["silence"].map { node throws(YAMLError) in try Self.silence(node) } ?? []
        refusal = try keys["refused"].map { node throws(YAMLError) in try Self.refusal(node, useCase.event.schema) }
        let expectsNothing = values.isEmpty && windows.isEmpty && silence.isEmpty && refusal == nil
        guard !expectsNothing else { throw node.error("The case `\(name)` needs `expect`, `windows`, `silence` or `refused`.") }
        guard refusal == nil || values.isEmpty else {
            throw node.error("The case `\(name)` has `refused` and `expect`; an event that is refused has no features.")
        }
    }

    private static func vectors(_ node: YAMLNode, _ sets: [FeatureSetInfo]) throws(YAMLError) -> [Values] {
        let perEvent = sets.enumerated().filter { $0.element.scope == .event }
        var all: [Values] = []
        for entry in try node.mapping(perEvent.map(\.element.name)).entries {
            guard let set = perEvent.first(where: { $0.element.name == entry.key }) else { continue }
            // What the set does not take has no record there.
            let isAbsent = (try? entry.value.string()) == "none"
            all.append(isAbsent ? Values(set: set.offset, features: [], isAbsent: true) : try values(entry.value, set: set.offset, sets))
        }
        return all
    }

    private static func values(_ node: YAMLNode, set: Int, _ sets: [FeatureSetInfo]) throws(YAMLError) -> Values {
        let names = sets[set].features
        var features: [(index: Int, name: String, value: Double?)] = []
        for entry in try node.mapping(names).entries {
            guard let index = names.firstIndex(of: entry.key) else { continue }
            let isMissing = (try? entry.value.string()) == "missing"
            features.append((index, entry.key, isMissing ? nil : try entry.value.double()))
        }
        guard !features.isEmpty else { throw node.error("There is no feature here to be compared.") }
        return Values(set: set, features: features)
    }

    private static func windows(_ node: YAMLNode, _ sets: [FeatureSetInfo]) throws(YAMLError) -> [Window] {
        let known = sets.enumerated().filter { $0.element.scope != .event }.map { ($0.element.name, $0.offset) }
        var all: [Window] = []
        for item in try node.sequence() {
            let keys = try item.mapping(["set", "entity", "end", "features"])
            let set = try keys.required("set").choice(known)
            all.append(
                Window(
                    values: try values(try keys.required("features"), set: set, sets), entity: try keys.required("entity").string(),
                    end: try time(try keys.required("end"))))
        }
        return all
    }

    private static func silence(_ node: YAMLNode) throws(YAMLError) -> [Silence] {
        let kinds = [EmissionKind.missing, .resumed, .flapping, .stuck].map { ($0.name, $0) }
        var all: [Silence] = []
        for item in try node.sequence() {
            let keys = try item.mapping(["kind", "entity"])
            all.append(Silence(kind: try keys.required("kind").choice(kinds), entity: try keys.required("entity").string()))
        }
        return all
    }

    /// `refused: out-of-range`, or `{ reason: out-of-range, fields: [a, b] }`.
    private static func refusal(_ node: YAMLNode, _ schema: EventSchema) throws(YAMLError) -> Refusal {
        let reasons = DeadLetterReason.allCases.map { ($0.rawValue, $0) }
        guard node.isMapping else { return Refusal(reason: try node.choice(reasons), fields: nil) }
        let keys = try node.mapping(["reason", "fields"])
        return Refusal(
            reason: try keys.required("reason").choice(reasons),
            fields: try keys["fields"].map { node throws(YAMLError) in try node.strings() })
    }

    /// ISO 8601, or milliseconds since 1970.
    private static func time(_ node: YAMLNode) throws(YAMLError) -> Int64 {
        let text = Array(try node.string().utf8)
        if let time = ISO8601.parse(text, 0..<text.count) { return time }
        guard let time = Int64(String(decoding: text, as: UTF8.self)) else {
            throw node.error("This is no time; write it as 2026-01-31T12:00:00Z or in milliseconds since 1970.")
        }
        return time
    }
}

extension JSONValue {
    /// A YAML value as JSON: what is in quotes is a text, the rest is what it looks like.
    init(_ node: YAMLNode) throws(YAMLError) {
        switch node.content {
        case .mapping(let entries):
            var members: [JSONMember] = []
            for entry in entries { members.append(JSONMember(entry.key, try JSONValue(entry.value))) }
            self = .object(members)
        case .sequence(let nodes):
            var values: [JSONValue] = []
            for node in nodes { values.append(try JSONValue(node)) }
            self = .array(values)
        case .scalar(let scalar):
            if node.isNull {
                self = .null
            } else if scalar.style != .plain {
                self = .string(scalar.text)
            } else if let value = try? node.bool() {
                self = .bool(value)
            } else if let value = try? node.integer() {
                self = .integer(value)
            } else if let value = try? node.double() {
                self = .number(value)
            } else {
                self = .string(scalar.text)
            }
        }
    }
}
