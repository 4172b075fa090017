import JSON

/// The stored form of a group: one flat JSON object, without its evidence, which changes seldom and is stored beside it.
extension AlertGroup {
    public func write(into writer: inout JSONWriter) {
        writer.beginObject()
        for (name, text) in texts where !text.isEmpty {
            writer.key(name)
            writer.value(text)
        }
        for (name, number) in numbers where number != 0 {
            writer.key(name)
            writer.value(number)
        }
        writer.key("worst")
        writer.value(worst)
        writer.endObject()
    }

    private var texts: [(StaticString, String)] {
        [
            ("phase", phase.rawValue), ("alert", alertID), ("first", firstID), ("entity", labels.entity), ("set", labels.set),
            ("type", labels.type), ("active", active.joined(separator: "\u{1E}")), ("told_to", toldTo.joined(separator: ",")),
            ("acknowledged_by", acknowledgedBy), ("windows", windows.joined(separator: ",")), ("worst_window", worstWindow),
        ]
    }

    private var numbers: [(StaticString, Int64)] {
        [
            ("opened_at", openedAt), ("seen_at", seenAt), ("since", since), ("last", last), ("cleared_at", clearedAt),
            ("anomalies", anomalies), ("untold", untold), ("more_active", hasMoreActive ? 1 : 0), ("severity", Int64(severity.rawValue)),
            ("partition", Int64(source.partition)), ("offset", source.offset), ("timestamp", source.timestamp), ("sequence", sequence),
            ("told_at", toldAt), ("first_told_at", firstToldAt), ("told_severity", Int64(toldSeverity.rawValue)), ("suppressed", suppressed),
            ("acknowledged_at", acknowledgedAt), ("quiet_until", quietUntil), ("held_until", heldUntil), ("escalated_at", escalatedAt),
            ("due_at", dueAt),
        ]
    }
}

/// Reads stored groups. One thread.
public struct AlertGroupReader {
    private enum Text: Int, CaseIterable {
        case phase, alert, first, entity, set, type, active, told_to, acknowledged_by, windows, worst_window
    }
    private enum Number: Int, CaseIterable {
        case opened_at, seen_at, since, last, cleared_at, anomalies, untold, more_active, severity, partition, offset, timestamp, sequence, told_at
        case first_told_at, told_severity, suppressed, acknowledged_at, quiet_until, held_until, escalated_at, due_at, worst
    }

    private let fields: JSONFields

    public init() throws(JSONError) {
        fields = try JSONFields(paths: Text.allCases.map { "\($0)" } + Number.allCases.map { "\($0)" })
    }

    /// Nil where the bytes are not a group.
    public func read(_ key: String, _ bytes: [UInt8], evidence: [UInt8]) -> AlertGroup? {
        guard case .ok = fields.read(bytes) else { return nil }
        func text(_ field: Text) -> String {
            let slot = fields.slots[field.rawValue]
            return slot.kind == .string ? String(decoding: fields.text[slot.text], as: UTF8.self) : ""
        }
        func number(_ field: Number) -> Int64 { fields.slots[Text.allCases.count + field.rawValue].integer }
        guard let phase = AlertGroup.Phase(rawValue: text(.phase)) else { return nil }
        var group = AlertGroup(key: key)
        group.phase = phase
        group.alertID = text(.alert)
        group.firstID = text(.first)
        group.severity = Severity(rawValue: Int(number(.severity))) ?? .info
        group.labels = AlertLabels(entity: text(.entity), set: text(.set), type: text(.type), severity: group.severity)
        group.active = Self.parts(text(.active), "\u{1E}")
        group.hasMoreActive = number(.more_active) != 0
        group.toldTo = Self.parts(text(.told_to), ",")
        group.acknowledgedBy = text(.acknowledged_by)
        group.windows = Self.parts(text(.windows), ",")
        group.worstWindow = text(.worst_window)
        group.openedAt = number(.opened_at)
        group.seenAt = number(.seen_at)
        group.since = number(.since)
        group.last = number(.last)
        group.clearedAt = number(.cleared_at)
        group.anomalies = number(.anomalies)
        group.untold = number(.untold)
        group.source = Sighting.Source(
            partition: Int32(truncatingIfNeeded: number(.partition)), offset: number(.offset), timestamp: number(.timestamp))
        group.sequence = number(.sequence)
        group.toldAt = number(.told_at)
        group.firstToldAt = number(.first_told_at)
        group.toldSeverity = Severity(rawValue: Int(number(.told_severity))) ?? .info
        group.suppressed = number(.suppressed)
        group.acknowledgedAt = number(.acknowledged_at)
        group.quietUntil = number(.quiet_until)
        group.heldUntil = number(.held_until)
        group.escalatedAt = number(.escalated_at)
        group.dueAt = number(.due_at)
        group.worst = fields.slots[Text.allCases.count + Number.worst.rawValue].number
        group.evidence = evidence
        return group
    }

    private static func parts(_ text: String, _ separator: Character) -> [String] {
        text.isEmpty ? [] : text.split(separator: separator).map(String.init)
    }
}
