/// The counted steps of an event's way, in the order in which it takes them.
enum Hop: Int, CaseIterable, Sendable {
    case events, features, scores, anomalies, alerts, deadLetters

    /// For people.
    var title: String { self == .deadLetters ? "dead letters" : "\(self)" }
    /// Name in the report.
    var key: String {
        switch self {
        case .events: "events_produced"
        case .deadLetters: "dead_letters"
        default: "\(self)"
        }
    }
}

/// One number per hop.
struct HopCounts: Sendable, Equatable {
    private var values = Array(repeating: 0, count: Hop.allCases.count)

    subscript(hop: Hop) -> Int {
        get { values[hop.rawValue] }
        set { values[hop.rawValue] = newValue }
    }

    var total: Int { values.reduce(0, +) }
}
