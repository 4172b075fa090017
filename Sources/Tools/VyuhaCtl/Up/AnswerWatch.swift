/// Judges whether events get their answers, a score or a dead letter, in time; pure. Times are wall-clock milliseconds.
///
/// A source may be silent, slow or come in bursts, and windows may be hours long: only an event that waits for its answer says anything about the
/// chain.
struct AnswerWatch {
    /// Seconds that an answer may take on top of the windows: longer than a consumer group needs to replace a killed member.
    static let patience = 30.0

    /// Seconds after the last event at which everything should have its answer.
    let limit: Double
    private var isStalled = false
    private var saidNothingCame = false
    private let start: Double

    /// - Parameters:
    ///   - start: when events began to flow.
    ///   - longestDelay: milliseconds from an event to the end of its last window and what may be late for it.
    init(start: Double, longestDelay: Int64) {
        self.start = start
        limit = Self.patience + Double(longestDelay) / 1_000
    }

    /// - Returns: a sentence for people, once when something begins to wait too long, and once when it is over.
    mutating func notice(events: Int, unanswered: Int, oldest: UnansweredEvent?, now: Double) -> String? {
        if events == 0 {
            guard !saidNothingCame, now - start > Self.patience * 1_000 else { return nil }
            saidNothingCame = true
            return "No event has come yet; everything is ready for the first."
        }
        guard let oldest, oldest.waited(at: now) > limit else {
            guard isStalled else { return nil }
            isStalled = false
            return "All events that waited have their answers now."
        }
        guard !isStalled else { return nil }
        isStalled = true
        return "\(oldest.name) has waited \(Int(oldest.waited(at: now))) s for a score or a dead letter, and \(unanswered) wait in all; it goes on."
    }

    /// Whether what is unanswered now will not be answered in time any more.
    /// - Parameter lastEvent: when the last event came; nil where none did.
    func isOverdue(lastEvent: Double?, now: Double) -> Bool { now - (lastEvent ?? start) > limit * 1_000 }
}

/// Decides how long the end of a run waits for answers; pure. Times are wall-clock milliseconds.
struct DrainWatch {
    /// Seconds without progress after which nobody waits any longer than they must.
    static let standstill = 30.0

    private var least = Int.max
    private var progressAt: Double

    init(start: Double) { progressAt = start }

    /// - Parameters:
    ///   - owed: answers and records that are still to come.
    ///   - isOverdue: see `AnswerWatch`; a chain that is slow but goes on may take its time all the same.
    ///   - isStopped: a person asked for the end, and does not wait for windows of hours.
    /// - Returns: whether the wait is over though something is owed.
    mutating func givesUp(owed: Int, isOverdue: Bool, isStopped: Bool, now: Double) -> Bool {
        if owed < least {
            least = owed
            progressAt = now
        }
        return (isOverdue || isStopped) && now - progressAt > Self.standstill * 1_000
    }
}
