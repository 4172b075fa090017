import Text

/// The stage `group`: one alert per burst of anomalies of a group.
extension AlertEngine {
    /// - Returns: the group that took the sighting, nil where it changed nothing, and what became of it.
    func group(_ sighting: Sighting, _ now: Int64, _ book: inout AlertBook) -> (key: String?, fate: Fate) {
        var key = sighting.group
        let isGoingOn = book.groups[key].map { $0.phase != .quiet } ?? false
        if !isGoingOn, !sighting.isCleared, book.bursts >= policy.groupLimit { key = Self.overflow }
        // Taken out, so that it is changed in place.
        let known = book.groups.removeValue(forKey: key)
        var group = known ?? AlertGroup(key: key)
        let isKnown = sighting.revision > 0 && sighting.window.map { group.windows.contains($0) } ?? false
        if isKnown, !sighting.isCleared, group.phase == .quiet {
            // People were told about this window, and its alert is over.
            book.groups[key] = group
            return (nil, .seenBefore)
        }
        if sighting.isCleared {
            guard group.phase != .quiet, clear(sighting, now, &group) else {
                if known != nil { book.groups[key] = group }
                return (nil, .nothingToClear)
            }
            schedule(&group)
            book.groups[key] = group
            return (key, .cleared(alert: group.alertID))
        }
        let isNew = group.phase == .quiet
        if isNew {
            begin(sighting, now, &group)
            book.bursts += 1
        }
        add(sighting, now, &group, isKnown: isKnown)
        schedule(&group)
        let alert = group.alertID
        book.groups[key] = group
        return (key, isNew ? .raised(alert: alert) : .joined(alert: alert))
    }

    private func begin(_ sighting: Sighting, _ now: Int64, _ group: inout AlertGroup) {
        var fresh = AlertGroup(key: group.key)
        fresh.phase = .waiting
        fresh.alertID = String(FNV1a.hash(texts: group.key, sighting.id, sighting.labels.set), radix: 36)
        fresh.firstID = sighting.id
        fresh.openedAt = now
        fresh.since = sighting.eventTime
        fresh.last = sighting.eventTime
        fresh.worst = -1
        fresh.toldAt = group.toldAt
        fresh.suppressed = group.suppressed
        fresh.version = group.version
        fresh.windows = group.windows
        fresh.dueAt = group.dueAt
        group = fresh
    }

    /// - Parameter isKnown: an earlier revision of the same window counts already.
    private func add(_ sighting: Sighting, _ now: Int64, _ group: inout AlertGroup, isKnown: Bool) {
        group.seenAt = max(group.seenAt, now)
        group.since = min(group.since, sighting.eventTime)
        group.last = max(group.last, sighting.eventTime)
        group.clearedAt = 0
        if !isKnown {
            group.anomalies += 1
            group.untold += 1
            if let window = sighting.window {
                if group.windows.count == AlertGroup.mostWindows { group.windows.removeFirst() }
                group.windows.append(window)
            }
        }
        let series = sighting.series
        if !group.active.contains(series) {
            if group.active.count < AlertGroup.mostActive { group.active.append(series) } else { group.hasMoreActive = true }
        }
        let isWorstAgain = isKnown && group.worstWindow == sighting.window
        if sighting.score > group.worst || isWorstAgain {
            group.worstWindow = sighting.window ?? ""
            group.worst = sighting.score
            group.labels = sighting.labels
            group.evidence = sighting.evidence
            group.source = sighting.source
            group.hasNewEvidence = true
        }
        group.severity = max(group.severity, policy.severity(score: group.worst, duration: max(0, now - group.openedAt)))
        group.labels.severity = group.severity
        group.isChanged = true
    }

    /// - Returns: false where the series was not anomalous.
    private func clear(_ sighting: Sighting, _ now: Int64, _ group: inout AlertGroup) -> Bool {
        guard let index = group.active.firstIndex(of: sighting.series) else { return false }
        group.active.remove(at: index)
        if group.active.isEmpty, !group.hasMoreActive { group.clearedAt = now }
        group.isChanged = true
        return true
    }
}
