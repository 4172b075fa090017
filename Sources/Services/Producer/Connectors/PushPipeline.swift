import Contracts
import Features
import HTTPServer
import JSON
import KafkaClient
import ServiceKit
import Synchronization
import Text
import UseCases

/// In:        `POST /events`: one JSON object, or a list of them
/// Out:       `<uc>.events` (key: the entity, header `id`)
/// State:     the ids that went out lately; after a start those at the ends of the topic
/// Guarantee: 202 means that the broker has every event of the request. A request without an answer may be sent again: events with ids of
///            their own (`id` in the use case, or the header `Idempotency-Key`) are taken once
/// On error:  Kafka slow: 429, away: 503, both with `Retry-After`; memory is bounded by the client's queue. What was queued then still goes
///            out, and sent again under its ids it is waited for, not doubled. An event that names no entity: 422, one too large: 413, and none
///            of the request is taken; one that the broker refuses: 413, and the others of the request are taken
final class PushPipeline: Sendable {
    /// Events on their way to the broker beyond which requests are turned away.
    private static let mostOutstanding = 20_000
    private static let maximumBody = 8 << 20

    private let push: PushedEvents
    private let schema: EventSchema
    private let topics: Topics
    private let service: Service
    private let metrics: ProducerMetrics
    private let producer: KafkaProducer
    /// Nil lets everyone send.
    private let tokens: BearerTokens?
    /// Milliseconds that a request waits for the broker.
    private let patience: Int
    private let known: Mutex<RecentIDs>
    /// What brokers refused and no request has been told of yet: the events' ids.
    private let refusals = Mutex(RecentIDs())
    /// The newest send that was waited for in vain: until it is delivered, nobody else need wait.
    private let late = Mutex(DeliveryTicket.none)
    private let idle = Mutex<[PushReader]>([])
    private let serial = Atomic<UInt64>(0)
    private let run = UInt64.random(in: .min ... .max)
    private let refused: Counter
    private let turnedAway: Counter

    /// - Parameters:
    ///   - delivered: ids at the ends of the topic.
    ///   - patience: milliseconds that a request waits for the broker.
    init(
        _ push: PushedEvents, schema: EventSchema, topics: Topics, service: Service, metrics: ProducerMetrics, producer: KafkaProducer,
        delivered: RecentIDs, patience: Int = 10_000
    ) throws {
        self.patience = patience
        self.push = push
        self.schema = schema
        self.topics = topics
        self.service = service
        self.metrics = metrics
        self.producer = producer
        known = Mutex(delivered)
        tokens = try push.tokenFile.map { try BearerTokens(file: $0) }
        refused = service.metrics.counter("vyuha_push_refused_total", "Requests that were answered with 400, 401, 413 or 422.")
        turnedAway = service.metrics.counter("vyuha_push_turned_away_total", "Requests that were answered with 429 or 503.")
        // Made early: a schema that cannot be read from JSON is a mistake of the use case.
        let first = try PushReader(push, schema: schema, topics: topics)
        idle.withLock { $0.append(first) }
    }

    /// Serves until the service is stopped.
    func serve(host: String) throws {
        var settings = HTTPServerSettings(host: host, port: push.port)
        settings.threads = 4
        settings.maximumBodyBytes = Self.maximumBody
        let server = try HTTPServer(settings) { [self] request in answer(request) }
        tokens?.watch(service)
        service.life.obstacle = nil
        service.log.info("taking events at POST /events", ["port": server.port, "tokens": tokens?.count ?? 0])
        while !service.life.isStopping {
            service.life.turned()
            service.life.trouble = isLate ? "The broker does not confirm the events that are on their way." : nil
            Clock.sleep(milliseconds: 100)
        }
        server.stop(graceSeconds: 5)
        try producer.flush(timeout: 5_000)
        try producer.close(timeout: 1_000)
    }

    private func answer(_ request: borrowing HTTPServerRequest) -> HTTPServerResponse {
        guard request.isPath("/events") else { return .notFound }
        guard request.method == .post else { return .methodNotAllowed(allow: "POST") }
        guard tokens?.allows(request) ?? true else {
            refused.add()
            return BearerTokens.challenge
        }
        guard producer.outstanding < Self.mostOutstanding else { return tooMany }
        if producer.hasFailed { _ = settleRefusals() }
        guard !isLate else { return notConfirmed }
        let reader: PushReader
        do {
            reader = try idle.withLock { $0.popLast() } ?? PushReader(push, schema: schema, topics: topics)
        } catch {
            return .problem(500, "\(error)")
        }
        defer { idle.withLock { $0.append(reader) } }
        let stem = request.header("Idempotency-Key") ?? "\(run)-\(serial.add(1, ordering: .relaxed).newValue)"
        if let problem = reader.read(request.body, stem: stem) {
            refused.add()
            return .problem(problem.status, problem.sentence)
        }
        return deliver(reader)
    }

