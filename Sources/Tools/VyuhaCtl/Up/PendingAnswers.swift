/// Ids that wait for their answer, in the order of their arrival, so that the oldest can be named. One thread's own.
///
/// Nothing is taken out of the middle: what has been answered leaves when it is at the front. Cost: an append for each id; about 30 bytes and its
/// name for each that came since the oldest one without an answer.
struct PendingAnswers: Sendable {
    private struct Entry {
        var id: UInt64
        /// Wall clock, milliseconds.
        var arrival: Double
        /// Where its name ends in `names`; it begins where the one before ends.
        var end: Int
    }

    /// More of a name does not help to find the event.
    private static let maximumName = 256

    private var entries: [Entry] = []
    private var first = 0
    private var names: [UInt8] = []

    var count: Int { entries.count - first }

    mutating func append(_ id: UInt64, name: ArraySlice<UInt8>, arrival: Double) {
        names.append(contentsOf: name.prefix(Self.maximumName))
        entries.append(Entry(id: id, arrival: arrival, end: names.count))
    }

    /// Drops what is answered from the front.
    /// - Returns: the oldest that still waits.
    mutating func oldest(_ waits: (UInt64) -> Bool) -> UnansweredEvent? {
        while first < entries.count, !waits(entries[first].id) { first += 1 }
        if first == entries.count {
            removeAll()
            return nil
        }
        if first > 4_096, 2 * first > entries.count { compact() }
        let start = first > 0 ? entries[first - 1].end : 0
        return UnansweredEvent(name: String(decoding: names[start..<entries[first].end], as: UTF8.self), arrival: entries[first].arrival)
    }

    private mutating func removeAll() {
        entries.removeAll(keepingCapacity: entries.count < 1 << 16)
        names.removeAll(keepingCapacity: names.count < 1 << 20)
        first = 0
    }

    private mutating func compact() {
        let start = entries[first - 1].end
        names.removeFirst(start)
        entries.removeFirst(first)
        for index in entries.indices { entries[index].end -= start }
        first = 0
    }
}

/// An event, or the record of a window, that has neither a score nor a dead letter.
struct UnansweredEvent: Sendable, Equatable {
    /// Its id.
    var name: String
    /// When it was seen, wall clock, milliseconds.
    var arrival: Double

    /// Seconds.
    func waited(at now: Double) -> Double { max(0, now - arrival) / 1_000 }
}
