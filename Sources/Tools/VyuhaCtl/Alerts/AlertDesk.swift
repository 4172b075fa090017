import Alerting
import AlertStore
import Contracts
import JSON
import ServiceKit

/// What people do with alerts. The sinks notice within a second.
struct AlertDesk {
    private let store: AlertStore
    private let engine: AlertEngine

    init(_ store: AlertStore, _ policy: AlertPolicy) {
        self.store = store
        engine = AlertEngine(policy)
    }

    // MARK: Looking

    func list(now: Int64 = Clock.milliseconds) throws -> String {
        let bursts = try store.bursts()
        var table = TextTable(["alert", "severity", "group", "since", "anomalies", "state"], leftColumns: [0, 1, 2, 3, 5])
        for group in bursts {
            table.add([
                group.alertID, group.severity.name, group.name, Clock.iso8601(milliseconds: group.since), "\(group.anomalies)", state(group, now),
            ])
        }
        var parts = [bursts.isEmpty ? "No alert is open." : table.text]
        let silences = try store.silences(now)
        if !silences.isEmpty {
            var table = TextTable(["silence", "match", "from", "until", "by", "why"], leftColumns: [0, 1, 2, 3, 4, 5])
            for silence in silences {
                table.add([
                    silence.id, silence.matcher.text, Clock.iso8601(milliseconds: silence.from), Clock.iso8601(milliseconds: silence.until),
                    silence.by,
                    silence.comment,
                ])
            }
            parts.append(table.text)
        }
        return parts.joined(separator: "\n\n")
    }

    func show(_ id: String, now: Int64 = Clock.milliseconds) throws -> String {
        let group = try find(id)
        var lines = [
            "alert      \(group.alertID)", "group      \(group.name)", "state      \(state(group, now))", "severity   \(group.severity.name)",
            "since      \(Clock.iso8601(milliseconds: group.since))", "latest     \(Clock.iso8601(milliseconds: group.last))",
            "anomalies  \(group.anomalies), \(group.untold) since the latest message", "raised by  \(group.firstID)",
            "told       \(group.sequence) messages" + (group.toldTo.isEmpty ? "" : " to \(group.toldTo.joined(separator: ", "))"),
        ]
        if group.dueAt > 0 { lines.append("looked at  \(Clock.iso8601(milliseconds: group.dueAt))") }
        if let anomaly = try? Anomaly(parsing: group.evidence, 0..<group.evidence.count) {
            lines.append("worst      \(anomaly.id) of \(anomaly.entity), score \(anomaly.score), \(anomaly.model) version \(anomaly.version)")
            for feature in anomaly.features {
                let (actual, expected) = (feature.actual.map { "\($0)" } ?? "missing", feature.expected.map { "\($0)" } ?? "unknown")
                lines.append("           \(feature.name) \(actual), expected \(expected), contribution \(feature.contribution)")
            }
        }
        for record in try records(10_000) where record.alert == group.alertID { lines.append(Self.line(record)) }
        return lines.map { StatusView.plainText($0) }.joined(separator: "\n")
    }

    func history(_ count: Int) throws -> String {
        let records = try records(count)
        return records.isEmpty ? "Nobody has been told anything." : records.map { StatusView.plainText(Self.line($0)) }.joined(separator: "\n")
    }

    // MARK: Doing

    func acknowledge(_ id: String, by name: String) throws -> String {
        let group = try change(id) { engine, key, now, book in engine.acknowledge(key, by: name, now: now, &book) }
        return "\(group.alertID) (\(group.name)) is acknowledged by \(name)."
    }

    func snooze(_ id: String, milliseconds: Int64) throws -> String {
        var until: Int64 = 0
        let group = try change(id) { engine, key, now, book in
            until = now + milliseconds
            return engine.snooze(key, until: until, now: now, &book)
        }
        return "\(group.alertID) (\(group.name)) is snoozed until \(Clock.iso8601(milliseconds: until))."
    }

