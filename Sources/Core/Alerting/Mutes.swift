import JSON

/// Somebody's wish not to be told of certain anomalies for a time.
public struct Silence: Sendable, Equatable {
    public var id: String
    public var matcher: AlertMatcher
    /// Wall clock, milliseconds; the end is exclusive.
    public var from: Int64
    public var until: Int64
    public var by: String
    public var comment: String

    public init(id: String, matcher: AlertMatcher, from: Int64, until: Int64, by: String, comment: String) {
        self.id = id
        self.matcher = matcher
        self.from = from
        self.until = until
        self.by = by
        self.comment = comment
    }

    public func isActive(_ now: Int64) -> Bool { from <= now && now < until }

    public var json: [UInt8] {
        let patterns = matcher.patterns.map { JSONMember($0.label.rawValue, .string($0.pattern)) }
        let value: JSONValue = [
            "id": .string(id), "match": .object(patterns), "from": .integer(from), "until": .integer(until), "by": .string(by),
            "comment": .string(comment),
        ]
        return value.serialized
    }

    /// Nil where the bytes are not a silence.
    public init?(json bytes: [UInt8]) {
        guard let value = try? JSONValue.parse(bytes), let id = value["id"]?.string, let from = value["from"]?.integer,
            let until = value["until"]?.integer, let match = value["match"]?.object
        else { return nil }
        var patterns: [(label: AlertLabel, pattern: String)] = []
        for member in match {
            guard let label = AlertLabel(rawValue: member.name), let pattern = member.value.string else { return nil }
            patterns.append((label, pattern))
        }
        self.init(
            id: id, matcher: AlertMatcher(patterns), from: from, until: until, by: value["by"]?.string ?? "",
            comment: value["comment"]?.string ?? "")
    }
}

/// A silence that comes back: certain days of the week, from one time of the day to another, in UTC.
public struct MaintenanceWindow: Sendable, Equatable {
    /// 0 is Monday; the day on which the window begins.
    public var days: Set<Int>
    /// Minutes after midnight. Where `until` is not after `from`, the window ends on the next day.
    public var from: Int
    public var until: Int
    public var matcher: AlertMatcher

    public init(days: Set<Int>, from: Int, until: Int, matcher: AlertMatcher = AlertMatcher()) {
        self.days = days
        self.from = from
        self.until = until
        self.matcher = matcher
    }

    /// When the window that is open at `now` closes, or nil while none is.
    public func end(at now: Int64) -> Int64? {
        let day: Int64 = 86_400_000
        let today = (now - (now % day + day) % day) / day
        for begin in [today, today - 1] {
            // 1970-01-01 was a Thursday.
            guard days.contains(Int(((begin + 3) % 7 + 7) % 7)) else { continue }
            let start = begin * day + Int64(from) * 60_000
            let end = (until > from ? begin : begin + 1) * day + Int64(until) * 60_000
            if start <= now, now < end { return end }
        }
        return nil
    }
}
