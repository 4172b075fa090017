import Contracts
import JSON
import RedisClient
import ServiceKit
import Synchronization
import TestSupport
import Testing

@testable import AlertSink

@Suite("Delivery to a webhook")
struct DeliveryTests {
    private static func webhook(_ server: WebhookServer, timeout: Int = 2_000) -> @Sendable () throws -> any AlertReceiver {
        let url = server.url
        return { try WebhookReceiver(url: url, timeout: timeout) }
    }

    @Test("An alert arrives whole, with its id as idempotency key, and leaves the outbox")
    func arrives() throws {
        let (sink, server) = (try Sink(), try WebhookServer())
        let run = try sink.deliver(to: Self.webhook(server))
        try sink.queue(message("x9/1", group: "zone 132", at: 5_000))
        #expect(withDeadline(5) { server.taken == ["x9/1"] })
        #expect(try withDeadline(5) { try sink.waiting() == 0 })
        let body = try #require(server.state.withLock { $0.requests.first?.body })
        let json = try JSONValue.parse(body)
        #expect(json["id"]?.string == "x9/1")
        #expect(json["title"]?.string == "Zone zone 132")
        #expect(json["raised_by"]?.string == "trips:42")
        #expect(json["alerted_at"]?.integer == 5_000)
        #expect(json["features"]?["fare"]?["expected"]?.double == 3.1)
        #expect(try run.stop())
        #expect(run.count("alerts_sent_total") == 1)
    }

    @Test(
        "A receiver that fails a few times gets each alert in the end, once",
        arguments: [[500], [503, 503, 500], [429], [500, 200, 502, 200, 408]])
    func failsForAWhile(_ answers: [Int]) throws {
        let (sink, server) = (try Sink(), try WebhookServer(answers: answers))
        try sink.admit(4)
        let run = try sink.deliver(to: Self.webhook(server))
        #expect(withDeadline(15) { server.taken.count == 4 })
        #expect(try withDeadline(5) { try sink.waiting() == 0 })
        #expect(Set(server.taken) == ["n0", "n1", "n2", "n3"])
        #expect(try run.stop())
        #expect(run.count("alert_delivery_failures_total") == answers.count { $0 != 200 })
        #expect(run.count("alerts_sent_total") == 4)
    }

    @Test("A receiver that is down gets everything when it is up, in order")
    func down() throws {
        let (sink, server) = (try Sink(), try WebhookServer(isUp: false))
        try sink.admit(10)
        let run = try sink.deliver(to: Self.webhook(server))
        #expect(withDeadline(10) { run.count("alert_delivery_failures_total") >= 2 })
        #expect(try sink.waiting() == 10)
        try server.start()
        #expect(withDeadline(15) { server.taken.count == 10 })
        #expect(server.taken == (0..<10).map { "n\($0)" })
        #expect(try run.stop())
    }

    @Test("An alert that is refused does not hold up the others and is kept")
    func refused() throws {
        let (sink, server) = (try Sink(), try WebhookServer(refused: ["n1"]))
        try sink.admit(5)
        let run = try sink.deliver(to: Self.webhook(server))
        #expect(withDeadline(10) { server.taken.count == 4 })
        #expect(!server.taken.contains("n1"))
        #expect(try withDeadline(5) { try sink.waiting() == 1 })
        server.state.withLock { $0.refused = [] }
        #expect(withDeadline(10) { server.taken.contains("n1") })
        #expect(try run.stop())
    }

    @Test("An alert that stays refused beyond the age limit becomes a dead letter with the reason")
    func givenUp() throws {
        let (sink, server, letters) = (try Sink(), try WebhookServer(refused: ["n0"]), GivenUp())
        try sink.admit(2)
        let run = try sink.deliver(maximumAge: 0, givenUp: letters, to: Self.webhook(server))
        #expect(try withDeadline(10) { try sink.waiting() == 0 })
        #expect(letters.all.map(\.id) == ["trips:42"])
        #expect(letters.all.first?.detail.contains("status 400") == true)
        #expect(server.taken == ["n1"])
        #expect(try run.stop())
        #expect(run.count("vyuha_alerts_given_up_total") == 1)
    }

    @Test("An entry that cannot be read becomes a dead letter at once")
    func unreadable() throws {
        let (sink, server, letters) = (try Sink(), try WebhookServer(), GivenUp())
        _ = try sink.client.command(
            "XADD", sink.keys.alertOutbox(receiver: "r"), "*", "alert", "{", "anomaly", "{", "admitted_at", "\(Clock.milliseconds)")
        let run = try sink.deliver(givenUp: letters, to: Self.webhook(server))
        #expect(withDeadline(10) { letters.all.count == 1 })
        #expect(try run.stop())
        #expect(server.requests == 0)
    }

