import AlertStore
import Alerting
import Contracts
@preconcurrency import Glibc
import JSON
import RedisClient
import ServiceKit
import UseCases

/// `benchmarks alerts`: many anomalies through the stages of the alert sink, with the state in a Redis of its own, as the service does it.
///
/// Each anomaly is read from JSON as it lies on the topic, enriched, decided about, and written back in batches; the timers are looked after
/// once per batch. The clock is that of the anomalies. What is measured is the CPU time of this process; that of Redis is told beside it.
struct AlertsBenchmark {
    private struct Settings {
        let anomalies: Int
        let entities: Int
        let batch: Int

        init?(_ reader: inout SettingsReader) {
            anomalies = reader.integer("--anomalies", default: 10_000_000, in: 10_000...100_000_000, "How many.")
            entities = reader.integer("--entities", default: 10_000, in: 1...1_000_000, "Of how many entities.")
            batch = reader.integer("--batch", default: 1_000, in: 1...10_000, "In one batch.")
        }
    }

    private let settings: Settings

    init(_ arguments: [String]) {
        settings = Service.readSettings("benchmarks alerts", "Anomalies per CPU second through the stages.", arguments: arguments, Settings.init)
    }

    func run() throws {
        let port = try freePort()
        let redis = try Child(
            "redis-server", ["redis-server", "--bind", "127.0.0.1", "--port", "\(port)", "--save", ""], log: ".build/bench-redis.log")
        defer { redis.stop() }
        let client = RedisClient(try RedisSettings(url: "redis://127.0.0.1:\(port)"))
        try client.connect(within: 10_000)
        let keys = RedisKeys(useCase: "bench")
        let store = try AlertStore(client, keys: keys, receivers: ["log"])
        var policy = AlertPolicy()
        // Four hours of stream pass: with its cap, as people would run it.
        policy.groupLimit = settings.entities
        let engine = AlertEngine(policy)
        var source = try AnomalySource(entities: settings.entities, perSecond: Double(settings.anomalies) / 14_400)

        var (done, messages, cpu) = (0, 0, 0.0)
        var memory: [Int] = []
        let begin = Clock.monotonicSeconds
        while done < settings.anomalies {
            let lines = source.next(min(settings.batch, settings.anomalies - done))
            let start = Self.cpuSeconds()
            var sightings = try source.decode(lines)
            let now = sightings.last?.producedAt ?? 0
            for index in sightings.indices { engine.enrich(&sightings[index]) }
            var book = try store.load(for: sightings, by: engine)
            for sighting in sightings { engine.take(sighting, now: now, &book) }
            messages += try commit(&book, store)
            let due = try store.due(now, 256)
            if !due.isEmpty {
                var book = try store.load(groups: due.filter { $0 != Fuse.key })
                for key in due { engine.look(key, now: now, &book) }
                messages += try commit(&book, store)
            }
            cpu += Self.cpuSeconds() - start
            done += lines.count
            // Somebody takes the messages, so that the outbox does not grow.
            if done % (settings.batch * 100) == 0 { _ = try client.command("XTRIM", keys.alertOutbox(receiver: "log"), "MAXLEN", "0") }
            if done * 10 / settings.anomalies > memory.count {
                memory.append(Self.residentKilobytes())
                print("\(done) anomalies, \(memory.last ?? 0) KiB resident, Redis \(try Self.redisMemory(client) / 1_024) KiB")
                fflush(nil)
            }
        }
        let stages = try stagesAlone(engine)
        let perSecond = Double(done) / cpu
        print(
            """
            \(done) anomalies of \(settings.entities) entities, \(messages) messages, \(Int(Clock.monotonicSeconds - begin)) s
            per CPU second of the sink, state in Redis included: \(Int(perSecond)) (goal 100000: \(perSecond >= 100_000 ? "reached" : "missed"))
            per CPU second of the stages alone, state in memory:  \(Int(stages))
            CPU seconds: sink \(Int(cpu)), Redis \(Int(redis.cpuSeconds))
            """)
    }

    private func commit(_ book: inout AlertBook, _ store: AlertStore) throws -> Int {
        let alerts = book.notices.map { OutgoingAlert(record: $0.group.evidence, notice: $0, receivers: [0]) }
        guard try store.commit(&book, alerts) else { throw BenchmarkError("Somebody else wrote into the benchmark's Redis.") }
        return alerts.count
    }

    /// The same anomalies without Redis and JSON.
    private func stagesAlone(_ engine: AlertEngine) throws -> Double {
        var source = try AnomalySource(entities: settings.entities, perSecond: Double(settings.anomalies) / 14_400)
        var book = AlertBook()
        var (done, cpu) = (0, 0.0)
        while done < min(settings.anomalies, 1_000_000) {
            var sightings = try source.decode(source.next(settings.batch))
            let start = Self.cpuSeconds()
            for index in sightings.indices {
                engine.enrich(&sightings[index])
                engine.take(sightings[index], now: sightings[index].producedAt, &book)
            }
            book.settle()
            cpu += Self.cpuSeconds() - start
            done += sightings.count
        }
        return Double(done) / cpu
    }

    // MARK: Measures

    private static func cpuSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// From /proc/self/statm, in pages of 4 KiB.
    private static func residentKilobytes() -> Int {
        guard let file = fopen("/proc/self/statm", "r") else { return 0 }
        defer { fclose(file) }
        var buffer = [CChar](repeating: 0, count: 128)
        guard fgets(&buffer, 128, file) != nil else { return 0 }
        let fields = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self).split(separator: " ")
        return fields.count > 1 ? (Int(fields[1]) ?? 0) * 4 : 0
    }

    private static func redisMemory(_ client: RedisClient) throws -> Int {
        let info = try client.command("INFO", "memory").text ?? ""
        let line = info.split(whereSeparator: \.isNewline).first { $0.hasPrefix("used_memory:") }
        return line.flatMap { Int($0.dropFirst("used_memory:".count)) } ?? 0
    }
}
