import RedisClient
import ServiceKit
import TestSupport
import Testing

@testable import AlertSink

@Suite("The outbox of a receiver")
struct OutboxTests {
    @Test("Entries are read in order, once, and leave when they are finished")
    func order() throws {
        let sink = try Sink()
        try sink.admit(5)
        let outbox = try sink.outbox()
        let entries = try outbox.read(3, wait: 0) + outbox.read(10, wait: 0)
        #expect(entries.count == 5)
        #expect(entries.map(\.id) == entries.map(\.id).sorted())
        #expect(try outbox.read(10, wait: 0).isEmpty)
        #expect(try outbox.state().waiting == 5)
        #expect(try outbox.state().oldest != nil)
        for entry in entries { try outbox.finish(entry.id) }
        #expect(try outbox.state() == (0, nil))
    }

    @Test("A waiting reader wakes when an entry arrives")
    func wakes() throws {
        let sink = try Sink()
        let reader = try sink.outbox()
        #expect(try reader.read(1, wait: 0).isEmpty)
        let settings = try Redis.settings()
        let key = sink.keys.alertOutbox(receiver: "r")
        Threads.start("writer") {
            // The reader has long been waiting by then, or reads it at once: both are right.
            let entry = try? RedisClient(settings).command("XADD", key, "*", "anomaly", "{}")
            #expect(entry != nil)
        }
        let start = ContinuousClock.now
        #expect(try reader.read(1, wait: 5_000).count == 1)
        #expect(ContinuousClock.now - start < .seconds(4))
    }

    @Test("An owner that comes back under its name gets first what it had left")
    func resumes() throws {
        let sink = try Sink()
        try sink.admit(4)
        let left = try sink.outbox("one").read(2, wait: 0)
        let again = try sink.outbox("one")
        #expect(try again.read(10, wait: 0) == left)
        #expect(try again.read(10, wait: 0).count == 2)
    }

    @Test("Another owner takes over only what has been silent for long enough")
    func claims() throws {
        let sink = try Sink()
        try sink.admit(3)
        let left = try sink.outbox("dead").read(10, wait: 0)
        #expect(try sink.outbox("two").claimAbandoned(10).isEmpty)
        let patient = try sink.outbox("two", abandonedAfter: 50)
        var claimed: [OutboxEntry] = []
        #expect(
            try withDeadline(5) {
                claimed += try patient.claimAbandoned(2)
                return claimed.count == 3
            })
        #expect(Set(claimed.map(\.id)) == Set(left.map(\.id)))
    }

    @Test("Renewing tells which entries are still one's own")
    func renews() throws {
        let sink = try Sink()
        try sink.admit(3)
        let (one, two) = (try sink.outbox("one"), try sink.outbox("two", abandonedAfter: 0))
        let ids = try one.read(10, wait: 0).map(\.id)
        #expect(try one.renew(ids) == Set(ids))
        #expect(try two.claimAbandoned(1).map(\.id) == [ids[0]])
        try one.finish(ids[1])
        #expect(try one.renew(ids) == [ids[2]])
        #expect(try one.renew([]).isEmpty)
    }

    @Test("What an owner leaves behind at a graceful stop can be taken at once, and its name is forgotten when nothing is left")
    func leaves() throws {
        let sink = try Sink()
        try sink.admit(2)
        let one = try sink.outbox("one")
        let ids = try one.read(10, wait: 0).map(\.id)
        try one.leave(ids)
        let two = try sink.outbox("two")
        let taken = try two.claimAbandoned(10)
        #expect(taken.map(\.id) == ids)
        for entry in taken { try two.finish(entry.id) }
        try two.leave([])
        let names = try sink.client.command("XINFO", "CONSUMERS", sink.keys.alertOutbox(receiver: "r"), "deliver").array ?? []
        #expect(names.compactMap { $0.array?[1].text } == ["one"])
    }

    @Test("A stream that was deleted is made anew")
    func deleted() throws {
        let sink = try Sink()
        let outbox = try sink.outbox()
        #expect(try outbox.read(1, wait: 0).isEmpty)
        _ = try sink.client.command("DEL", sink.keys.alertOutbox(receiver: "r"))
        try sink.admit(1)
        #expect(try outbox.read(1, wait: 0).count == 1)
    }
}
