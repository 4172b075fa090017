/// From which offset on events must be read again to have all that are not older than a time.
///
/// Notes now and then how far event time had come at an offset: what lies below it is older. A few dozen marks, whatever the rate.
struct ReplayMarks {
    /// Every event below the offset is older than the time; ascending in both.
    private var marks: [(time: Int64, offset: Int64)]
    private let distance: Int64

    /// - Parameters:
    ///   - first: nothing is needed below this offset.
    ///   - newest: event time of the newest event below it, if there is any.
    ///   - distance: milliseconds of event time between marks.
    init(first: Int64, newest: Int64?, distance: Int64) {
        marks = [(newest.map { $0 + 1 } ?? .min, first)]
        self.distance = max(1, distance)
    }

    /// The event at `offset` comes next.
    /// - Parameters:
    ///   - newest: event time of the newest event below it.
    ///   - needed: events before this time are not needed any more.
    mutating func note(newest: Int64, at offset: Int64, needed: Int64) {
        guard let last = marks.last, last.time == .min || newest >= last.time + distance else { return }
        marks.append((newest + 1, offset))
        let first = marks.lastIndex { $0.time <= needed } ?? 0
        marks.removeFirst(first)
    }

    /// The offset, and the event time of the newest event below it.
    func place(for time: Int64) -> (offset: Int64, newest: Int64?) {
        let mark = marks.last { $0.time <= time } ?? marks[0]
        return (mark.offset, mark.time == .min ? nil : mark.time - 1)
    }
}
