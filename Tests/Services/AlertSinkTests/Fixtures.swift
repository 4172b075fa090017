import AlertStore
import Alerting
import Contracts
import HTTPServer
import JSON
import RedisClient
import ServiceKit
import Synchronization
import TestSupport
import UseCases

@testable import AlertSink

/// One redis-server for all tests of this target; each test has a use case of its own.
enum Redis {
    private static let server = Result { try RedisServer(appendOnly: false) }

    static func client() throws -> RedisClient { RedisClient(try settings()) }
    static func url() throws -> String { try server.get().url }
    static func settings() throws -> RedisSettings { try RedisSettings(url: url()) }
}

/// A quiet log.
let quiet = Logger(service: "test", level: .error, format: .text)

/// The JSON of an anomaly as the scorer writes it.
func anomalyJSON(id: String, group: String = "a", at: Int64 = 1_000, offset: Int64 = 1, score: Double = 0.98) -> [UInt8] {
    let json: JSONValue = [
        "id": .string(id), "set": "trip", "entity": .string(group), "event_time": .integer(at - 5), "produced_at": .integer(at),
        "scored_at": .integer(at + 2), "offset": .integer(offset), "score": .number(score), "is_anomaly": true, "status": "SUSPICIOUS",
        "confidence": 0.9, "model": "isolation-forest", "version": 3, "features": ["speed": 0.4, "fare": 41.25],
        "expected": ["speed": 11.0, "fare": 3.1], "contributions": ["speed": -0.25, "fare": 0.75],
    ]
    return json.serialized
}

/// A sighting as the stage `decode` makes it.
func sighting(
    _ id: String, group: String = "a", at: Int64, offset: Int64, partition: Int32 = 0, score: Double = 0.98, isCleared: Bool = false
) -> Sighting {
    Sighting(
        id: id, labels: AlertLabels(entity: group, set: "trip"), score: score, eventTime: at - 5, producedAt: at, offset: offset,
        isCleared: isCleared, evidence: anomalyJSON(id: id, group: group, at: at, offset: offset, score: score),
        source: Sighting.Source(partition: partition, offset: offset + 100, timestamp: at + 3))
}

/// A message about an anomaly, with an id of its own.
func message(_ id: String, group: String = "a", event: String = "opened", at: Int64 = 1_000) throws -> AlertRecord {
    let json = anomalyJSON(id: "trips:42", group: group, at: at)
    return AlertRecord(
        id: id, alert: "x9", event: event, severity: "critical", group: group, title: "Zone \(group)", text: "It is <odd> & wrong.",
        raisedBy: "trips:42",
        since: at - 5, last: at, anomalies: 3, suppressed: 1, alertedAt: at, anomaly: try Anomaly(parsing: json, 0..<json.count))
}

/// Redis, keys and stages of one use case.
struct Sink {
    let useCase = "case-\(UInt64.random(in: 0 ... .max))"
    let client: RedisClient
    var keys: RedisKeys { RedisKeys(useCase: useCase) }

    init() throws { client = try Redis.client() }

    /// The deciding half of one sink, with a connection of its own.
    func decisions(_ policy: AlertPolicy, receivers: [String] = ["r"], limit: Int = 10_000) throws -> Decisions {
        try Self.decisions(keys, policy, receivers: receivers, limit: limit)
    }

    static func decisions(_ keys: RedisKeys, _ policy: AlertPolicy, receivers: [String] = ["r"], limit: Int = 10_000) throws -> Decisions {
        let store = try AlertStore(try Redis.client(), keys: keys, receivers: receivers, outboxLimit: limit, memory: 3_600_000)
        return Decisions(store, policy, Messages(text: AlertText(taxi), receivers: receivers))
    }

    /// What was decided to be told, in order.
    func history() throws -> [AlertRecord] {
        try AlertStore(client, keys: keys).history(10_000).map { try AlertRecord(parsing: $0) }
    }

    func outbox(_ owner: String = "one", abandonedAfter: Int = Outbox.abandonedAfter) throws -> Outbox {
        Outbox(try Redis.client(), key: keys.alertOutbox(receiver: "r"), owner: owner, abandonedAfter: abandonedAfter)
    }

    /// Queues `count` messages with the ids `n0`, `n1`, ….
    func admit(_ count: Int, from first: Int = 0, at: Int64 = Clock.milliseconds) throws {
        for number in first..<first + count {
            let record = try message("n\(number)", group: "g\(number)")
            try queue(record, at: at)
        }
    }

