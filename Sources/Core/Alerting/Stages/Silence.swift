/// The stage `silence`: what people asked not to hear, and maintenance windows.
///
/// A silenced anomaly opens nothing. An alert that is open stays so, and nothing but its end is told until the silence is over.
extension AlertEngine {
    func silence(_ sighting: Sighting, _ now: Int64, _ book: inout AlertBook) -> Fate? {
        // The end of an anomaly is always of interest.
        if sighting.isCleared { return nil }
        for silence in silences where silence.isActive(now) && silence.matcher.matches(sighting.labels) {
            hold(sighting, silence.matcher, until: silence.until, now, &book)
            return .silenced("silence \(silence.id)")
        }
        for window in policy.maintenance where window.matcher.matches(sighting.labels) {
            guard let end = window.end(at: now) else { continue }
            hold(sighting, window.matcher, until: end, now, &book)
            return .silenced("maintenance")
        }
        return nil
    }

    /// Counts an anomaly that is not told, where its group is known.
    /// - Parameter matcher: keeps an open alert quiet where it matches that too; nil keeps none quiet.
    func hold(_ sighting: Sighting, _ matcher: AlertMatcher?, until: Int64, _ now: Int64, _ book: inout AlertBook) {
        guard var group = book.groups[sighting.group] else { return }
        group.suppressed += 1
        if group.phase != .quiet {
            group.seenAt = max(group.seenAt, now)
            if matcher?.matches(group.labels) ?? false { group.quietUntil = max(group.quietUntil, until) }
            schedule(&group)
        }
        group.isChanged = true
        book.groups[sighting.group] = group
    }
}
