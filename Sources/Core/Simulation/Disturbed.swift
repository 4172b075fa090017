import Text

/// A simulation whose events travel a network: some come late, behind younger ones, and some never come.
///
/// Which ones depends on the seed, the entity and the event's number only. Cost: a few nanoseconds an event; a late one is copied.
struct Disturbed<Inner: Simulator>: Simulator {
    private var inner: Inner
    /// The next event of the inner simulation, when it has been looked at.
    private var ahead = SimulatedEvent()
    private var hasAhead = false
    /// In the order in which they arrive; a later one of the same time behind an earlier one.
    private var late: [(due: Int64, event: SimulatedEvent)] = []

    init(_ inner: Inner) { self.inner = inner }

    var settings: SimulatorSettings { inner.settings }
    var fields: [SimulatedField] { inner.fields }
    var anomalyKinds: [String] { inner.anomalyKinds }

    mutating func next(into event: inout SimulatedEvent) {
        while true {
            if !hasAhead {
                inner.next(into: &ahead)
                var random = SplitMix64(
                    seed: settings.seed ^ 0xD157, stream: UInt64(truncatingIfNeeded: ahead.entity) << 40 ^ UInt64(bitPattern: ahead.sequence))
                let fate = random.unit()
                if fate < settings.missing { continue }
                if fate < settings.missing + settings.late {
                    delay(by: 1 + Int64(random.unit() * Double(settings.lateness)))
                    continue
                }
                hasAhead = true
            }
            if let first = late.first, first.due <= ahead.eventTime {
                event = first.event
                late.removeFirst()
            } else {
                swap(&event, &ahead)
                hasAhead = false
            }
            return
        }
    }

    private mutating func delay(by time: Int64) {
        let due = ahead.eventTime + time
        let place = late.firstIndex { $0.due > due } ?? late.count
        late.insert((due, ahead), at: place)
    }
}
