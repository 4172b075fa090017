import Compression
import Contracts
import Features
import HTTPServer
import JSON
import KafkaClient
import ServiceKit
import Synchronization
import UseCases

/// In:        `POST /events`: one JSON object, a list of them, or one a line; plain or gzip
/// Out:       `<uc>.events` (key: the entity, header `id`)
/// State:     the ids that went out lately; after a start those at the ends of the topic
/// Guarantee: 202 means that the broker has every event of the request. A request without an answer may be sent again: events with ids of
///            their own (`id` in the use case, or the header `Idempotency-Key`) are taken once
/// On error:  Kafka slow: 429, away: 503, both with `Retry-After`; memory is bounded by the client's queue. What was queued then still goes
///            out, and sent again under its ids it is waited for, not doubled. An event that the schema, a limit or the broker refuses is named in
///            the answer, with its place and the reason, and the others of the request are taken (207); where none is, 422 or 413
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
    private let refusedEvents: Counter
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
        refused = service.metrics.counter("vyuha_push_refused_total", "Requests that were answered with 207, 400, 401, 413, 415 or 422.")
        refusedEvents = service.metrics.counter("vyuha_push_events_refused_total", "Events that were refused, and whoever sent them told why.")
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
        let body: [UInt8]
        do throws(PushProblem) { body = try Self.expanded(request) } catch {
            refused.add()
            return error.response
        }
        let stem = request.header("Idempotency-Key") ?? "\(run)-\(serial.add(1, ordering: .relaxed).newValue)"
        do throws(PushProblem) {
            try reader.read(body, isLines: PushReader.isLines(request.header("Content-Type") ?? ""), stem: stem)
        } catch {
            refused.add()
            return error.response
        }
        return deliver(reader)
    }

    /// The body without its content coding.
    private static func expanded(_ request: borrowing HTTPServerRequest) throws(PushProblem) -> [UInt8] {
        switch request.header("Content-Encoding")?.lowercased() ?? "" {
        case "", "identity": return request.body
        case "gzip", "x-gzip", "deflate":
            do throws(Gzip.Failure) { return try Gzip.expand(request.body, limit: PushReader.maximumBytes) } catch {
                guard error == .tooLarge else { throw PushProblem(400, "The compressed body is damaged or cut off.") }
                throw PushProblem(413, "The body has more than \(PushReader.maximumBytes) bytes when it is expanded; send it in parts.")
            }
        case let coding:
            throw PushProblem(415, "The body has the Content-Encoding `\(coding.prefix(40))`; send it plain, or with gzip or deflate.", accept: true)
        }
    }

    private var isLate: Bool { late.withLock { $0 > producer.delivered } }

    private func deliver(_ reader: PushReader) -> HTTPServerResponse {
        guard !reader.ids.isEmpty else { return report(reader, taken: 0) }
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
        for (index, id) in reader.ids.enumerated() where wasRefused(id) {
            if fresh[index] { fresh[index] = false }
            reader.refuse(index, .tooLarge, "The broker refuses it, likely since it is larger than the topic takes.")
        }
        let taken = fresh.count { $0 }
        metrics.events.add(taken)
        return report(reader, taken: taken)
    }

    /// 202 where everything was taken, 207 where a part was, else 413 or 422.
    private func report(_ reader: PushReader, taken: Int) -> HTTPServerResponse {
        let count = reader.refusals.count
        if count > 0 {
            refused.add()
            refusedEvents.add(count)
        }
        let known = reader.ids.count - taken - reader.refusedLate
        let isNoneTaken = count > 0 && taken + known == 0
        let status = count == 0 ? 202 : !isNoneTaken ? 207 : reader.refusals.allSatisfy { $0.reason == .tooLarge } ? 413 : 422
        if isNoneTaken, count == 1, let only = reader.refusals.first { return .problem(status, only.sentence) }
        var json = JSONWriter(capacity: 256)
        json.beginObject()
        json.key("accepted")
        json.value(taken)
        json.key("known")
        json.value(known)
        if count > 0 {
            json.key("refused")
            json.beginArray()
            for refusal in reader.refusals.prefix(PushReader.namedRefusals) { refusal.write(to: &json) }
            json.endArray()
            json.key("refused_count")
            json.value(count)
        }
        json.endObject()
        return HTTPServerResponse(status: status, contentType: "application/json", body: json.bytes)
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
