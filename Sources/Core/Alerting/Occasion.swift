/// Why people are told.
public enum Occasion: String, Sendable, CaseIterable {
    /// A new alert.
    case opened
    /// Anomalies were added to an open alert, or it became more severe.
    case updated
    /// The alert is open still, and nothing is new.
    case repeated
    /// Nobody acknowledged the alert in time.
    case escalated
    /// All is well again, or nothing was seen for long enough.
    case resolved
    /// The cap was reached: from now on alerts are held back.
    case capped
    /// What the cap held back in the hour that is over.
    case heldBack = "held_back"
    /// Somebody takes care of it. Told to nobody, kept in the history.
    case acknowledged
    /// Somebody does not want to hear of it for a time. Told to nobody, kept in the history.
    case snoozed

    /// The hourly cap is there to stop floods; the end of an alert and a call for help always pass.
    var isCapped: Bool { self == .opened || self == .updated || self == .repeated }
}

/// One message to people: the group as it is when they are told.
public struct Notice: Sendable, Equatable {
    public var occasion: Occasion
    public var group: AlertGroup
    /// Wall clock, milliseconds.
    public var at: Int64
    /// Names of receivers; `Route.everyone` stands for all that there are.
    public var to: [String]
    /// Of `capped` and `heldBack`: messages that were held back.
    public var held: Int

    public init(occasion: Occasion, group: AlertGroup, at: Int64, to: [String], held: Int = 0) {
        self.occasion = occasion
        self.group = group
        self.at = at
        self.to = to
        self.held = held
    }

    /// Also the idempotency key of each delivery.
    public var id: String { "\(group.alertID)/\(group.sequence)" }
}
