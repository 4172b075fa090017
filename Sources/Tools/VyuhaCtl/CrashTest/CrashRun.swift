import Contracts
import Glibc
import JSON
import KafkaClient
import RedisClient
import ServiceKit

/// One run of the chain: services, input, disturbances or none, and everything that came of it.
final class CrashRun {
    /// Seconds that the chain has to finish once the input has ended.
    private static let drainLimit = 120.0

    private let facts: RunFacts
    private let redis: RedisClient
    private let say: (String) -> Void
    private let consumer: KafkaConsumer
    private let recorder: Recorder?
    private let fleet: Fleet
    private var watch: GroupWatch
    private var batch = RecordBatch()
    private var kinds: [String: String] = [:]
    private var ends: GroupWatch.Ends = [:]
    private var nextAsk = 0.0
    private let isStopped: () -> Bool

    private(set) var effects: Effects
    private(set) var input = InputTape()
    /// Stored state that a former owner wrote over, a sentence each.
    private(set) var lostState: [String] = []

    /// - Parameter isStopped: whether the user asked for the end.
    init(
        _ facts: RunFacts, kafka: KafkaSettings, redis: RedisClient, fleet: Fleet, record: String?, say: @escaping (String) -> Void,
        isStopped: @escaping () -> Bool
    ) throws {
        self.facts = facts
        self.redis = redis
        self.say = say
        self.fleet = fleet
        self.isStopped = isStopped
        recorder = try record.map { try Recorder(directory: $0) }
        effects = try Effects()
        watch = try GroupWatch(facts, kafka)
        let topics = facts.topics
        kinds = [
            topics.features: "features", topics.scores: "scores", topics.anomalies: "anomalies", topics.alerts: "alerts",
            topics.deadLetter: "dead-letter",
        ]
        consumer = try KafkaConsumer(kafka, group: facts.name + ".crash-test")
        let read = [topics.events] + kinds.keys
        try consumer.assign(
            read.flatMap { topic in (0..<Int32(facts.partitions)).map { PartitionOffset(TopicPartition(topic, $0), PartitionOffset.beginning) } })
        for service in ServicePlan.consumers { try fleet.start(service) }
    }

    /// Lets the producer run while the plan is carried out.
    func disturb(_ plan: DisturbancePlan, producer: ChildCommand, watcher: ProcessGuard) throws -> [Disturber.Recovery] {
        let pid = try ChildProcess.spawn(producer)
        watcher.watch(pid)
        defer { watcher.forget(pid) }
        var ended = false
        defer { if !ended { ChildProcess.signal(pid, SIGKILL) } }
        // Everybody has worked before anybody is disturbed.
        let deadline = Clock.monotonicSeconds + Disturber.recoveryLimit
        while !ServicePlan.consumers.allSatisfy({ (watch.committed[$0] ?? [:]).values.contains { $0 > 0 } }) {
            try turn()
            guard Clock.monotonicSeconds < deadline else { throw CommandError("The services did not begin to work.") }
        }
        var disturber = Disturber(plan, facts, now: Clock.monotonicSeconds)
        while !disturber.isDone {
            try turn()
            try disturber.tick(fleet, redis, watch, ends: ends, now: Clock.monotonicSeconds, say: say)
            if ChildProcess.reap(pid) != nil {
                ended = true
                throw CommandError("The producer ended before the disturbances did.")
            }
        }
        ChildProcess.signal(pid, SIGTERM)
        while ChildProcess.reap(pid) == nil { try turn() }
        ended = true
        lostState = disturber.setBacks
        return disturber.recoveries
    }

    /// Sends the events of another run, so many a second.
    func replay(_ tape: InputTape, rate: Double, kafka: KafkaSettings) throws {
        let producer = try KafkaProducer(kafka)
        var outgoing = OutgoingBatch(topics: [facts.topics.events])
        let start = Clock.monotonicSeconds
        var sent = 0
        while sent < tape.count {
            try turn()
            let due = min(tape.count, Int((Clock.monotonicSeconds - start) * rate))
            guard due > sent else { continue }
            outgoing.removeAll()
            tape.fill(&outgoing, sent..<due)
            try producer.send(outgoing)
            sent = due
        }
        try producer.flush(timeout: 30_000)
        try producer.close()
    }

