/// What anomalies and alerts are chosen by.
public enum AlertLabel: String, Sendable, CaseIterable {
    case entity, set, type, severity
}

/// The values of the labels of one anomaly or alert.
public struct AlertLabels: Sendable, Equatable {
    public var entity: String
    public var set: String
    /// Empty where the type of the anomaly is not known.
    public var type: String
    public var severity: Severity

    public init(entity: String, set: String, type: String = "", severity: Severity = .warning) {
        self.entity = entity
        self.set = set
        self.type = type
        self.severity = severity
    }

    public subscript(_ label: AlertLabel) -> String {
        switch label {
        case .entity: entity
        case .set: set
        case .type: type
        case .severity: severity.name
        }
    }
}

/// A choice of anomalies: every label that is named must match. `*` stands for any run of characters; no pattern at all matches everything.
public struct AlertMatcher: Sendable, Equatable {
    public var patterns: [(label: AlertLabel, pattern: String)]

    public init(_ patterns: [(label: AlertLabel, pattern: String)] = []) { self.patterns = patterns }

    public func matches(_ labels: AlertLabels) -> Bool {
        patterns.allSatisfy { Self.matches(labels[$0.label], $0.pattern) }
    }

    func without(_ label: AlertLabel) -> AlertMatcher { AlertMatcher(patterns.filter { $0.label != label }) }

    /// `entity=7*, set=vitals`; `everything` without a pattern.
    public var text: String {
        patterns.isEmpty ? "everything" : patterns.map { "\($0.label.rawValue)=\($0.pattern)" }.joined(separator: ", ")
    }

    public static func == (a: AlertMatcher, b: AlertMatcher) -> Bool {
        a.patterns.elementsEqual(b.patterns) { $0.label == $1.label && $0.pattern == $1.pattern }
    }

    /// Goes back to the last star where the rest does not fit: linear for one star, at worst the product of both lengths.
    static func matches(_ text: String, _ pattern: String) -> Bool {
        guard pattern.utf8.contains(UInt8(ascii: "*")) else { return text == pattern }
        let (text, pattern) = (Array(text.utf8), Array(pattern.utf8))
        var (t, p, star, mark) = (0, 0, -1, 0)
        while t < text.count {
            if p < pattern.count, pattern[p] == UInt8(ascii: "*") {
                (star, mark) = (p, t)
                p += 1
            } else if p < pattern.count, pattern[p] == text[t] {
                t += 1
                p += 1
            } else if star >= 0 {
                mark += 1
                (p, t) = (star + 1, mark)
            } else {
                return false
            }
        }
        return pattern[p...].allSatisfy { $0 == UInt8(ascii: "*") }
    }
}
