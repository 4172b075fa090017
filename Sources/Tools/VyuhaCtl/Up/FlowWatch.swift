/// Notices a run in which nothing flows; pure. Times are monotonic seconds.
struct FlowWatch {
    /// The producer's first event must be there this long after its start.
    static let firstEvent = 30.0
    /// The first score or dead letter must follow the first event within this time.
    static let firstResult = 30.0
    /// Later, results may stop for this long while events go on: longer than a consumer group needs to replace a killed member.
    static let laterResult = 60.0

    private let start: Double
    private var events = 0
    private var firstEventAt: Double?
    private var results = 0
    private var lastResultAt: Double?
    private var eventsAtLastResult = 0

    init(start: Double) { self.start = start }

    /// - Parameters:
    ///   - events: produced so far.
    ///   - results: scores and dead letters so far.
    /// - Returns: the sentence that ends the run, and the service to look at; nil while things flow.
    mutating func check(events: Int, results: Int, now: Double) -> (culprit: String, sentence: String)? {
        if events > 0, firstEventAt == nil { firstEventAt = now }
        self.events = events
        if results > self.results {
            self.results = results
            lastResultAt = now
            eventsAtLastResult = events
        }
        guard let firstEventAt else {
            guard now - start > Self.firstEvent else { return nil }
            return ("producer", "Nothing flows: the producer has run for \(Int(Self.firstEvent)) s and no event has arrived.")
        }
        guard let lastResultAt else {
            guard now - firstEventAt > Self.firstResult else { return nil }
            return (
                "stream-processor",
                "Nothing flows: \(events) events were produced, and after \(Int(Self.firstResult)) s there is neither a score nor a dead letter."
            )
        }
        guard events > eventsAtLastResult, now - lastResultAt > Self.laterResult else { return nil }
        return (
            "scoring-service",
            "Nothing flows any more: for \(Int(Self.laterResult)) s events were produced and neither scored nor dead-lettered."
        )
    }
}