    /// Waits until everything that was put in has had its effects, ends the services and takes stock.
    /// - Parameter quiet: seconds without a new record after which nothing more is expected.
    func finish(quiet: Double) throws {
        let deadline = Clock.monotonicSeconds + Self.drainLimit
        var quietSince: Double?
        while true {
            let before = ends
            try turn()
            let now = Clock.monotonicSeconds
            let isThrough = ServicePlan.consumers.allSatisfy { watch.isThrough($0, ends) }
            let isQuiet = try before == ends && batch.isEmpty && isThrough && waitingAlerts() == 0
            quietSince = isQuiet ? quietSince ?? now : nil
            if let quietSince, now - quietSince > quiet { break }
            guard now < deadline else {
                let behind = watch.behind(ends).filter { $0.records > 0 }.map { "\($0.service) by \($0.records)" }
                throw CommandError(
                    "The chain had not finished \(Int(Self.drainLimit)) s after the input ended; behind: "
                        + (behind.isEmpty ? "the delivery of alerts" : behind.joined(separator: ", ")) + ".")
            }
        }
        fleet.stop()
        // What a service wrote while it stopped.
        for _ in 0..<20 { try read(timeout: 50) }
        try readRedis()
        close()
    }

    func close() {
        fleet.stop()
        consumer.close()
        watch.close()
        recorder?.close()
    }

    // MARK: The beat

    private func turn() throws {
        if isStopped() { throw CommandError("Stopped.", status: 130) }
        try read(timeout: 20)
        let now = Clock.monotonicSeconds
        try fleet.tick(now: now)
        guard now >= nextAsk else { return }
        watch.ask()
        nextAsk = Clock.monotonicSeconds + 0.2
    }

    private func read(timeout: Int) throws {
        do {
            try consumer.poll(into: &batch, maximum: 2_000, timeout: timeout)
        } catch {
            guard error.isRetryable, !error.isFatal else { throw error }
            return
        }
        for record in batch.records {
            let topic = batch.topics[record.topic]
            ends[TopicPartition(topic, record.partition)] = record.offset + 1
            if let kind = kinds[topic] { effects.note(record, of: batch, kind: kind) } else { input.note(record, of: batch) }
            recorder?.write(record, of: batch, observedAt: Observer.wallClock)
        }
    }

    // MARK: Redis

    private func waitingAlerts() throws -> Int64 {
        var waiting: Int64 = 0
        try KeyScan.each(redis, pattern: facts.keys.alertOutbox(receiver: "*")) { key throws(RedisError) in
            waiting += try redis.command([Array("XLEN".utf8), key]).integer ?? 0
        }
        return waiting
    }

    /// The online values and the alert groups, each hash as one effect.
    private func readRedis() throws {
        for (pattern, isAlert) in [(facts.keys.onlinePattern(set: "*"), false), (facts.keys.alertState(group: "*"), true)] {
            try KeyScan.each(redis, pattern: pattern) { key throws(RedisError) in
                let fields = try redis.command([Array("HGETALL".utf8), key]).fields ?? []
                var content: [UInt8] = []
                for field in fields.sorted(by: { $0.name < $1.name }) {
                    // Of a group of alerts, what says when things were done differs between any two runs.
                    if isAlert, field.name != "s" { continue }
                    content += Array(field.name.utf8) + [0] + (isAlert ? Effects.lasting(field.value) : field.value) + [0]
                }
                // The use cases of two runs differ in their names only.
                let id = Array(key.dropFirst(facts.keys.prefix.utf8.count))
                effects.note(
                    "redis", IdentityHash.of(id, 0..<id.count), IdentityHash.of(content, 0..<content.count),
                    place: String(decoding: id, as: UTF8.self))
            }
        }
    }
}
