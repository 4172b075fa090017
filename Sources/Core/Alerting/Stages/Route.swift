/// The stage `route`: who is told.
extension AlertEngine {
    /// Stands for all receivers that there are.
    public static let everyone = "*"

    func route(_ occasion: Occasion, _ group: AlertGroup) -> [String] {
        // Whoever heard of it hears of its end.
        if occasion == .resolved { return group.toldTo }
        if occasion == .escalated, let escalation = policy.escalation { return escalation.to }
        var labels = group.labels
        labels.severity = group.severity
        return policy.routes.first { $0.matcher.matches(labels) }?.to ?? [Self.everyone]
    }
}
