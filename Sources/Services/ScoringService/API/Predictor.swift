import Features
import HTTPServer
import JSON
import RedisClient
import ServiceKit
import UseCases

/// What one HTTP thread needs to answer `/predict`, and reuses: decoder, feature program, models, buffers. Nothing is allocated for a good
/// request but the body of its answer, once the buffers are warm and while no feature needs the online store.
struct Predictor {
    /// Most events that are explained in one request: an explanation costs as much as scoring dozens of events.
    static let maximumExplained = 100

    private let decoder: EventDecoder
    private let reply: ReplyWriter
    private let fieldCount: Int
    /// One per feature set that may score an event; an event is scored by the first that takes it.
    private var lanes: [Lane]
    private var scorers: Scorers
    private var errors: ValidationErrors
    private var events = Events()
    private var json = JSONWriter(capacity: 512)
    private var latencies: [Double] = []

    /// The events of one request, decoded.
    private struct Events {
        /// `[event × field of the schema]`
        var fields: [Double] = []
        var entityBytes: [UInt8] = []
        /// The row is that in the lane.
        var heads: [(entity: Range<Int>, time: Int64, lane: Int, row: Int)] = []

        mutating func removeAll() {
            // What a large array needed is not kept for ever.
            let keeps = heads.capacity <= 1_000
            fields.removeAll(keepingCapacity: keeps)
            entityBytes.removeAll(keepingCapacity: keeps)
            heads.removeAll(keepingCapacity: keeps)
        }
    }

    init(_ useCase: UseCase, _ models: CurrentModels, redis: RedisSettings, onlineTimeout: Int) {
        let plan = useCase.plan
        lanes = PredictedSets.of(useCase).map { Lane(useCase, set: $0, redis: redis, onlineTimeout: onlineTimeout) }
        fieldCount = plan.schema.fields.count
        decoder = EventDecoder(schema: plan.schema)
        reply = ReplyWriter(useCase)
        scorers = Scorers(models, widths: plan.sets.map(\.features.count), types: useCase.types)
        errors = ValidationErrors(schema: plan.schema)
    }

    /// Answers: 200 with one reply or an array of replies; 422 with one entry per wrong field; 503 while there is no model.
    mutating func predict(_ body: [UInt8], explaining: Bool, _ metrics: APIMetrics) -> HTTPServerResponse {
        let begin = Clock.monotonicNanoseconds
        let keeps = events.heads.capacity <= 1_000
        for lane in lanes.indices { lanes[lane].removeAll(keepingCapacity: keeps) }
        events.removeAll()
        errors.removeAll()
        scorers.refresh()
        decode(body)
        // An event that no set takes has no model to wait for.
        let hasModels = errors.isEmpty ? lanes.allSatisfy { $0.count == 0 || scorers[$0.set] != nil } : lanes.contains { scorers[$0.set] != nil }
        guard hasModels else {
            metrics.unavailable.add()
            return .problem(
                503, "There is no model for this use case yet: train one with `trainer fit` and try again.", headers: [("Retry-After", "1")])
        }
        if explaining, decoder.isArray, events.heads.count > Self.maximumExplained {
            errors.add(
                ["query", "explain"], "At most \(Self.maximumExplained) events can be explained in one request; send fewer at a time.",
                "too-many")
        }
        guard errors.isEmpty else {
            metrics.invalid.add()
            return errors.response
        }
        var anomalies = 0
        for lane in lanes.indices where lanes[lane].count > 0 {
            guard let scorer = scorers[lanes[lane].set] else { continue }
            anomalies += lanes[lane].score(scorer, fields: events.fields, fieldCount: fieldCount, metrics)
        }
        write(explaining: explaining)
        metrics.answered.add()
        metrics.events.add(events.heads.count)
        metrics.anomalies.add(anomalies)
        latencies.append(Double(Clock.monotonicNanoseconds &- begin) / 1e9)
        if latencies.count >= 256 { flush(metrics) }
        return HTTPServerResponse(body: json.bytes)
    }

    /// Hands the latencies that were gathered to the histogram.
    mutating func flush(_ metrics: APIMetrics) {
        guard !latencies.isEmpty else { return }
        metrics.latency.observe(latencies)
        latencies.removeAll(keepingCapacity: true)
    }

    private mutating func decode(_ body: [UInt8]) {
        guard decoder.open(body, 0..<body.count) else { return errors.add(decoder.errors, element: nil) }
        var element = 0
        while !errors.isFull, let isGood = decoder.next() {
            if isGood {
                keep(element)
            } else {
                errors.add(decoder.errors, element: decoder.isArray ? element : nil)
            }
            element += 1
        }
    }

    private mutating func keep(_ element: Int) {
        let start = events.entityBytes.count
        let entity = decoder.entity
        for lane in lanes.indices where lanes[lane].take(decoder.row, event: events.heads.count, entity: entity) {
            events.fields.append(contentsOf: decoder.row)
            events.entityBytes.append(contentsOf: entity)
            events.heads.append((start..<events.entityBytes.count, decoder.eventTime, lane, lanes[lane].count - 1))
            return
        }
        errors.add(
            decoder.isArray ? ["body", .integer(Int64(element))] : ["body"],
            "No feature set takes an event with these fields; see `when` in the use case.",
            "not-taken")
    }

    private mutating func write(explaining: Bool) {
        json.removeAll()
        if decoder.isArray { json.beginArray() }
        events.fields.withUnsafeBufferPointer { fields in
            for (number, head) in events.heads.enumerated() {
                guard let scorer = scorers[lanes[head.lane].set] else { continue }
                let columns = scorer.featureKeys.count
                scorer.withVectors { vectors in
                    let event = ScoredEvent(
                        entity: head.entity, eventTime: head.time,
                        fields: UnsafeBufferPointer(rebasing: fields[number * fieldCount..<(number + 1) * fieldCount]),
                        features: UnsafeBufferPointer(rebasing: vectors[head.row * columns..<(head.row + 1) * columns]),
                        score: lanes[head.lane].scores[head.row], isAnomaly: lanes[head.lane].flags[head.row],
                        online: lanes[head.lane].status(head.row))
                    reply.write(event, entities: events.entityBytes, scorer, explaining: explaining, into: &json)
                }
            }
        }
        if decoder.isArray { json.endArray() }
    }
}

/// Which feature sets `/predict` scores: those that have a vector for each event, up to the first that takes every event; where all are windows the
/// first of them, whose values come from the online store.
enum PredictedSets {
    static func of(_ useCase: UseCase) -> [Int] {
        var found: [Int] = []
        for (index, set) in useCase.plan.sets.enumerated() where set.scope == .event {
            found.append(index)
            if !set.isConditional { break }
        }
        return found.isEmpty ? [0] : found
    }
}
