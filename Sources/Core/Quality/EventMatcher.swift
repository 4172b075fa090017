/// Compares alarms with the truth by events: was this fault noticed, and was there a fault behind this alarm?
///
/// - An **episode** is one anomaly of one entity, from its start to its end, as the labels tell it. It is found when a flagged record lies
///   inside it; how much of it is flagged does not matter, and no record is called flagged that was not (no point adjustment).
/// - An **alert** is a burst of flagged records of one entity, with less than `quiet` between them. It is true when it touches an
///   episode or the `aftermath` behind one, in which windows still hold what happened; else it is false.
///
/// Labels and flags may come in any order: both are kept until nothing can change them any more. Pure; one thread. Memory: 64 bytes an
/// entity, 40 an open episode or run.
public struct EventMatcher: Sendable {
    /// Milliseconds without a flag that end an alert.
    public static let quiet: Int64 = 60_000
    /// Flags of an entity that are no further apart than this, in milliseconds, are one run. A bound on memory where everything is flagged.
    private static let resolution: Int64 = 5_000
    /// An entity in trouble for longer than this, in milliseconds, is judged in parts, so that a detector that flags everything is seen to do so.
    private static let longestTrouble: Int64 = 3_600_000
    /// Entities beyond this are not judged; a bound on memory.
    public static let maximumEntities = 1_000_000
    /// More kinds than this are told together, as the last.
    private static let maximumKinds = 64

    /// Milliseconds behind the end of an episode in which a flag is still of it.
    public let aftermath: Int64

    private struct Episode {
        var kind: Int
        var start: Int64
        var end: Int64
        var touched: Double
    }

    private struct Run {
        var from: Int64
        var to: Int64
        /// When the first flag was known: an event's own time, a window's end.
        var known: Int64
        var touched: Double
    }

    private struct Entity {
        var first: Int64
        var last: Int64
        var episodes: [Episode] = []
        var runs: [Run] = []
    }

    private var index: [UInt64: Int] = [:]
    private var entities: [Entity] = []
    private var kinds: [String] = []
    private var judged = QualityFigures()

    /// - Parameter aftermath: how far back features look, in milliseconds.
    public init(aftermath: Int64) { self.aftermath = aftermath }

    /// One labelled record of an episode; several of one episode are the same episode.
    /// - Parameters:
    ///   - entity: a 64-bit hash of the entity's name.
    ///   - start: when the anomaly began, milliseconds of event time.
    ///   - end: when it ends; its last labelled record may come later and moves it.
    ///   - now: a monotonic clock, seconds.
    public mutating func label(entity: UInt64, kind: String, start: Int64, end: Int64, at time: Int64, now: Double) {
        guard let slot = slot(entity, time) else { return }
        let number = number(of: kind)
        let end = max(start, end, time)
        for place in entities[slot].episodes.indices.reversed()
        where entities[slot].episodes[place].start == start && entities[slot].episodes[place].kind == number {
            entities[slot].episodes[place].end = max(entities[slot].episodes[place].end, end)
            entities[slot].episodes[place].touched = now
            return
        }
        entities[slot].episodes.append(Episode(kind: number, start: start, end: end, touched: now))
    }

    /// One scored record: says how long the entity has been watched, and whether the record was flagged.
    /// - Parameters:
    ///   - span: the record's own time, or its window from start to end, milliseconds.
    public mutating func score(entity: UInt64, span: ClosedRange<Int64>, isFlagged: Bool, now: Double) {
        guard let slot = slot(entity, span.upperBound), isFlagged else { return }
        let runs = entities[slot].runs
        for place in runs.indices.reversed() {
            let run = runs[place]
            guard span.lowerBound <= run.to + Self.resolution, span.upperBound >= run.from - Self.resolution else { continue }
            entities[slot].runs[place] = Run(
                from: min(run.from, span.lowerBound), to: max(run.to, span.upperBound), known: min(run.known, span.upperBound), touched: now)
            return
        }
        entities[slot].runs.append(Run(from: span.lowerBound, to: span.upperBound, known: span.upperBound, touched: now))
    }

