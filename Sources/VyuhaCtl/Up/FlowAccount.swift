/// The books of a run: what became of every event, kept apart from the services by reading the topics.
///
/// Every count is of distinct event ids; a record that repeats an id is counted under `doubled` and changes nothing else. Records may come
/// in any order, since each topic is read on its own. One thread's own. Cost: one table look-up a record.
struct FlowAccount: Sendable {
    private(set) var table = EventTable()
    private(set) var counts = HopCounts()
    /// Records beyond the first of their id.
    private(set) var doubled = HopCounts()
    /// Labels seen, by whether they say anomaly.
    private(set) var labels = (anomalies: 0, others: 0)
    /// Events that are still owed a feature and a score, or a dead letter.
    var unsettled: Int { counts[.events] - settled }
    private var settled = 0

    /// Latencies since `rotate()` was called twice: what the live view shows.
    private(set) var recent = RecentLatencies()
    /// Wall-clock milliseconds at which arrivals are counted from.
    private let startedAt: Double

    /// - Parameter startedAt: wall clock, milliseconds; arrivals before it are not expected.
    init(startedAt: Double) { self.startedAt = startedAt }

    /// - Parameters:
    ///   - producedAt: Kafka timestamp, milliseconds.
    ///   - field: the field that the fixed cut looks at, NaN where there is none.
    mutating func event(_ id: UInt64, producedAt: Int64, field: Double) {
        guard let slot = note(id, .event, .events) else { return }
        table[slot].producedAt = producedAt
        table[slot].field = field
        // A score that overtook its event: topics are read independently.
        let entry = table[slot]
        if let latency = latency(entry, entry.scoreArrival) { recent.score.add(milliseconds: latency) }
        if let latency = latency(entry, entry.alertArrival) { recent.alert.add(milliseconds: latency) }
    }

    mutating func feature(_ id: UInt64) { note(id, .feature, .features) }

    /// - Parameter arrival: wall clock, milliseconds.
    mutating func score(_ id: UInt64, score: Double, isAnomaly: Bool, arrival: Double) {
        guard let slot = note(id, .score, .scores) else { return }
        table[slot].score = score
        table[slot].scoreArrival = tenths(arrival)
        if isAnomaly { table[slot].marks.insert(.flagged) }
        if let latency = latency(table[slot], table[slot].scoreArrival) { recent.score.add(milliseconds: latency) }
    }

    mutating func anomaly(_ id: UInt64) { note(id, .anomaly, .anomalies) }

    /// A message about an alert.
    /// - Parameters:
    ///   - raisedBy: the event that it opens an alert for; nil for every later message, whose delay says nothing.
    ///   - arrival: wall clock, milliseconds.
    mutating func alert(_ id: UInt64, raisedBy event: UInt64?, arrival: Double) {
        guard note(id, .alert, .alerts) != nil, let event else { return }
        let slot = table.slot(of: event)
        guard table[slot].alertArrival == .min else { return }
        table[slot].alertArrival = tenths(arrival)
        if let latency = latency(table[slot], table[slot].alertArrival) { recent.alert.add(milliseconds: latency) }
    }

    mutating func deadLetter(_ id: UInt64) { note(id, .deadLetter, .deadLetters) }

    mutating func label(_ id: UInt64, isAnomaly: Bool, ignore: Bool) {
        let slot = table.slot(of: id)
        guard table[slot].marks.isDisjoint(with: [.labelled, .ignored]) else { return }
        if isAnomaly {
            table[slot].marks.insert(.labelled)
            labels.anomalies += 1
        } else {
            labels.others += 1
        }
        if ignore { table[slot].marks.insert(.ignored) }
    }

    /// Ids that appeared downstream without their event: left over from before the run, or invented by a service.
    var withoutEvent: Int {
        var result = 0
        table.forEach { entry in
            // A message about an alert has an id of its own.
            let derived: EventMarks = [.feature, .score, .anomaly, .deadLetter]
            if !entry.marks.contains(.event), !entry.marks.isDisjoint(with: derived) { result += 1 }
        }
        return result
    }

    /// Exact latencies in milliseconds from the event's Kafka timestamp to the arrival here, sorted.
    func latencies(to hop: Hop) -> [Double] {
        var result: [Double] = []
        table.forEach { entry in
            if let latency = latency(entry, hop == .alerts ? entry.alertArrival : entry.scoreArrival) { result.append(latency) }
        }
        return result.sorted()
    }

    /// Nearest-rank quantile of sorted values; nil when there is none.
    static func quantile(_ quantile: Double, of sorted: [Double]) -> Double? {
        guard !sorted.isEmpty else { return nil }
        return sorted[min(sorted.count, max(1, Int((quantile * Double(sorted.count)).rounded(.up)))) - 1]
    }

    /// Call about every two seconds: the live latencies then cover the last two to four.
    mutating func rotate() { recent.rotate() }

    /// Sets the mark and counts it; nil when this id had it already.
    @discardableResult
    private mutating func note(_ id: UInt64, _ mark: EventMarks, _ hop: Hop) -> Int? {
        let slot = table.slot(of: id)
        let before = table[slot].marks
        guard !before.contains(mark) else {
            doubled[hop] += 1
            return nil
        }
        table[slot].marks.insert(mark)
        counts[hop] += 1
        if !before.isSettled, table[slot].marks.isSettled { settled += 1 }
        return slot
    }

    private func tenths(_ arrival: Double) -> Int32 {
        Int32(max(0, min((arrival - startedAt) * 10, Double(Int32.max))))
    }

    private func latency(_ entry: EventEntry, _ arrival: Int32) -> Double? {
        guard entry.producedAt != .min, arrival != .min else { return nil }
        return max(0, startedAt + Double(arrival) / 10 - Double(entry.producedAt))
    }
}

/// The latencies of the last few seconds: two histograms, of which the older is dropped at each turn.
struct RecentLatencies: Sendable {
    var score = LatencyHistogram()
    var alert = LatencyHistogram()
    private var before = (score: LatencyHistogram(), alert: LatencyHistogram())

    mutating func rotate() {
        swap(&before.score, &score)
        swap(&before.alert, &alert)
        score.removeAll()
        alert.removeAll()
    }

    /// Milliseconds; nil when nothing arrived lately.
    func scoreQuantile(_ quantile: Double) -> Double? { Self.quantile(quantile, score, before.score) }
    func alertQuantile(_ quantile: Double) -> Double? { Self.quantile(quantile, alert, before.alert) }

    private static func quantile(_ quantile: Double, _ a: LatencyHistogram, _ b: LatencyHistogram) -> Double? {
        var both = a
        both.add(b)
        return both.quantile(quantile)
    }
}