    func queue(_ record: AlertRecord, at: Int64 = Clock.milliseconds, client: RedisClient? = nil) throws {
        let parts: [[UInt8]] = [
            Array("XADD".utf8), Array(keys.alertOutbox(receiver: "r").utf8), Array("*".utf8), Array("alert".utf8), record.json, Array("anomaly".utf8),
            anomalyJSON(id: record.anomaly.id, group: record.anomaly.entity), Array("admitted_at".utf8), Array("\(at)".utf8),
        ]
        _ = try (client ?? self.client).command(parts)
    }

    func waiting() throws -> Int { Int(try client.command("XLEN", keys.alertOutbox(receiver: "r")).integer ?? 0) }

    /// Starts a delivery thread on receiver `r`, as the service does.
    func deliver(
        owner: String = "one", abandonedAfter: Int = Outbox.abandonedAfter, maximumAge: Int64 = 86_400_000,
        givenUp: GivenUp = GivenUp(), to receiver: @escaping @Sendable () throws -> any AlertReceiver
    ) throws -> DeliveryRun {
        let (settings, key) = (try Redis.settings(), keys.alertOutbox(receiver: "r"))
        return DeliveryRun { metrics in
            Delivery(
                outbox: Outbox(RedisClient(settings), key: key, owner: owner, abandonedAfter: abandonedAfter), receiver: try receiver(),
                metrics: DeliveryMetrics(metrics, receiver: "r"), log: quiet,
                maximumAge: maximumAge, giveUp: { entry, _, id, detail in givenUp.add(id, detail) })
        }
    }
}

/// What became dead letters.
final class GivenUp: Sendable {
    private let letters = Mutex<[(id: String, detail: String)]>([])
    func add(_ id: String, _ detail: String) { letters.withLock { $0.append((id, detail)) } }
    var all: [(id: String, detail: String)] { letters.withLock { $0 } }
}

/// A delivery thread of a test.
final class DeliveryRun: Sendable {
    let turn = Turn()
    let metrics = Metrics()

    init(_ make: @escaping @Sendable (Metrics) throws -> Delivery) {
        let (turn, metrics) = (turn, metrics)
        turn.began()
        Threads.start("delivery") {
            defer { turn.ended() }
            do {
                let delivery = try make(metrics)
                defer { delivery.close() }
                try AlertSinkPipeline.keepDelivering(delivery, turn, quiet)
            } catch { turn.failed(error) }
        }
    }

    /// Ends the thread; true when it ended in time.
    func stop(draining milliseconds: Int = 2_000) throws -> Bool {
        turn.drain(milliseconds: milliseconds)
        let ended = withDeadline(10) { !turn.isAnyoneRunning }
        try turn.throwFailure()
        return ended
    }

    func count(_ name: String) -> Int { metrics.counter(name, "", [("receiver", "r")]).value }
}

/// A real HTTP receiver that answers as it is told and keeps what it took, by idempotency key.
final class WebhookServer: Sendable {
    struct State {
        /// Answers of the next requests; then 204.
        var answers: [Int] = []
        /// Ids that are always refused with 400.
        var refused: Set<String> = []
        var requests: [(key: String, body: [UInt8], signature: String)] = []
        var taken: [String] = []
    }

    let state = Mutex(State())
    private let server = Mutex<HTTPServer?>(nil)
    let port: Int
    var url: String { "http://127.0.0.1:\(port)/hook" }

    init(answers: [Int] = [], refused: Set<String> = [], isUp: Bool = true) throws {
        port = try freePort()
        state.withLock {
            $0.answers = answers
            $0.refused = refused
        }
        if isUp { try start() }
    }

    func start() throws {
        let http = try HTTPServer(HTTPServerSettings(host: "127.0.0.1", port: port)) { [unowned self] request in
            let key = request.header("Idempotency-Key") ?? ""
            let body = request.body
            let signature = request.header("X-Vyuha-Signature") ?? ""
            let status = state.withLock { state in
                state.requests.append((key, body, signature))
                let status = state.refused.contains(key) ? 400 : state.answers.isEmpty ? 204 : state.answers.removeFirst()
                if status < 300 { state.taken.append(key) }
                return status
            }
            return HTTPServerResponse(status: status, headers: status == 429 ? [("Retry-After", "1")] : [])
        }
        server.withLock { $0 = http }
    }

    func stop() { server.withLock { $0 }?.stop(graceSeconds: 1) }

    var taken: [String] { state.withLock { $0.taken } }
    var requests: Int { state.withLock { $0.requests.count } }
}
