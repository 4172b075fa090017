/// How urgent an alert is.
public enum Severity: Int, Sendable, CaseIterable, Comparable {
    case info, warning, critical

    public var name: String { "\(self)" }
    public init?(name: String) {
        guard let known = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = known
    }

    public static func < (a: Severity, b: Severity) -> Bool { a.rawValue < b.rawValue }
}

/// When an alert is at least so urgent: at a score, or after it has lasted for so long.
public struct SeverityRule: Sendable, Equatable {
    public var severity: Severity
    /// Least score, 0...1; nil: the score does not matter.
    public var score: Double?
    /// Milliseconds since the burst began; nil: the duration does not matter.
    public var after: Int64?

    public init(_ severity: Severity, score: Double? = nil, after: Int64? = nil) {
        self.severity = severity
        self.score = score
        self.after = after
    }
}
