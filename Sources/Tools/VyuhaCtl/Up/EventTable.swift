/// What is known about one event id.
struct EventEntry: Sendable {
    /// `IdentityHash` of the id; 0 in an empty slot.
    var id: UInt64 = 0
    /// Kafka timestamp of the event, milliseconds; `Int64.min` until the event itself is seen.
    var producedAt = Int64.min
    /// Score 0...1; NaN until there is one.
    var score = Double.nan
    /// The event's field that the fixed cut looks at; NaN where there is none.
    var field = Double.nan
    /// When the score and the alert arrived, in tenths of a millisecond since the run began; `Int32.min` until then.
    var scoreArrival = Int32.min
    var alertArrival = Int32.min
    var marks: EventMarks = []
    /// The feature sets that have a feature record and a score of this id, a bit each.
    var featureSets: UInt16 = 0
    var scoreSets: UInt16 = 0
    /// The sets per event that take it, a bit each.
    var takingSets: UInt16 = .max
}

/// What has been seen of one event.
struct EventMarks: OptionSet, Sendable {
    let rawValue: UInt16
    static let event = EventMarks(rawValue: 1 << 0)
    static let feature = EventMarks(rawValue: 1 << 1)
    static let score = EventMarks(rawValue: 1 << 2)
    static let anomaly = EventMarks(rawValue: 1 << 3)
    static let alert = EventMarks(rawValue: 1 << 4)
    static let deadLetter = EventMarks(rawValue: 1 << 5)
    /// Its score record said `is_anomaly`.
    static let flagged = EventMarks(rawValue: 1 << 6)
    /// Ground truth: an anomaly.
    static let labelled = EventMarks(rawValue: 1 << 7)
    /// Ground truth: must not be judged.
    static let ignored = EventMarks(rawValue: 1 << 8)
    /// Not an event but a window, or a word about silence.
    static let derived = EventMarks(rawValue: 1 << 9)
}

/// An open-addressing hash table of events (linear probing, at most 60 % full): 48 bytes an event, no allocation per event.
struct EventTable: Sendable {
    private var slots: [EventEntry]
    private(set) var count = 0

    /// - Parameter capacity: slots to begin with; rounded up to a power of two. It grows by itself.
    init(capacity: Int = 1 << 14) {
        var size = 64
        while size < capacity { size *= 2 }
        slots = Array(repeating: EventEntry(), count: size)
    }

    /// Slot of that id, made if it is new. Valid until the next call.
    mutating func slot(of id: UInt64) -> Int {
        let found = probe(id)
        if slots[found].id == id { return found }
        if (count + 1) * 5 > slots.count * 3 {
            grow()
            return insert(id, at: probe(id))
        }
        return insert(id, at: found)
    }

    subscript(slot: Int) -> EventEntry {
        get { slots[slot] }
        set { slots[slot] = newValue }
    }

    /// The entry of an id, if it was ever seen.
    func entry(of id: UInt64) -> EventEntry? {
        let found = slots[probe(id)]
        return found.id == id ? found : nil
    }

    /// Calls `body` for each event, in no order.
    func forEach(_ body: (EventEntry) -> Void) {
        for entry in slots where entry.id != 0 { body(entry) }
    }

    private func probe(_ id: UInt64) -> Int {
        let mask = slots.count - 1
        var index = Int(truncatingIfNeeded: id) & mask
        while slots[index].id != 0, slots[index].id != id { index = (index + 1) & mask }
        return index
    }

    private mutating func insert(_ id: UInt64, at slot: Int) -> Int {
        slots[slot].id = id
        count += 1
        return slot
    }

    private mutating func grow() {
        let old = slots
        slots = Array(repeating: EventEntry(), count: old.count * 2)
        for entry in old where entry.id != 0 { slots[probe(entry.id)] = entry }
    }
}
