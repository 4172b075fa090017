import AlertStore
import Alerting
import Contracts
import RedisClient
import ServiceKit
import TestSupport
import Testing

@testable import AlertSink

/// The stages with the store around them: restarts, replicas, leases. The clock is injected.
@Suite("Deciding, with the state in Redis")
struct DecisionsTests {
    /// 10 s, 60 s, 10 min, 2 min.
    private static func policy(_ change: (inout AlertPolicy) -> Void = { _ in }) -> AlertPolicy {
        var policy = AlertPolicy()
        policy.groupWait = 10_000
        policy.groupInterval = 60_000
        policy.repeatInterval = 600_000
        policy.resolveAfter = 120_000
        policy.cooldown = 30_000
        policy.severity = [SeverityRule(.critical, score: 0.99)]
        change(&policy)
        return policy
    }

    private static let start: Int64 = 1_763_683_200_000

    /// A stream of bursts over ten groups and four partitions, with ends; one a second.
    private static func stream(_ count: Int, seed: UInt64) -> [Sighting] {
        var state = seed
        func random(_ bound: UInt64) -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state >> 33) % bound
        }
        return (0..<count).map { number in
            let entity = random(10)
            return sighting(
                "e:\(number)", group: "g\(entity)", at: start + Int64(number) * 1_000, offset: Int64(number), partition: Int32(entity % 4),
                score: 0.9 + Double(random(100)) / 1_000, isCleared: random(5) == 0)
        }
    }

    @Test(
        "With restarts in the middle, two sinks and records that come twice, people are told what one sink that never rests would tell",
        arguments: [1, 2, 3] as [UInt64])
    func sameAsInMemory(_ seed: UInt64) throws {
        let (policy, sightings) = (Self.policy { $0.groupBy = seed == 3 ? [.set] : [.entity] }, Self.stream(900, seed: seed))
        var timeline = AlertTimeline(AlertEngine(policy), now: Self.start)
        let sink = try Sink()
        var sinks = [try sink.decisions(policy), try sink.decisions(policy)]
        var done = 0
        for (index, sighting) in sightings.enumerated() {
            timeline.advance(to: sighting.producedAt)
            timeline.take(sighting)
            // Timers of the stored groups, one by one in time, as a sink that is awake would see them.
            let keeper = sinks[index % 2]
            let token = "life-\(index % 2)"
            if try keeper.store.lease(token, for: 60_000) {
                while let due = try keeper.store.due(sighting.producedAt, 1).first {
                    let at = try #require(try keeper.store.load(groups: [due]).groups[due]?.dueAt)
                    _ = try keeper.lookAfterTimers(now: at, lease: token)
                }
                try keeper.store.release(token)
            }
            // Some records come again, as after a crash of the scorer or of the sink.
            let again = index % 7 == 0 ? max(0, index - 5)...index : index...index
            _ = try sinks[index % 2].decide(Array(sightings[again]), now: sighting.producedAt)
            done += 1
            if index % 100 == 99 { sinks[index / 100 % 2] = try sink.decisions(policy) }
        }
        let told = try sink.history().map { "\($0.alertedAt) \($0.id) \($0.event) \($0.anomalies) \($0.severity)" }
        let wanted = timeline.takeNotices().map { "\($0.at) \($0.id) \($0.occasion.rawValue) \($0.group.anomalies) \($0.group.severity.name)" }
        #expect(told.sorted().elementsEqual(wanted.sorted()), "\(Set(told).symmetricDifference(wanted).sorted().joined(separator: "\n"))")
        #expect(wanted.count > 10)
        #expect(try sink.waiting() == wanted.count)
    }

    @Test("Two sinks that decide at the same time about one group count every anomaly once")
    func twoReplicas() throws {
        let sink = try Sink()
        let policy = Self.policy {
            $0.groupBy = []
            $0.groupWait = 0
        }
        let turn = Turn()
        let (keys, count) = (sink.keys, 200)
        for replica in 0..<2 {
            turn.began()
            Threads.start("replica") {
                defer { turn.ended() }
                do {
                    let decisions = try Sink.decisions(keys, policy)
                    for number in 0..<count {
                        let one = sighting(
                            "\(replica)-\(number)", group: "g\(number)", at: Self.start, offset: Int64(number), partition: Int32(replica))
                        _ = try decisions.decide([one], now: Self.start + Int64(number))
                    }
                } catch { turn.failed(error) }
            }
        }
        #expect(withDeadline(60) { !turn.isAnyoneRunning })
        try turn.throwFailure()
        let group = try #require(try AlertStore(sink.client, keys: sink.keys).load(groups: ["*"]).groups["*"])
        #expect(group.anomalies == 400)
        #expect(try sink.history().filter { $0.event == "opened" }.count == 1)
    }

    @Test("A sink whose lease has expired writes nothing any more; the next one goes on")
    func lease() throws {
        let sink = try Sink()
        let (frozen, other) = (try sink.decisions(Self.policy()), try sink.decisions(Self.policy()))
        #expect(try frozen.store.lease("frozen", for: 30))
        #expect(try !other.store.lease("other", for: 60_000))
        _ = try frozen.decide([sighting("e:1", at: Self.start, offset: 1)], now: Self.start)
        // It sleeps until its lease is over.
        #expect(try withDeadline(5) { try other.store.lease("other", for: 60_000) })
        let due = Self.start + 10_000
        #expect(try frozen.lookAfterTimers(now: due, lease: "frozen") == Decisions.Outcome())
        #expect(try sink.waiting() == 0)
        #expect(try other.lookAfterTimers(now: due, lease: "other").told == [.opened: 1])
        #expect(try frozen.lookAfterTimers(now: due, lease: "frozen") == Decisions.Outcome())
        #expect(try sink.waiting() == 1)
    }

    @Test("A full outbox stops the deciding with an error that may pass; nothing is dropped or doubled")
    func backpressure() throws {
        let sink = try Sink()
        let decisions = try sink.decisions(Self.policy { $0.groupWait = 0 }, limit: 10)
        func decide(_ number: Int) throws {
            _ = try decisions.decide(
                [sighting("e:\(number)", group: "g\(number)", at: Self.start, offset: Int64(number))], now: Self.start + Int64(number))
        }
        for number in 0..<10 { try decide(number) }
        let error = #expect(throws: RedisError.self) { try decide(10) }
        #expect(error?.isRetryable == true)
        #expect(try sink.waiting() == 10)
        let outbox = try sink.outbox()
        for entry in try outbox.read(10, wait: 0) { try outbox.finish(entry.id) }
        try decide(10)
        try decide(10)
        #expect(try sink.waiting() == 1)
        #expect(try sink.history().count == 11)
    }

    @Test("A silence is noticed, and the cap and inhibitions last over a restart")
    func silencesCapInhibitions() throws {
        let sink = try Sink()
        let policy = Self.policy {
            $0.groupWait = 0
            $0.capPerHour = 2
            $0.inhibitions = [
                .init(source: AlertMatcher([(label: .entity, pattern: "g0")]), target: AlertMatcher([(label: .entity, pattern: "g9")]), equal: [.set])
            ]
        }
        func decide(_ number: Int64, _ group: String) throws -> Decisions.Outcome {
            try sink.decisions(policy).decide([sighting("e:\(number)", group: group, at: Self.start, offset: number)], now: Self.start + number)
        }
        let store = try AlertStore(sink.client, keys: sink.keys)
        let silence = Silence(
            id: "s", matcher: AlertMatcher([(label: .entity, pattern: "quiet*")]), from: Self.start, until: Self.start + 60_000, by: "me", comment: ""
        )
        #expect(try store.add(silence, now: Self.start))
        #expect(try decide(1, "quiet-1").silenced == 1)
        #expect(try decide(2, "g0").told == [.opened: 1])
        #expect(try decide(3, "g9").inhibited == 1)
        #expect(try decide(4, "g2").told == [.opened: 1])
        #expect(try decide(5, "g3").told == [.capped: 1])
        #expect(try decide(6, "g4").told == [:])
        #expect(try store.removeSilence("s"))
        let keeper = try sink.decisions(policy)
        #expect(try keeper.store.lease("me", for: 60_000))
        // Everything else is over by then.
        let outcome = try keeper.lookAfterTimers(now: Self.start + 3_600_000, lease: "me")
        #expect(outcome.told[.heldBack] == 1)
        #expect(try sink.history().filter { $0.event == "held_back" }.map(\.suppressed) == [2])
    }

    @Test("A quiet group is forgotten in time, and so is a timer without a group")
    func forgets() throws {
        let sink = try Sink()
        let decisions = try sink.decisions(Self.policy())
        _ = try decisions.decide([sighting("e:1", at: Self.start, offset: 1)], now: Self.start)
        let left = try #require(try sink.client.command("PTTL", sink.keys.alertState(group: "a")).integer)
        #expect((3_500_000...3_600_000).contains(left))
        _ = try sink.client.command("DEL", sink.keys.alertState(group: "a"))
        #expect(try decisions.store.lease("me", for: 60_000))
        _ = try decisions.lookAfterTimers(now: Self.start + 100_000, lease: "me")
        #expect(try sink.client.command("ZCARD", sink.keys.alertTimers).integer == 0)
    }
}