    private var isLate: Bool { late.withLock { $0 > producer.delivered } }

    private func deliver(_ reader: PushReader) -> HTTPServerResponse {
        var fresh: [Bool] = []
        do {
            // What another request has sent is not sent again; a ticket of now is behind it, so that its delivery is waited for with ours.
            let ticket = try known.withLock { known in
                fresh = reader.ids.map { known.insert($0) }
                reader.fill(fresh)
                return try send(reader, fresh, &known)
            }
            guard try isDelivered(ticket) else {
                // They are queued and stay known: sent again under the same ids they are waited for, not doubled.
                late.withLock { $0 = max($0, ticket) }
                return notConfirmed
            }
        } catch {
            if (error as? KafkaError)?.name == "_QUEUE_FULL" { return tooMany }
            service.log.warning("events were turned away", ["error": "\(error)"])
            return notConfirmed
        }
        if let place = reader.ids.firstIndex(where: wasRefused) {
            refused.add()
            return .problem(
                413, "Event \(place + 1): The broker refuses it, likely since it is larger than the topic takes; the others were taken.")
        }
        let taken = fresh.count { $0 }
        metrics.events.add(taken)
        var json = JSONWriter(capacity: 64)
        json.beginObject()
        json.key("accepted")
        json.value(taken)
        json.key("known")
        json.value(fresh.count - taken)
        json.endObject()
        return HTTPServerResponse(status: 202, contentType: "application/json", body: json.bytes)
    }

    /// Queues the batch. What could not be queued is not known any more.
    private func send(_ reader: PushReader, _ fresh: [Bool], _ known: inout RecentIDs) throws(KafkaError) -> DeliveryTicket {
        var start = 0
        while true {
            do throws(KafkaError) {
                return try producer.send(reader.batch, from: start, timeout: 200)
            } catch {
                start = error.recordIndex ?? start
                if error.failedDeliveries > 0, settleRefusals() { continue }
                let sent = zip(reader.ids, fresh).filter(\.1).map(\.0)
                for id in sent[start...] { known.remove(id) }
                throw error
            }
        }
    }

    /// False when the patience is over.
    private func isDelivered(_ ticket: DeliveryTicket) throws(KafkaError) -> Bool {
        let end = Clock.monotonicSeconds + Double(patience) / 1_000
        while true {
            do throws(KafkaError) {
                try producer.waitForDelivery(of: ticket, timeout: max(0, Int((end - Clock.monotonicSeconds) * 1_000)))
                return true
            } catch {
                if error.failedDeliveries > 0, settleRefusals() { continue }
                guard error.isRetryable, error.failedDeliveries == 0 else { throw error }
                return false
            }
        }
    }

    /// Notes what brokers refused, so that the requests it came with are told, and the others go on.
    private func settleRefusals() -> Bool {
        // Under the lock, so that who finds the failure gone also finds whose it was.
        refusals.withLock { refusals in
            let records = producer.takeRefused()
            for record in records { _ = refusals.insert(RecentIDs.hash((record.header("id") ?? [])[...])) }
            return !records.isEmpty || !producer.hasFailed
        }
    }

    private func wasRefused(_ id: UInt64) -> Bool {
        let was = refusals.withLock { $0.take(id) }
        if was { known.withLock { $0.remove(id) } }
        return was
    }

    private var tooMany: HTTPServerResponse { busy(429, "Too many events are on their way; send these again a little later.") }

    private var notConfirmed: HTTPServerResponse {
        busy(503, "The broker does not confirm events in time; send these again, with ids of their own so that none is taken twice.")
    }

    private func busy(_ status: Int, _ sentence: String) -> HTTPServerResponse {
        turnedAway.add()
        return .problem(status, sentence, headers: [("Retry-After", "1")])
    }
}

/// `@unchecked Sendable`: a reader is with one request at a time; who has taken it from the pool owns it.
///
/// Reads the events of one request, and is kept for the next one.
final class PushReader: @unchecked Sendable {
    private let columns: JSONColumns
    private let key: RowKey
    private let event: ColumnEventWriter
    private let idColumn: Int?
    private let topic: String
    private var json = JSONWriter(capacity: 1_024)
    private var texts: [UInt8] = []
    private var events: [(entity: Range<Int>, id: Range<Int>, json: Range<Int>)] = []
    private(set) var ids: [UInt64] = []
    private(set) var batch: OutgoingBatch

