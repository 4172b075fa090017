/// One feature set's part of the books.
struct FlowSet: Sendable, Equatable {
    var name: String
    /// A record for every event that it takes; otherwise its records are of windows or about silence, with ids of their own.
    var isPerEvent: Bool
    /// Events that it does not take: so many have no record in it.
    var skipped = 0
    var features = 0
    var scores = 0
    var anomalies = 0

    init(_ name: String, isPerEvent: Bool) {
        self.name = name
        self.isPerEvent = isPerEvent
    }
}

/// The books of a run: what became of every event, kept apart from the services by reading the topics.
///
/// Every count is of distinct ids, per feature set; a record that repeats an id is counted under `doubled` and changes nothing else. Records may come
/// in any order, since each topic is read on its own. One thread's own. Cost: one table look-up a record.
struct FlowAccount: Sendable {
    private(set) var table = EventTable()
    private(set) var counts = HopCounts()
    /// Records beyond the first of their id.
    private(set) var doubled = HopCounts()
    /// Labels seen, by whether they say anomaly.
    private(set) var labels = (anomalies: 0, others: 0)
    /// Per feature set, in the use case's order, silence last.
    private(set) var sets: [FlowSet]
    /// What is still owed: to an event a feature and a score of every set per event, or a dead letter; to a window's feature record a score.
    var unsettled: Int { counts[.events] - settled + owedScores }
    private var settled = 0
    /// Feature records of windows and silence that have no score yet.
    private var owedScores = 0
    private var pending = PendingAnswers()
    /// When the newest event arrived, wall clock, milliseconds.
    private(set) var lastEvent: Double?
    /// The bits of the sets that every event has a record in which it takes.
    private let perEvent: UInt16

    /// From the event that closed a window to the arrival of the window's score, over the whole run.
    private(set) var windowLatency = LatencyHistogram()
    /// Latencies since `rotate()` was called twice: what the live view shows.
    private(set) var recent = RecentLatencies()
    /// Wall-clock milliseconds at which arrivals are counted from.
    private let startedAt: Double

    /// The most feature sets that the books can keep apart.
    static let maximumSets = 16

    /// - Parameters:
    ///   - startedAt: wall clock, milliseconds; arrivals before it are not expected.
    ///   - sets: at most `maximumSets`.
    init(startedAt: Double, sets: [FlowSet] = [FlowSet("set", isPerEvent: true)]) {
        self.startedAt = startedAt
        let kept = Array(sets.prefix(Self.maximumSets))
        self.sets = kept
        perEvent = kept.indices.reduce(0) { kept[$1].isPerEvent ? $0 | 1 << $1 : $0 }
    }

    /// - Parameters:
    ///   - name: the id itself, for people.
    ///   - producedAt: Kafka timestamp, milliseconds.
    ///   - field: the field that the fixed cut looks at, NaN where there is none.
    ///   - taking: a bit per set that takes the event, from the lowest on.
    ///   - arrival: wall clock, milliseconds.
    mutating func event(
        _ id: UInt64, name: ArraySlice<UInt8> = [], producedAt: Int64, field: Double, taking: UInt16 = .max, arrival: Double = 0
    ) {
        if taking != .max { exempt(id, from: ~taking & perEvent) }
        guard let slot = note(id, .event, .events) else { return }
        lastEvent = max(lastEvent ?? arrival, arrival)
        if !isSettled(table[slot]) { pending.append(id, name: name, arrival: arrival) }
        table[slot].producedAt = producedAt
        table[slot].field = field
        // A score that overtook its event: topics are read independently.
        let entry = table[slot]
        if let latency = latency(entry, entry.scoreArrival) { recent.score.add(milliseconds: latency) }
        if let latency = latency(entry, entry.alertArrival) { recent.alert.add(milliseconds: latency) }
    }

    /// Notes the sets that owe nothing to an event. It is called before the event is noted, so that nothing is settled twice.
    private mutating func exempt(_ id: UInt64, from skipping: UInt16) {
        let slot = table.slot(of: id)
        guard !table[slot].marks.contains(.event) else { return }
        table[slot].takingSets = ~skipping
        for set in sets.indices where skipping & 1 << set != 0 { sets[set].skipped += 1 }
    }

    /// The oldest that is unanswered: an event, or the record of a window that has no score. Call now and then; it also forgets what is answered.
    mutating func oldestUnanswered() -> UnansweredEvent? {
        // Taken out while it is walked, so that the rest of the books can be read.
        var waiting = PendingAnswers()
        swap(&waiting, &pending)
        defer { swap(&waiting, &pending) }
        return waiting.oldest { id in
            guard let entry = table.entry(of: id) else { return false }
            return (entry.marks.contains(.event) && !isSettled(entry)) || owesScore(entry)
        }
    }

