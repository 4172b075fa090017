import ServiceKit
import Synchronization
import TestSupport
import Testing

@testable import AlertSink

/// Long outages, with a clock of the test's own: an hour takes no hour.
@Suite("A receiver that is down for long")
struct OutageTests {
    /// A clock that moves when somebody sleeps by it.
    private final class FakeClock {
        var time = Clock.milliseconds
        var clock: DeliveryClock {
            DeliveryClock(monotonic: { self.time }, wall: { self.time }, sleep: { self.time += Int64($0) })
        }
    }

    @Test("Down for an hour, with a restart of the sink in the middle: every message arrives once, and none is given up")
    func anHour() throws {
        let (sink, server, letters) = (try Sink(), try WebhookServer(isUp: false), GivenUp())
        let fake = FakeClock()
        let (begin, turn) = (fake.time, Turn())
        try sink.admit(20, at: begin)
        func delivery() throws -> Delivery {
            Delivery(
                outbox: try sink.outbox("one"), receiver: try WebhookReceiver(url: server.url, timeout: 30_000),
                metrics: DeliveryMetrics(Metrics(), receiver: "r"), log: quiet, maximumAge: 86_400_000, clock: fake.clock,
                giveUp: { _, _, id, detail in letters.add(id, detail) })
        }
        func work(_ delivery: Delivery, until isDone: () -> Bool) throws {
            while !isDone() {
                guard let entry = try delivery.next(turn) else { return }
                try delivery.record(entry, delivery.attempt(entry, turn))
            }
        }
        var attempts = 0
        try work(try delivery()) {
            attempts += 1
            return fake.time >= begin + 1_800_000
        }
        // Not once a millisecond, and not so seldom that its return would go unnoticed.
        #expect((180...2_000).contains(attempts), "\(attempts) attempts in half an hour")
        #expect(try sink.waiting() == 20)
        // The sink dies here and comes back under its name.
        let again = try delivery()
        try work(again) { fake.time >= begin + 3_600_000 }
        try server.start()
        try work(again) { server.taken.count == 20 }
        #expect(fake.time - begin < 3_600_000 + 60_000, "it arrives soon after the receiver's return")
        #expect(Set(server.taken).count == 20)
        #expect(try sink.waiting() == 0)
        #expect(letters.all.isEmpty)
        server.stop()
    }

    @Test("Down for longer than the stated time: every message becomes a dead letter, none before")
    func tooLong() throws {
        let (sink, server, letters) = (try Sink(), try WebhookServer(isUp: false), GivenUp())
        let fake = FakeClock()
        let (begin, turn) = (fake.time, Turn())
        try sink.admit(5, at: begin)
        let delivery = Delivery(
            outbox: try sink.outbox("one"), receiver: try WebhookReceiver(url: server.url, timeout: 2_000),
            metrics: DeliveryMetrics(Metrics(), receiver: "r"), log: quiet, maximumAge: 3_600_000, clock: fake.clock,
            giveUp: { _, _, id, detail in
                #expect(fake.time >= begin + 3_600_000)
                letters.add(id, detail)
            })
        while letters.all.count < 5, let entry = try delivery.next(turn) {
            try delivery.record(entry, delivery.attempt(entry, turn))
        }
        #expect(letters.all.count == 5)
        #expect(fake.time - begin < 3_600_000 + 120_000)
        #expect(try sink.waiting() == 0)
    }
}
