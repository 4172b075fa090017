/// Decides which anomalies people are told about, when, and who. Pure: it has no clock and no server; the same inputs give the same messages.
///
/// An anomaly's way:        seen? → enrich → silence → inhibit → group ↘
/// A group's time has come:                                              deduplicate → cooldown → rate cap → route → notices
/// Each stage is a file in `Stages`.
public struct AlertEngine: Sendable {
    public let policy: AlertPolicy
    /// What people asked for; maintenance windows are in the policy.
    public var silences: [Silence]

    public init(_ policy: AlertPolicy, silences: [Silence] = []) {
        self.policy = policy
        self.silences = silences
    }

    /// Takes one sighting, already enriched. `now` is wall clock, milliseconds, and never goes back.
    @discardableResult
    public func take(_ sighting: Sighting, now: Int64, _ book: inout AlertBook) -> Fate {
        if book.marks[sighting.source.partition, default: SeenMark()].covers(sighting) { return .seenBefore }
        if let fate = silence(sighting, now, &book) { return fate }
        if let fate = inhibit(sighting, now, &book) { return fate }
        let (key, fate) = group(sighting, now, &book)
        if let key, let due = book.groups[key]?.dueAt, due <= now { look(key, now: now, &book) }
        return fate
    }

    /// Looks at a group whose time has come. The key of the fuse stands for the end of its hour.
    public func look(_ key: String, now: Int64, _ book: inout AlertBook) {
        if key == Fuse.key { return closeHour(now, &book) }
        guard var group = book.groups.removeValue(forKey: key) else { return }
        group.severity = max(group.severity, policy.severity(score: group.worst, duration: max(0, now - group.openedAt)))
        group.labels.severity = group.severity
        while let (occasion, time) = next(group), time <= now {
            guard tell(occasion, &group, now, &book) else { continue }
        }
        schedule(&group)
        book.groups[key] = group
    }

    /// One occasion: the cap, then the message, then what is remembered of it.
    private func tell(_ occasion: Occasion, _ group: inout AlertGroup, _ now: Int64, _ book: inout AlertBook) -> Bool {
        if occasion == .resolved, group.phase == .waiting {
            // Over before anybody was told: the next alert says how many there were.
            book.untold += group.anomalies
            group.suppressed += group.anomalies
            end(&group, &book)
            return true
        }
        if occasion.isCapped, !rateCap(&group, now, &book) { return false }
        group.sequence += 1
        let notice = Notice(occasion: occasion, group: group, at: now, to: route(occasion, group))
        book.notices.append(notice)
        remember(notice, &group)
        if occasion == .resolved { end(&group, &book) }
        return true
    }

    private func remember(_ notice: Notice, _ group: inout AlertGroup) {
        group.toldAt = notice.at
        group.untold = 0
        group.suppressed = 0
        group.toldSeverity = group.severity
        for name in notice.to where !group.toldTo.contains(name) { group.toldTo.append(name) }
        if notice.occasion == .opened {
            group.phase = .open
            group.firstToldAt = notice.at
        }
        if notice.occasion == .escalated { group.escalatedAt = notice.at }
        group.isChanged = true
    }

    private func end(_ group: inout AlertGroup, _ book: inout AlertBook) {
        group.phase = .quiet
        group.active.removeAll()
        book.bursts -= 1
        group.isChanged = true
    }

    func schedule(_ group: inout AlertGroup) {
        let due = next(group)?.time ?? 0
        if due != group.dueAt {
            group.dueAt = due
            group.isChanged = true
        }
    }

    // MARK: What people ask for

    /// Somebody takes care of the alert: no updates unless it becomes more severe, no repeats, no escalation.
    /// - Returns: false where the group has no open alert.
    public func acknowledge(_ key: String, by name: String, now: Int64, _ book: inout AlertBook) -> Bool {
        change(key, .acknowledged, now, &book) { group in
            group.acknowledgedBy = name
            group.acknowledgedAt = now
        }
    }

    /// Nothing is told of the alert for a time but its end.
    public func snooze(_ key: String, until: Int64, now: Int64, _ book: inout AlertBook) -> Bool {
        change(key, .snoozed, now, &book) { $0.quietUntil = until }
    }

    private func change(
        _ key: String, _ occasion: Occasion, _ now: Int64, _ book: inout AlertBook, _ body: (inout AlertGroup) -> Void
    ) -> Bool {
        guard var group = book.groups[key], group.phase != .quiet else { return false }
        body(&group)
        group.isChanged = true
        schedule(&group)
        book.groups[key] = group
        book.notices.append(Notice(occasion: occasion, group: group, at: now, to: []))
        return true
    }
}
