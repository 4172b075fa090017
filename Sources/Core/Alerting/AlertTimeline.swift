/// The stages over time, with the clock of whoever calls: everything in memory, timers included.
///
/// For checks over a file and for tests; the service keeps the same state in the store.
public struct AlertTimeline: Sendable {
    public var engine: AlertEngine
    public var book = AlertBook()
    /// The clock; never goes back.
    public private(set) var now: Int64
    /// No group is due before; it may be earlier than the earliest.
    private var nextDue: Int64 = .min

    public init(_ engine: AlertEngine, now: Int64) {
        self.engine = engine
        self.now = now
    }

    /// Moves the clock on; what is due on the way is decided at its own time.
    public mutating func advance(to time: Int64) {
        while nextDue <= time {
            var due = book.groups.values.lazy.filter { $0.phase != .quiet && $0.dueAt != 0 }.map { ($0.dueAt, $0.key) }.min { $0 < $1 }
            if book.fuse.held > 0, due.map({ book.fuse.end <= $0.0 }) ?? true { due = (book.fuse.end, Fuse.key) }
            guard let due, due.0 <= time else {
                nextDue = due?.0 ?? .max
                break
            }
            now = max(now, due.0)
            engine.look(due.1, now: now, &book)
        }
        now = max(now, time)
    }

    /// Takes a sighting at the clock's time.
    @discardableResult
    public mutating func take(_ sighting: Sighting) -> Fate {
        var sighting = sighting
        engine.enrich(&sighting)
        let fate = engine.take(sighting, now: now, &book)
        nextDue = min(nextDue, book.groups[sighting.group]?.dueAt ?? .max, book.groups[AlertEngine.overflow]?.dueAt ?? .max)
        if book.fuse.held > 0 { nextDue = min(nextDue, book.fuse.end) }
        return fate
    }

    /// When something happens next although nothing comes; nil when nothing does.
    public var next: Int64? {
        let due = book.groups.values.lazy.filter { $0.phase != .quiet }.map(\.dueAt).min()
        return book.fuse.held > 0 ? min(book.fuse.end, due ?? .max) : due
    }

    /// The messages since they were taken last.
    public mutating func takeNotices() -> [Notice] {
        defer { book.notices.removeAll() }
        return book.notices
    }
}
