/// Says when the next event is due, on a schedule that is fixed at the first event: a wait that came out too long shortens the next, so
/// the rate does not drift. A source that was held up catches up.
struct Pacer {
    private let pace: Pace
    private var began: UInt64 = 0
    private var firstEventTime: Int64 = 0
    private var count: Int64 = 0

    init(_ pace: Pace) { self.pace = pace }

    /// Nanoseconds until an event is due; 0 or less when it is late.
    /// - Parameters:
    ///   - eventTime: of that event, milliseconds.
    ///   - now: a monotonic clock, nanoseconds. The first call starts the schedule: its event is due at once.
    mutating func wait(eventTime: Int64, now: UInt64) -> Int64 {
        if began == 0 {
            began = max(1, now)
            firstEventTime = eventTime
        }
        let due: Double
        switch pace {
        case .unlimited: return 0
        case .rate(let rate): due = Double(count) / rate * 1e9
        case .speed(let speed): due = Double(eventTime - firstEventTime) / speed * 1e6
        }
        return Int64(due) - Int64(now &- began)
    }

    /// The event that `wait` was asked about has left.
    mutating func sent() { count += 1 }
}