    @Test("A sink that dies between admission and delivery loses nothing: it finds its alerts under its name")
    func diesBeforeDelivery() throws {
        let (sink, server) = (try Sink(), try WebhookServer())
        try sink.admit(6)
        // Read by a thread that died with them.
        #expect(try sink.outbox("one").read(4, wait: 0).count == 4)
        let run = try sink.deliver(owner: "one", to: Self.webhook(server))
        #expect(withDeadline(10) { server.taken.count == 6 })
        #expect(Set(server.taken).count == 6)
        #expect(try run.stop())
    }

    @Test("Another sink takes over from one that died for good")
    func takesOver() throws {
        let (sink, server) = (try Sink(), try WebhookServer())
        try sink.admit(6)
        #expect(try sink.outbox("dead").read(4, wait: 0).count == 4)
        let run = try sink.deliver(owner: "two", abandonedAfter: 0, to: Self.webhook(server))
        #expect(withDeadline(10) { Set(server.taken).count == 6 })
        #expect(try run.stop())
        #expect(try sink.waiting() == 0)
    }

    @Test("A sink that dies between delivery and record delivers again under the same key")
    func diesAfterDelivery() throws {
        let (sink, server) = (try Sink(), try WebhookServer())
        try sink.admit(1)
        let delivery = Delivery(
            outbox: try sink.outbox("one"), receiver: try Self.webhook(server)(),
            metrics: DeliveryMetrics(Metrics(), receiver: "r"), log: quiet, maximumAge: 86_400_000, giveUp: { _, _, _, _ in })
        let turn = Turn()
        let entry = try #require(try delivery.next(turn))
        #expect(delivery.attempt(entry, turn) == .delivered)
        // It dies here: nothing was recorded.
        let run = try sink.deliver(owner: "one", to: Self.webhook(server))
        #expect(withDeadline(10) { server.taken == ["n0", "n0"] })
        #expect(try run.stop())
        #expect(try sink.waiting() == 0)
    }

    @Test("Two sinks on one outbox share the work: each alert is sent once")
    func twoSinks() throws {
        let (sink, server) = (try Sink(), try WebhookServer())
        let runs = [try sink.deliver(owner: "one", to: Self.webhook(server)), try sink.deliver(owner: "two", to: Self.webhook(server))]
        for round in 0..<10 { try sink.admit(20, from: round * 20) }
        #expect(withDeadline(15) { server.taken.count >= 200 })
        for run in runs { #expect(try run.stop()) }
        #expect(server.taken.count == 200)
        #expect(Set(server.taken).count == 200)
        #expect(try sink.waiting() == 0)
    }

    @Test("A stop lets what waits be delivered, and does not wait for a receiver that is away")
    func stops() throws {
        let sink = try Sink()
        let (up, down) = (try WebhookServer(), try WebhookServer(isUp: false))
        try sink.admit(50)
        let first = try sink.deliver(to: Self.webhook(up))
        #expect(try first.stop())
        #expect(up.taken.count == 50)
        try sink.admit(3, from: 50)
        let second = try sink.deliver(to: Self.webhook(down))
        #expect(withDeadline(5) { second.count("alert_delivery_failures_total") >= 1 })
        let start = ContinuousClock.now
        #expect(try second.stop())
        #expect(ContinuousClock.now - start < .seconds(3))
        #expect(try sink.waiting() == 3)
    }

    @Test("Redis going away and coming back loses no alert")
    func redisOutage() throws {
        let redis = try RedisServer()
        let server = try WebhookServer()
        let settings = try RedisSettings(url: redis.url)
        let client = RedisClient(settings)
        let sink = try Sink()
        let keys = sink.keys
        let url = server.url
        let run = DeliveryRun { metrics in
            Delivery(
                outbox: Outbox(RedisClient(settings), key: keys.alertOutbox(receiver: "r"), owner: "one"),
                receiver: try WebhookReceiver(url: url, timeout: 2_000),
                metrics: DeliveryMetrics(metrics, receiver: "r"), log: quiet, maximumAge: 86_400_000, giveUp: { _, _, _, _ in })
        }
        try sink.queue(message("before"), client: client)
        #expect(withDeadline(10) { server.taken == ["before"] })
        redis.kill()
        #expect(throws: RedisError.self) { try sink.queue(message("after"), client: client) }
        try redis.restart()
        #expect(
            withDeadline(10) {
                do {
                    try sink.queue(message("after"), client: client)
                    return true
                } catch { return false }
            })
        #expect(withDeadline(10) { server.taken.contains("after") })
        #expect(try run.stop())
    }

    @Test(
        "An id that is no header value is written with escapes",
        arguments: [("trips.csv:42", "trips.csv:42"), ("a b%\n", "a%20b%25%0A"), ("é", "%C3%A9")])
    func headerValue(_ id: String, _ expected: String) {
        #expect(WebhookReceiver.headerValue(id) == expected)
    }
}
