import Features
import Text
import YAMLReader

/// A text with places that are filled in for each alert: `Soldier {entity}: {top_features}`. `{{` and `}}` are plain braces.
public struct AlertTemplate: Sendable, Equatable {
    public enum Part: Sendable, Equatable {
        case text(String)
        case placeholder(AlertPlaceholder)
    }

    public let parts: [Part]

    /// The text with every place filled in.
    public func render(_ value: (AlertPlaceholder) -> String) -> String {
        var result = ""
        for part in parts {
            switch part {
            case .text(let text): result += text
            case .placeholder(let placeholder): result += value(placeholder)
            }
        }
        return result
    }
}

/// What a template can tell.
public enum AlertPlaceholder: Sendable, Equatable {
    /// `{id}` of the anomaly.
    case id
    /// `{use_case}`: its name.
    case useCase
    /// `{entity}`
    case entity
    /// `{score}`, 0...1.
    case score
    /// `{confidence}`, 0...1.
    case confidence
    /// `{severity}`: info, warning or critical.
    case severity
    /// `{type}` of the anomaly where it is known, else the name of its feature set.
    case type
    /// `{since}` and `{last}`: event times of the first and the latest anomaly of the burst.
    case since, last
    /// `{anomalies}` so far.
    case anomalies
    /// `{suppressed}`: anomalies of the group that nobody was told about since its last alert.
    case suppressed
    /// `{alert}`: its id, the same in all messages about one burst.
    case alert
    /// `{event}`: opened, updated, repeated, escalated or resolved.
    case event
    /// `{title}` and `{text}` of the message, for payloads.
    case title, text
    /// `{status}`: a word of the section `status`.
    case status
    /// `{event_time}`
    case eventTime
    /// `{top_features}`: the features that contribute most, with what was expected.
    case topFeatures
    /// `{model}`: the detector's name.
    case model
    /// `{version}` of the model.
    case version
    /// `{feature.NAME}`: the value of one feature.
    case feature(String)
}

extension AlertTemplate {
    private static let placeholders: [(String, AlertPlaceholder)] = [
        ("id", .id), ("use_case", .useCase), ("entity", .entity), ("score", .score), ("confidence", .confidence), ("status", .status),
        ("event_time", .eventTime), ("top_features", .topFeatures), ("model", .model), ("version", .version), ("severity", .severity),
        ("type", .type), ("since", .since), ("last", .last), ("anomalies", .anomalies), ("suppressed", .suppressed), ("alert", .alert),
        ("event", .event),
    ]
    /// What only a payload may say, since the message is made before.
    private static let ofPayloads: [(String, AlertPlaceholder)] = [("title", .title), ("text", .text)]

    init(_ node: YAMLNode?, default text: String, features: [String], isPayload: Bool = false) throws(YAMLError) {
        let text = try node.map { node throws(YAMLError) in try node.nonEmptyString() } ?? text
        var parts: [Part] = []
        var plain = ""
        var rest = text[...]
        /// An error at the place in the text that is being read.
        func fail(_ message: String) -> YAMLError {
            let offset = text.utf8.distance(from: text.startIndex, to: rest.startIndex)
            return node?.error(message, utf8Offset: offset) ?? YAMLError(file: "", mark: .none, message: message)
        }
        while let character = rest.first {
            if rest.hasPrefix("{{") || rest.hasPrefix("}}") {
                plain.append(character)
                rest = rest.dropFirst(2)
            } else if character == "{" {
                guard let close = rest.firstIndex(of: "}") else { throw fail("A `{` is not closed; write {{ for a plain brace.") }
                let name = String(rest[rest.index(after: rest.startIndex)..<close])
                guard let placeholder = Self.placeholder(name, features, isPayload) else {
                    let known = (Self.placeholders + (isPayload ? Self.ofPayloads : [])).map(\.0)
                    let hint =
                        Nearest.name(to: name, in: known + features.map { "feature." + $0 }).map { "did you mean `{\($0)}`?" }
                        ?? "it is one of \(known.map { "{\($0)}" }.joined(separator: ", ")) and {feature.NAME}."
                    throw fail("There is no placeholder `{\(name)}`; \(hint)")
                }
                if !plain.isEmpty { parts.append(.text(plain)) }
                plain = ""
                parts.append(.placeholder(placeholder))
                rest = rest[rest.index(after: close)...]
            } else if character == "}" {
                throw fail("A `}` closes nothing; write }} for a plain brace.")
            } else {
                plain.append(character)
                rest = rest.dropFirst()
            }
        }
        if !plain.isEmpty { parts.append(.text(plain)) }
        self.parts = parts
    }

    private static func placeholder(_ name: String, _ features: [String], _ isPayload: Bool) -> AlertPlaceholder? {
        let all = placeholders + (isPayload ? ofPayloads : [])
        if let known = all.first(where: { $0.0 == name }) { return known.1 }
        guard name.hasPrefix("feature.") else { return nil }
        let feature = String(name.dropFirst("feature.".count))
        return features.contains(feature) ? .feature(feature) : nil
    }
}
