import Text

/// The bytes of a time zone file are not what they should be.
public struct TimeZoneError: Error, Equatable, Sendable, CustomStringConvertible {
    public let message: String
    public var description: String { message }
}

/// When a time zone changes its offset from UTC: a value, so that features stay a function of their input.
///
/// Made from the bytes of a TZif file (RFC 8536, versions 1 to 4); reading the file is the caller's task. The rule for the
/// years after the last transition in the file is written out up to 2200, so a look-up is one binary search.
public struct TimeZoneRules: Sendable, Equatable {
    /// UTC: no transitions.
    public static let utc = TimeZoneRules(name: "UTC", transitions: [], offsets: [0])

    /// Such as `America/New_York`.
    public let name: String
    /// Milliseconds since the epoch at which `offsets[i + 1]` begins, ascending.
    let transitions: [Int64]
    /// Milliseconds east of UTC; one more than there are transitions.
    let offsets: [Int64]

    init(name: String, transitions: [Int64], offsets: [Int64]) {
        self.name = name
        self.transitions = transitions
        self.offsets = offsets
    }

    /// The offset from UTC in force at an instant, in milliseconds, positive to the east. About 10 ns.
    public func offset(atUTC milliseconds: Int64) -> Int64 {
        var low = 0
        var high = transitions.count
        while low < high {
            let middle = (low + high) / 2
            if transitions[middle] <= milliseconds { low = middle + 1 } else { high = middle }
        }
        return offsets[low]
    }

    /// The instant at which a wall clock in this zone shows a local time (milliseconds as if the local time were UTC).
    ///
    /// Nil for a time that the clock skips when it is put forward; the first of two when it is put back.
    public func instant(ofLocal local: Int64) -> Int64? {
        var best: Int64?
        for probe in [local - CivilTime.millisecondsPerDay, local, local + CivilTime.millisecondsPerDay] {
            let offset = offset(atUTC: probe)
            let instant = local - offset
            if self.offset(atUTC: instant) == offset, instant < best ?? .max { best = instant }
        }
        return best
    }

    /// The later instant at which a wall clock in this zone shows what it shows at `instant`, which is in an hour that is repeated when the clock is put
    /// back; nil for any other instant.
    public func repetition(of instant: Int64) -> Int64? {
        let local = instant + offset(atUTC: instant)
        let offset = offset(atUTC: local + CivilTime.millisecondsPerDay)
        let later = local - offset
        return later > instant && self.offset(atUTC: later) == offset ? later : nil
    }
}

/// How the caller of the compiler finds a zone by its name; nil when there is none. `UTC` is always known.
public typealias ZoneLookup = (String) -> TimeZoneRules?