    func silence(_ matcher: AlertMatcher, from: Int64, until: Int64, by: String, comment: String) throws -> String {
        let id = String(UInt32.random(in: 0 ... .max), radix: 36)
        let silence = Silence(id: id, matcher: matcher, from: from, until: until, by: by, comment: comment)
        guard try store.add(silence, now: Clock.milliseconds) else {
            throw CommandError("There are \(AlertStore.mostSilences) silences already; end some with vyuhactl alerts unsilence.")
        }
        return "Silence \(id): \(matcher.text), until \(Clock.iso8601(milliseconds: until))."
    }

    func unsilence(_ id: String) throws -> String {
        let known = try store.silences(Clock.milliseconds).map(\.id).filter { $0.hasPrefix(id) }
        guard known.count == 1, let id = known.first, try store.removeSilence(id) else {
            throw CommandError(known.isEmpty ? "There is no silence \(id)." : "\(id) may be \(known.joined(separator: " or ")).")
        }
        return "Silence \(id) is over."
    }

    // MARK: Parts

    /// Loads, changes and writes; again where a sink was faster.
    private func change(_ id: String, _ body: (AlertEngine, String, Int64, inout AlertBook) -> Bool) throws -> AlertGroup {
        let group = try find(id)
        while true {
            var book = try store.load(groups: [group.key])
            guard book.groups[group.key]?.alertID == group.alertID, body(engine, group.key, Clock.milliseconds, &book) else {
                throw CommandError("The alert \(group.alertID) is over.")
            }
            let alerts = book.notices.compactMap { notice in
                record(notice).map { OutgoingAlert(record: $0.json, notice: notice, receivers: []) }
            }
            if try store.commit(&book, alerts) { return group }
        }
    }

    /// What the history keeps of something that is told to nobody.
    private func record(_ notice: Notice) -> AlertRecord? {
        let group = notice.group
        guard let anomaly = try? Anomaly(parsing: group.evidence, 0..<group.evidence.count) else { return nil }
        let what =
            notice.occasion == .acknowledged
            ? "acknowledged by \(group.acknowledgedBy)" : "snoozed until \(Clock.iso8601(milliseconds: group.quietUntil))"
        return AlertRecord(
            id: notice.id, alert: group.alertID, event: notice.occasion.rawValue, severity: group.severity.name, group: group.name,
            title: "\(group.name) \(what)", text: "", raisedBy: group.firstID, since: group.since, last: group.last, anomalies: group.anomalies,
            suppressed: group.suppressed, alertedAt: notice.at, acknowledgedBy: group.acknowledgedBy, anomaly: anomaly)
    }

    private func find(_ id: String) throws -> AlertGroup {
        let found = try store.bursts().filter { $0.alertID.hasPrefix(id) || $0.key == id }
        guard found.count == 1, let group = found.first else {
            throw CommandError(
                found.isEmpty
                    ? "There is no open alert \(id); see vyuhactl alerts list and history."
                    : "\(id) may be \(found.map(\.alertID).joined(separator: " or ")).")
        }
        return group
    }

    private func records(_ count: Int) throws -> [AlertRecord] { try store.history(count).compactMap { try? AlertRecord(parsing: $0) } }

    private static func line(_ record: AlertRecord) -> String {
        "\(Clock.iso8601(milliseconds: record.alertedAt))  \(record.id)  \(record.event)  \(record.severity)  \(record.title)"
    }

    private func state(_ group: AlertGroup, _ now: Int64) -> String {
        var words = [group.phase == .waiting ? "waits to be told" : "open"]
        if group.acknowledgedAt > 0 { words.append("acknowledged by \(group.acknowledgedBy)") }
        if group.escalatedAt > 0 { words.append("escalated") }
        if group.quietUntil > now { words.append("quiet until \(Clock.iso8601(milliseconds: group.quietUntil))") }
        if group.heldUntil > now { words.append("held back by the cap") }
        if group.clearedAt > 0 { words.append("normal again") }
        return words.joined(separator: ", ")
    }
}
