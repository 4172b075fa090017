import Features
import YAMLReader

/// `alerts`: what people are told about an anomaly, and how often.
public struct AlertsSection: Sendable, Equatable {
    /// After an alert of an entity its next ones are held back for so long, milliseconds.
    public let cooldown: Int64
    public let title: AlertTemplate
    public let text: AlertTemplate
    /// Where alerts are posted to, if the definition says so; the environment may say otherwise.
    public let webhook: String?
}

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

extension AlertsSection {
    private static let defaultTitle = "{use_case}: {entity} is {status}"
    private static let defaultText = "Score {score} at {event_time}: {top_features}."

    init(_ node: YAMLNode?, sets: [FeatureSetInfo]) throws(YAMLError) {
        let keys = try node.map { node throws(YAMLError) in try node.mapping(["cooldown", "title", "text", "webhook"]) }
        let features = sets.flatMap(\.features)
        cooldown = try keys?["cooldown"].map { node throws(YAMLError) in try node.milliseconds(0...(7 * 86_400_000)) } ?? 60_000
        title = try AlertTemplate(keys?["title"], default: Self.defaultTitle, features: features)
        text = try AlertTemplate(keys?["text"], default: Self.defaultText, features: features)
        webhook = try keys?["webhook"].map { node throws(YAMLError) in try Self.address(node) }
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

extension AlertTemplate {
    private static let placeholders: [(String, AlertPlaceholder)] = [
        ("id", .id), ("use_case", .useCase), ("entity", .entity), ("score", .score), ("confidence", .confidence), ("status", .status),
        ("event_time", .eventTime), ("top_features", .topFeatures), ("model", .model), ("version", .version),
    ]

    init(_ node: YAMLNode?, default text: String, features: [String]) throws(YAMLError) {
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
                guard let placeholder = Self.placeholder(name, features) else {
                    let known = Self.placeholders.map(\.0)
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

    private static func placeholder(_ name: String, _ features: [String]) -> AlertPlaceholder? {
        if let known = placeholders.first(where: { $0.0 == name }) { return known.1 }
        guard name.hasPrefix("feature.") else { return nil }
        let feature = String(name.dropFirst("feature.".count))
        return features.contains(feature) ? .feature(feature) : nil
    }
}
