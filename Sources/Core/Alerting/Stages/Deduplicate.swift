/// The stage `deduplicate`: what there is to say about a group that people do not know yet, and from when on it may be said.
extension AlertEngine {
    /// The next occasion, or nil where nothing is going on.
    func next(_ group: AlertGroup) -> (occasion: Occasion, time: Int64)? {
        guard group.phase != .quiet else { return nil }
        // What ends is not also opened, updated or repeated, so the end is offered first.
        var best = (occasion: Occasion.resolved, time: endOfBurst(group))
        func offer(_ occasion: Occasion, _ time: Int64) {
            let time = notBefore(occasion, time, group)
            if time < best.time { best = (occasion, time) }
        }
        if group.phase == .waiting {
            offer(.opened, group.openedAt + policy.groupWait)
            return best
        }
        let isAcknowledged = group.acknowledgedAt != 0
        // More severe than people know: told at once, also to who takes care of it.
        if group.severity > group.toldSeverity { offer(.updated, group.toldAt) }
        if let rise = riseBySeverity(group) { offer(.updated, rise) }
        guard !isAcknowledged else { return best }
        if let escalation = policy.escalation, group.escalatedAt == 0 { offer(.escalated, group.firstToldAt + escalation.after) }
        if group.untold > 0 { offer(.updated, group.toldAt + policy.groupInterval) }
        offer(.repeated, group.toldAt + policy.repeatInterval)
        return best
    }

    private func endOfBurst(_ group: AlertGroup) -> Int64 {
        let silent = group.seenAt + policy.resolveAfter
        return group.clearedAt == 0 ? silent : min(silent, group.clearedAt + policy.keepFiringFor)
    }

    /// When the duration alone makes the alert more severe.
    private func riseBySeverity(_ group: AlertGroup) -> Int64? {
        policy.severity.filter { $0.severity > group.severity }.compactMap(\.after).map { group.openedAt + $0 }.min()
    }
}