    /// Events of one request.
    private static let maximumEvents = 10_000

    init(_ push: PushedEvents, schema: EventSchema, topics: Topics) throws {
        var format = FileFormat(file: "")
        format.columns = push.columns
        columns = try JSONColumns(schema: schema, format: format, extra: push.id.map { [$0] } ?? [])
        let found = Columns.find(schema, header: columns.names, named: push.columns)
        key = try RowKey(schema: schema, header: columns.names, columns: found)
        var names: [String: String] = [:]
        for (field, column) in zip(schema.fields, found) where column >= 0 { names[field.name] = columns.names[column] }
        event = ColumnEventWriter(schema: schema, binding: try ColumnBinding(schema: schema, header: columns.names, columns: names))
        idColumn = push.id.flatMap { [names = columns.names] in names.firstIndex(of: $0) }
        topic = topics.events
        batch = OutgoingBatch(topics: [topic])
    }

    /// - Parameter stem: names the request, for events without an id of their own.
    /// - Returns: nil, or why none of the request can be taken.
    func read(_ body: [UInt8], stem: String) -> (status: Int, sentence: String)? {
        texts.removeAll(keepingCapacity: true)
        events.removeAll(keepingCapacity: true)
        ids.removeAll(keepingCapacity: true)
        switch columns.open(body) {
        case .ok: break
        case .malformed(let reason): return (400, "The body is not valid JSON: \(reason)")
        default: return (400, "The body must be a JSON object, or a list of them.")
        }
        while let row = columns.next() {
            let place = columns.isArray ? "Event \(events.count + 1): " : ""
            guard events.count < Self.maximumEvents else {
                return (413, "A request takes at most \(Self.maximumEvents) events; send the others apart.")
            }
            if case .unmappable(_, let sentence) = row { return (422, place + sentence) }
            key.read(columns.bytes, columns.fields)
            guard !key.entity.isEmpty else { return (422, place + "It names no entity, so it belongs to nobody.") }
            let entity = keep(key.entity[...])
            let id = appendID(stem)
            json.removeAll()
            event.write(columns.bytes, columns.fields, into: &json)
            let size = json.bytes.count + entity.count + id.count
            guard size <= Delivery.maximumEventBytes else {
                return (413, place + "It has \(size) bytes; at most \(Delivery.maximumEventBytes) are taken.")
            }
            events.append((entity, id, keep(json.bytes[...])))
            ids.append(RecentIDs.hash(texts[id]))
        }
        return events.isEmpty ? (400, "The list has no event.") : nil
    }

    private func appendID(_ stem: String) -> Range<Int> {
        let from = texts.count
        texts.append(contentsOf: "push:".utf8)
        if let idColumn, !columns.fields[idColumn].isEmpty {
            texts.append(contentsOf: columns.bytes[columns.fields[idColumn]])
        } else {
            texts.append(contentsOf: stem.utf8)
            texts.append(UInt8(ascii: ":"))
            Digits.append(Int64(events.count + 1), to: &texts)
        }
        return from..<texts.count
    }

    private func keep(_ bytes: ArraySlice<UInt8>) -> Range<Int> {
        let from = texts.count
        texts.append(contentsOf: bytes)
        return from..<texts.count
    }

    /// Makes the batch of the events that are new.
    func fill(_ isFresh: [Bool]) {
        batch.removeAll()
        for (event, isFresh) in zip(events, isFresh) where isFresh {
            batch.append(topic: 0, keyOf: texts, event.entity, valueOf: texts, event.json)
            batch.header("id", of: texts, event.id)
        }
    }
}

/// The newest ids, as hashes: a ring and a set.
struct RecentIDs: Sendable {
    /// A client that sends again does so within this many events.
    static let capacity = 200_000

    private var set: Set<UInt64> = []
    private var ring: [UInt64] = []
    private var oldest = 0

    /// - Returns: whether it was new.
    mutating func insert(_ id: UInt64) -> Bool {
        guard set.insert(id).inserted else { return false }
        if ring.count < Self.capacity {
            ring.append(id)
        } else {
            set.remove(ring[oldest])
            ring[oldest] = id
            oldest = (oldest + 1) % Self.capacity
        }
        return true
    }

    mutating func remove(_ id: UInt64) { set.remove(id) }

    /// - Returns: whether it was there.
    mutating func take(_ id: UInt64) -> Bool { set.remove(id) != nil }

    static func hash(_ bytes: ArraySlice<UInt8>) -> UInt64 { FNV1a.hash(bytes) }
}
