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
    static func settings() throws -> RedisSettings { try RedisSettings(url: server.get().url) }
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

func anomaly(_ id: String, group: String = "a", at: Int64, offset: Int64, partition: Int32 = 0) -> AnomalyDecoder.Decoded {
    AnomalyDecoder.Decoded(
        id: id, group: group, producedAt: at, offset: offset, json: anomalyJSON(id: id, group: group, at: at, offset: offset),
        source: AnomalyDecoder.Source(partition: partition, offset: offset + 100, timestamp: at + 3))
}

/// Redis, keys and stages of one use case.
struct Sink {
    let useCase = "case-\(UInt64.random(in: 0 ... .max))"
    let client: RedisClient
    var keys: RedisKeys { RedisKeys(useCase: useCase) }

    init() throws { client = try Redis.client() }

    func admission(cooldown: Int64 = 60_000, limit: Int = 10_000, receivers: [String] = ["r"]) -> Admission {
        Admission(client, keys: keys, receivers: receivers, outboxLimit: limit, cooldown: cooldown, memory: 3_600_000)
    }

    func outbox(_ owner: String = "one", abandonedAfter: Int = Outbox.abandonedAfter) throws -> Outbox {
        Outbox(try Redis.client(), key: keys.alertOutbox(receiver: "r"), owner: owner, abandonedAfter: abandonedAfter)
    }

    /// Admits `count` alerts, each of a group of its own, with ids `n0`, `n1`, ….
    func admit(_ count: Int, from first: Int = 0) throws {
        var outcome = Admission.Outcome()
        let anomalies = (first..<first + count).map { anomaly("n\($0)", group: "g\($0)", at: 1_000, offset: Int64($0)) }
        try admission().admit(anomalies, now: Clock.milliseconds, &outcome)
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
                text: AlertText(taxi), metrics: DeliveryMetrics(metrics, receiver: "r"), log: quiet,
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
        var requests: [(key: String, body: [UInt8])] = []
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
            let status = state.withLock { state in
                state.requests.append((key, body))
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