    /// Judges what nothing can change any more: whose time has passed by `quiet` and the aftermath, and to which nothing came for `patience` seconds.
    public mutating func settle(now: Double, patience: Double = 30) {
        for slot in entities.indices where !entities[slot].episodes.isEmpty || !entities[slot].runs.isEmpty {
            let horizon = entities[slot].last - aftermath - Self.quiet
            let isOpen =
                entities[slot].episodes.contains { $0.end >= horizon || now - $0.touched < patience }
                || entities[slot].runs.contains { $0.to >= horizon || now - $0.touched < patience }
            let began = min(entities[slot].episodes.map(\.start).min() ?? .max, entities[slot].runs.map(\.from).min() ?? .max)
            // An entity is judged as a whole, between its troubles: an alert and its episode then are always together.
            if !isOpen || entities[slot].last - began > Self.longestTrouble { judge(slot) }
        }
    }

    /// Everything so far, open episodes and alerts included.
    /// - Parameter isFinal: nothing more comes, so an episode without a flag is missed; otherwise one that is not over yet is left out.
    public func figures(isFinal: Bool = true) -> QualityFigures {
        var figures = settled
        for entity in entities where !entity.episodes.isEmpty || !entity.runs.isEmpty { judge(entity, isFinal: isFinal, into: &figures) }
        return figures
    }

    /// What is judged so far.
    public var settled: QualityFigures {
        var result = judged
        result.entityDays = entities.reduce(0) { $0 + Double($1.last - $1.first) } / 86_400_000
        result.entities = entities.count
        return result
    }

    private mutating func judge(_ slot: Int) {
        judge(entities[slot], isFinal: true, into: &judged)
        entities[slot].episodes = []
        entities[slot].runs = []
    }

    private func judge(_ entity: Entity, isFinal: Bool, into figures: inout QualityFigures) {
        for episode in entity.episodes {
            let inside = entity.runs.filter { $0.from <= episode.end && $0.to >= episode.start }
            // A run that began before the episode says that it was flagged when it began.
            let delay = inside.map { max(0, $0.known - episode.start) }.min()
            guard isFinal || delay != nil || episode.end < entity.last else { continue }
            figures.add(kind: kinds[episode.kind], delay: delay.map { Double($0) / 1_000 })
        }
        var burst: Run?
        for run in entity.runs.sorted(by: { $0.from < $1.from }) {
            if let open = burst, run.from <= open.to + Self.quiet {
                burst = Run(from: open.from, to: max(open.to, run.to), known: open.known, touched: 0)
            } else {
                if let burst { count(burst, entity.episodes, into: &figures) }
                burst = run
            }
        }
        if let burst { count(burst, entity.episodes, into: &figures) }
    }

    private func count(_ alert: Run, _ episodes: [Episode], into figures: inout QualityFigures) {
        figures.alerts += 1
        if episodes.contains(where: { alert.from <= $0.end + aftermath && alert.to >= $0.start }) { figures.trueAlerts += 1 }
    }

    /// The entity's place, made if it is new; nil beyond the limit.
    private mutating func slot(_ entity: UInt64, _ time: Int64) -> Int? {
        if let slot = index[entity] {
            if time > entities[slot].last { entities[slot].last = time }
            if time < entities[slot].first { entities[slot].first = time }
            return slot
        }
        guard entities.count < Self.maximumEntities else { return nil }
        index[entity] = entities.count
        entities.append(Entity(first: time, last: time))
        return entities.count - 1
    }

    private mutating func number(of kind: String) -> Int {
        if let known = kinds.firstIndex(of: kind) { return known }
        if kinds.count >= Self.maximumKinds { return kinds.count - 1 }
        kinds.append(kinds.count == Self.maximumKinds - 1 ? "others" : kind)
        return kinds.count - 1
    }
}
