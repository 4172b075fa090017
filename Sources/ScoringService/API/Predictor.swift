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
    private let evaluator: FeatureEvaluator?
    private let join: OnlineJoin?
    private let reply: ReplyWriter
    private let set: Int
    private let width: Int
    private let fieldCount: Int
    private var scorers: Scorers
    private var errors: ValidationErrors
    private var vector: [Double] = []
    /// Of one event the features that came from the store.
    private var known: [Double] = []
    private var events = Events()
    private var scores: [Double] = []
    private var flags: [Bool] = []
    private var json = JSONWriter(capacity: 512)
    private var latencies: [Double] = []

    /// The events of one request, decoded.
    private struct Events {
        /// `[event × field of the schema]`
        var fields: [Double] = []
        /// `[event × feature of the set]`
        var features: [Double] = []
        var entityBytes: [UInt8] = []
        var heads: [(entity: Range<Int>, time: Int64)] = []
        var statuses: [OnlineStatus] = []

        mutating func removeAll() {
            // What a large array needed is not kept for ever.
            let keeps = heads.capacity <= 1_000
            fields.removeAll(keepingCapacity: keeps)
            features.removeAll(keepingCapacity: keeps)
            entityBytes.removeAll(keepingCapacity: keeps)
            heads.removeAll(keepingCapacity: keeps)
            statuses.removeAll(keepingCapacity: keeps)
        }
    }

    init(_ useCase: UseCase, _ models: CurrentModels, redis: RedisSettings, onlineTimeout: Int) {
        let plan = useCase.plan
        set = PredictedSet.index(of: useCase)
        let isEventSet = plan.sets[set].scope == .event
        width = plan.sets[set].features.count
        fieldCount = plan.schema.fields.count
        decoder = EventDecoder(schema: plan.schema)
        evaluator = isEventSet ? FeatureEvaluator(plan: plan, set: set) : nil
        join = OnlineJoin(useCase, set: set, redis: redis, timeout: onlineTimeout)
        reply = ReplyWriter(useCase)
        scorers = Scorers(models, widths: plan.sets.map(\.features.count))
        errors = ValidationErrors(schema: plan.schema)
        vector = Array(repeating: .nan, count: width)
    }

    /// Answers: 200 with one reply or an array of replies; 422 with one entry per wrong field; 503 while there is no model.
    mutating func predict(_ body: [UInt8], explaining: Bool, _ metrics: APIMetrics) -> HTTPServerResponse {
        let begin = Clock.monotonicNanoseconds
        events.removeAll()
        errors.removeAll()
        scorers.refresh()
        guard let scorer = scorers[set] else {
            metrics.unavailable.add()
            return .problem(
                503, "There is no model for this use case yet: train one with `trainer fit` and try again.", headers: [("Retry-After", "1")])
        }
        decode(body)
        if explaining, decoder.isArray, events.heads.count > Self.maximumExplained {
            errors.add(
                ["query", "explain"], "At most \(Self.maximumExplained) events can be explained in one request; send fewer at a time.",
                "too-many")
        }
        guard errors.isEmpty else {
            metrics.invalid.add()
            return errors.response
        }
        joinOnline(metrics)
        scorer.score(events.features, scores: &scores, flags: &flags)
        write(scorer, explaining: explaining)
        metrics.answered.add()
        metrics.events.add(events.heads.count)
        var anomalies = 0
        for flag in flags where flag { anomalies += 1 }
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
                keep()
            } else {
                errors.add(decoder.errors, element: decoder.isArray ? element : nil)
            }
            element += 1
        }
    }

    private mutating func keep() {
        evaluator?.compute(decoder.row, into: &vector)
        events.fields.append(contentsOf: decoder.row)
        events.features.append(contentsOf: vector)
        let start = events.entityBytes.count
        events.entityBytes.append(contentsOf: decoder.entity)
        events.heads.append((start..<events.entityBytes.count, decoder.eventTime))
    }

    private mutating func joinOnline(_ metrics: APIMetrics) {
        guard let join else { return metrics.joined(.notNeeded, events.heads.count) }
        let entities = events.heads.map { String(decoding: events.entityBytes[$0.entity], as: UTF8.self) }
        join.join(entities, matrix: &events.features, statuses: &events.statuses)
        if let evaluator {
            for row in events.statuses.indices where events.statuses[row] == .joined { recompute(row, join.columns, evaluator) }
        }
        for status in events.statuses { metrics.joined(status, 1) }
    }

    /// What is made of the features that came from the store is made of them and the event.
    private mutating func recompute(_ row: Int, _ columns: [Int], _ evaluator: FeatureEvaluator) {
        let first = row * width
        known.removeAll(keepingCapacity: true)
        for column in columns { known.append(events.features[first + column]) }
        evaluator.compute(events.fields[row * fieldCount..<(row + 1) * fieldCount], known: known, into: &vector)
        for i in 0..<width { events.features[first + i] = vector[i] }
    }

    private mutating func write(_ scorer: Scorer, explaining: Bool) {
        json.removeAll()
        let columns = scorer.featureKeys.count
        if decoder.isArray { json.beginArray() }
        events.fields.withUnsafeBufferPointer { fields in
            scorer.withVectors { vectors in
                for (row, head) in events.heads.enumerated() {
                    let event = ScoredEvent(
                        entity: head.entity, eventTime: head.time,
                        fields: UnsafeBufferPointer(rebasing: fields[row * fieldCount..<(row + 1) * fieldCount]),
                        features: UnsafeBufferPointer(rebasing: vectors[row * columns..<(row + 1) * columns]), score: scores[row],
                        isAnomaly: flags[row], online: join == nil ? .notNeeded : events.statuses[row])
                    reply.write(event, entities: events.entityBytes, scorer, explaining: explaining, into: &json)
                }
            }
        }
        if decoder.isArray { json.endArray() }
    }
}

/// Which feature set `/predict` scores: the first that has a vector for each event; where all are windows the first of them, whose values
/// come from the online store.
enum PredictedSet {
    static func index(of useCase: UseCase) -> Int { useCase.plan.sets.firstIndex { $0.scope == .event } ?? 0 }
}