    /// - Parameters:
    ///   - set: the place of the record's feature set in `sets`.
    ///   - name: the id itself, for people.
    ///   - arrival: wall clock, milliseconds.
    mutating func feature(_ id: UInt64, set: Int = 0, name: ArraySlice<UInt8> = [], arrival: Double = 0) {
        let slot = table.slot(of: id)
        let before = table[slot]
        guard before.featureSets & 1 << set == 0 else { return doubled[.features] += 1 }
        table[slot].marks.insert(sets[set].isPerEvent ? .feature : [.feature, .derived])
        table[slot].featureSets |= 1 << set
        counts[.features] += 1
        sets[set].features += 1
        settle(before, table[slot], set)
        if !sets[set].isPerEvent, owesScore(table[slot]), !owesScore(before) { pending.append(id, name: name, arrival: arrival) }
    }

    /// - Parameters:
    ///   - arrival: wall clock, milliseconds.
    ///   - producedAt: of a window's score, the Kafka timestamp of the event that closed it.
    mutating func score(_ id: UInt64, set: Int = 0, score: Double, isAnomaly: Bool, arrival: Double, producedAt: Int64 = 0) {
        let slot = table.slot(of: id)
        let before = table[slot]
        guard before.scoreSets & 1 << set == 0 else { return doubled[.scores] += 1 }
        table[slot].marks.insert(sets[set].isPerEvent ? .score : [.score, .derived])
        table[slot].scoreSets |= 1 << set
        counts[.scores] += 1
        sets[set].scores += 1
        // An event that several sets look at has the highest of their scores, and is flagged when one of them flags it.
        if !(table[slot].score >= score) { table[slot].score = score }
        if isAnomaly { table[slot].marks.insert(.flagged) }
        settle(before, table[slot], set)
        guard sets[set].isPerEvent else { return windowLatency.add(milliseconds: max(0, arrival - Double(producedAt))) }
        guard before.scoreArrival == .min else { return }
        table[slot].scoreArrival = tenths(arrival)
        if let latency = latency(table[slot], table[slot].scoreArrival) { recent.score.add(milliseconds: latency) }
    }

    mutating func anomaly(_ id: UInt64, set: Int = 0) {
        // Sets share the ids of events: what one of them has seen is no repetition for another.
        let isNew = note(id, .anomaly, .anomalies, mayRepeat: perEvent.nonzeroBitCount > 1 && sets[set].isPerEvent) != nil
        if isNew { sets[set].anomalies += 1 }
        if !sets[set].isPerEvent { table[table.slot(of: id)].marks.insert(.derived) }
    }

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
            if entry.marks.isDisjoint(with: [.event, .derived]), !entry.marks.isDisjoint(with: derived) { result += 1 }
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
    /// - Parameter mayRepeat: a repetition is not told.
    @discardableResult
    private mutating func note(_ id: UInt64, _ mark: EventMarks, _ hop: Hop, mayRepeat: Bool = false) -> Int? {
        let slot = table.slot(of: id)
        let before = table[slot]
        guard !before.marks.contains(mark) else {
            if !mayRepeat { doubled[hop] += 1 }
            return nil
        }
        table[slot].marks.insert(mark)
        counts[hop] += 1
        if !isSettled(before), isSettled(table[slot]) { settled += 1 }
        return slot
    }

    /// Nothing more is owed to this event.
    private func isSettled(_ entry: EventEntry) -> Bool {
        guard entry.marks.contains(.event) else { return false }
        let owed = perEvent & entry.takingSets
        return entry.marks.contains(.deadLetter) || (entry.featureSets & owed == owed && entry.scoreSets & owed == owed)
    }

    /// A window, or a word about silence, without its score.
    private func owesScore(_ entry: EventEntry) -> Bool { entry.featureSets & ~entry.scoreSets & ~perEvent != 0 }

    private mutating func settle(_ before: EventEntry, _ after: EventEntry, _ set: Int) {
        if sets[set].isPerEvent {
            if !isSettled(before), isSettled(after) { settled += 1 }
            return
        }
        let bit: UInt16 = 1 << set
        func owes(_ entry: EventEntry) -> Bool { entry.featureSets & bit != 0 && entry.scoreSets & bit == 0 }
        if owes(after), !owes(before) { owedScores += 1 }
        if owes(before), !owes(after) { owedScores -= 1 }
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
