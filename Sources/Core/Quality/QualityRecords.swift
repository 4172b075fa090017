import JSON
import Text

/// What quality needs of a record of `<uc>.scores`.
public enum ScoreSlot {
    public static let paths = ["id", "set", "score", "is_anomaly", "entity", "produced_at", "event_time", "window_start", "window_end", "revision"]
    /// The place of `revision` among them.
    public static let revision = 9

    /// Takes the score that was read by `paths`; one without entity or time is left out. Of a window each revision counts: people were told of a flag
    /// that a later one takes back.
    public static func take(_ fields: JSONFields, into matcher: inout EventMatcher, now: Double) {
        let (entity, time, start, end) = (fields.slots[4], fields.slots[6], fields.slots[7], fields.slots[8])
        guard entity.kind == .string, time.kind == .integer else { return }
        let isWindow = start.kind == .integer && end.kind == .integer && start.integer <= end.integer
        matcher.score(
            entity: FNV1a.hash(fields.text[entity.text]), span: isWindow ? start.integer...end.integer : time.integer...time.integer,
            isFlagged: fields.slots[3].number == 1, now: now)
    }
}

/// What quality needs of a record of `<uc>.labels`.
public enum LabelSlot {
    public static let paths = ["id", "label", "ignore", "entity", "event_time", "kind", "start", "end"]

    /// Takes the label that was read by `paths`, if it is of an anomaly. One without start and end is an episode by itself.
    public static func take(_ fields: JSONFields, into matcher: inout EventMatcher, now: Double) {
        let (entity, time, kind) = (fields.slots[3], fields.slots[4], fields.slots[5])
        guard fields.slots[1].number == 1, entity.kind == .string, time.kind == .integer else { return }
        let (start, end) = (fields.slots[6], fields.slots[7])
        matcher.label(
            entity: FNV1a.hash(fields.text[entity.text]),
            kind: kind.kind == .string ? String(decoding: fields.text[kind.text], as: UTF8.self) : "",
            start: start.kind == .integer ? start.integer : time.integer, end: end.kind == .integer ? end.integer : time.integer,
            at: time.integer, now: now)
    }
}
