import Contracts
import Foundation
import JSON
import KafkaClient
import RedisClient
import ServiceKit
import Simulation
import Synchronization
import TestSupport
import Testing
import UseCases
import Streaming

@testable import Producer
@testable import ServiceKit

/// Whole runs against librdkafka's mock cluster and a real redis-server.
@Suite("Producer pipeline")
struct PipelineTests {
    private let service = Service(
        name: "producer", log: Logger(service: "producer", level: .error, format: .text), metrics: Metrics(), life: Lifecycle())

    private func settings(
        _ useCase: String, _ broker: EmbeddedBroker, redis: RedisServer?, source: SourceChoice? = nil, limit: Int64? = nil
    ) throws -> ProducerSettings {
        var environment = ["KAFKA_BOOTSTRAP_SERVERS": broker.bootstrapServers, "VYUHA_KAFKA_FETCH_WAIT_MAX_MS": "2"]
        environment["REDIS_URL"] = redis?.url
        var reader = SettingsReader(arguments: [], environment: environment)
        let stream = try #require(StreamSettings(&reader, useCaseName: useCase, defaultPort: 0))
        return ProducerSettings(
            stream: stream, useCase: useCase, schema: try Sample.battlefield(), source: source ?? .simulator(Sample.simulator),
            limit: limit,
            keepsPosition: redis != nil)
    }

    /// The ids that a simulation of that many events has, with the kind of each poisoned one.
    private func truth(_ count: Int) throws -> (ids: [String], kinds: [String: String]) {
        var simulator = try Simulators.make(Sample.simulator)
        var event = SimulatedEvent()
        var ids: [String] = []
        var kinds: [String: String] = [:]
        for _ in 0..<count {
            simulator.next(into: &event)
            let id = "battlefield:7:\(event.entity + 1):\(event.sequence)"
            ids.append(id)
            if event.anomaly > 0 { kinds[id] = simulator.anomalyKinds[event.anomaly - 1] }
        }
        return (ids, kinds)
    }

    @Test("A source whose position is gone from Redis is known by its events at the topic's end")
    func positionGone() throws {
        let broker = try makeBroker("battlefield")
        let redis = try RedisServer(appendOnly: false)
        let kafka = broker.settings
        func knows(_ source: String) throws -> Bool {
            try DeliveredTail.hasRecords(of: source, on: "battlefield.events", kafka: kafka, group: "battlefield.producer", service: service)
        }
        #expect(try !knows("battlefield:7"))
        try ProducerPipeline(settings("battlefield", broker, redis: redis, limit: 500), service).run()
        #expect(try RedisClient(RedisSettings(url: redis.url)).command("DEL", "vyuha:battlefield:producer:battlefield:7") == .integer(1))
        #expect(try knows("battlefield:7"))
        #expect(try !knows("battlefield:70"))
        #expect(try !knows("trips.csv"))
    }

    @Test("Every event arrives once with id and key, and the truth goes to its own topic only")
    func run() throws {
        let broker = try makeBroker("battlefield")
        let redis = try RedisServer(appendOnly: false)
        try ProducerPipeline(settings("battlefield", broker, redis: redis, limit: 2_000), service).run()

        let (ids, kinds) = try truth(2_000)
        let seen = try everything(on: ["battlefield.events", "battlefield.labels"], of: broker)
        let events = seen.filter { $0.topic == "battlefield.events" }
        #expect(events.map(\.id).sorted() == ids.sorted())
        for event in events {
            let json = try JSONValue.parse(event.value)
            #expect(json.object?.map(\.name) == ["soldier_id", "heart_rate", "stamina", "timestamp"])
            #expect(json["soldier_id"]?.integer.map(String.init) == event.key)
        }
        let labels = seen.filter { $0.topic == "battlefield.labels" }
        #expect(Dictionary(uniqueKeysWithValues: try labels.map { ($0.id, try JSONValue.parse($0.value)["kind"]?.string ?? "") }) == kinds)
        #expect(try labels.allSatisfy { try JSONValue.parse($0.value)["id"]?.string == $0.id })
    }

    @Test("A second run goes on where the first stopped")
    func goesOn() throws {
        let broker = try makeBroker("battlefield")
        let redis = try RedisServer(appendOnly: false)
        try ProducerPipeline(settings("battlefield", broker, redis: redis, limit: 700), service).run()
        try ProducerPipeline(settings("battlefield", broker, redis: redis, limit: 1_500), service).run()
        let events = try everything(on: ["battlefield.events"], of: broker)
        #expect(events.map(\.id).sorted() == (try truth(1_500).ids).sorted())
    }

    @Test("After a crash nothing is missing and nothing is there twice, however old the stored position is", arguments: [0, 1, 350, 999])
    func crash(stored: Int64) throws {
        let broker = try makeBroker("battlefield")
        let redis = try RedisServer(appendOnly: false)
        try ProducerPipeline(settings("battlefield", broker, redis: redis, limit: 1_000), service).run()
        // What a SIGKILL leaves: all of it delivered, the position behind only a part of it stored.
        let client = RedisClient(try RedisSettings(url: redis.url))
        let position = SourcePosition(events: stored, start: Sample.simulator.start)
        try PositionStore(redis: client, useCase: "battlefield", source: "battlefield:7").store(position)

        try ProducerPipeline(settings("battlefield", broker, redis: redis, limit: 3_000), service).run()
        let seen = try everything(on: ["battlefield.events", "battlefield.labels"], of: broker)
        let (ids, kinds) = try truth(3_000)
        #expect(seen.filter { $0.topic == "battlefield.events" }.map(\.id).sorted() == ids.sorted())
        #expect(seen.filter { $0.topic == "battlefield.labels" }.map(\.id).sorted() == kinds.keys.sorted())
    }

    @Test("Without Redis nothing is kept and the run still works")
    func noRedis() throws {
        let broker = try makeBroker("battlefield")
        try ProducerPipeline(settings("battlefield", broker, redis: nil, limit: 300), service).run()
        #expect(try everything(on: ["battlefield.events"], of: broker).count == 300)
    }

    @Test("A row that cannot be mapped is a dead letter as it is, and counts under no event")
    func deadLetter() throws {
        let folder = try Folder()
        let path = try folder.write(Sample.trips, as: "trips.csv")
        let broker = try makeBroker("trips")
        var settings = try settings("trips", broker, redis: nil, source: .file(path: path, format: Sample.truth, isOwn: true))
        settings.schema = try Sample.schema()
        try ProducerPipeline(settings, service).run()

        let seen = try everything(on: ["trips.events", "trips.labels", "trips.dead-letter"], of: broker)
        #expect(seen.filter { $0.topic == "trips.events" }.map(\.id).sorted() == ["trips.csv:2", "trips.csv:3", "trips.csv:5"])
        #expect(seen.filter { $0.topic == "trips.labels" }.map(\.id).sorted() == ["trips.csv:3", "trips.csv:5"])
        let letters = seen.filter { $0.topic == "trips.dead-letter" }
        #expect(letters.map(\.value) == ["2019-01-01T00:00:10Z,5"])
        let headers = try #require(letters.first?.headers)
        #expect(headers["id"] == "trips.csv:4")
        #expect(headers["reason"] == "column-count")
        #expect(headers["service"] == "producer")
        #expect(headers["source-topic"] == "trips.csv")
        #expect(headers["source-offset"] == "4")
        #expect(headers["detail"]?.isEmpty == false)
        #expect(headers["stage"] == "source" && headers["version"] == "1" && headers["source-partition"] == nil)
    }

    @Test("A run at a rate keeps it within one percent")
    func rate() throws {
        let broker = try makeBroker("battlefield")
        var settings = try settings("battlefield", broker, redis: nil, limit: 2_001)
        settings.pace = .rate(2_000)
        let began = Clock.monotonicSeconds
        try ProducerPipeline(settings, service).run()
        let elapsed = Clock.monotonicSeconds - began
        // 2,000 intervals take one second; connecting and flushing come on top.
        #expect(elapsed > 0.99)
        #expect(elapsed < 3)
    }

    @Test("A stop delivers what was taken, keeps the position and returns")
    func stop() throws {
        let broker = try makeBroker("battlefield")
        let redis = try RedisServer(appendOnly: false)
        var settings = try settings("battlefield", broker, redis: redis)
        settings.pace = .rate(1_000)
        let life = service.life
        let events = service.metrics.counter("vyuha_events_produced_total", "")
        Threads.start("stopper") {
            _ = withDeadline(20) { events.value >= 200 }
            life.stop()
        }
        try ProducerPipeline(settings, service).run()
        let client = RedisClient(try RedisSettings(url: redis.url))
        let stored = try #require(try PositionStore(redis: client, useCase: "battlefield", source: "battlefield:7").load())
        let seen = try everything(on: ["battlefield.events"], of: broker)
        #expect(stored.events >= 200)
        #expect(seen.map(\.id).sorted() == (try truth(Int(stored.events)).ids).sorted())
    }

    @Test("Topics that are not there yet are waited for")
    func lateTopics() throws {
        let broker = try EmbeddedBroker()
        let life = service.life
        Threads.start("creator") {
            _ = withDeadline(20) { life.obstacle?.contains("battlefield.events") == true }
            for name in ["events", "labels", "dead-letter"] {
                try? broker.createTopic(TopicSpec(name: "battlefield." + name, partitions: 2))
            }
        }
        try ProducerPipeline(settings("battlefield", broker, redis: nil, limit: 100), service).run()
        #expect(try everything(on: ["battlefield.events"], of: broker).count == 100)
    }

    @Test("Redis that goes away and comes back costs no event and no position")
    func redisAway() throws {
        let broker = try makeBroker("battlefield")
        let redis = try RedisServer()
        var settings = try settings("battlefield", broker, redis: redis, limit: 3_000)
        settings.pace = .rate(2_000)
        let events = service.metrics.counter("vyuha_events_produced_total", "")
        Threads.start("breaker") {
            _ = withDeadline(20) { events.value >= 500 }
            redis.kill()
            _ = withDeadline(20) { events.value >= 1_500 }
            try? redis.restart()
        }
        try ProducerPipeline(settings, service).run()
        let client = RedisClient(try RedisSettings(url: redis.url))
        let stored = try PositionStore(redis: client, useCase: "battlefield", source: "battlefield:7").load()
        #expect(stored?.events == 3_000)
        #expect(try everything(on: ["battlefield.events"], of: broker).map(\.id).sorted() == (try truth(3_000).ids).sorted())
    }

    @Test(
        "records that the broker refuses for good are dead letters, once each; all others are events, and the position is behind all",
        arguments: [1, 3])
    func refusedByTheBroker(requests: Int) throws {
        let broker = try makeBroker("battlefield", partitions: 1)
        let redis = try RedisServer(appendOnly: false)
        broker.refuseAsTooLarge(requests: requests)
        var settings = try settings("battlefield", broker, redis: redis, limit: 2_000)
        settings.pace = .rate(4_000)
        try ProducerPipeline(settings, service).run()
        let seen = try everything(on: ["battlefield.events", "battlefield.labels", "battlefield.dead-letter"], of: broker)
        let letters = seen.filter { $0.topic == "battlefield.dead-letter" }
        #expect(!letters.isEmpty)
        #expect(letters.allSatisfy { $0.headers["reason"] == "too-large" && $0.headers["service"] == "producer" && !$0.value.isEmpty })
        let (ids, kinds) = try truth(2_000)
        let told = seen.filter { $0.topic != "battlefield.labels" }.map(\.id)
        #expect(Set(told) == Set(ids), "an event or a dead letter of each row")
        // A label that was refused is a letter beside its event's.
        #expect(seen.count == 2_000 + kinds.count)
        let client = RedisClient(try RedisSettings(url: redis.url))
        #expect(try PositionStore(redis: client, useCase: "battlefield", source: "battlefield:7").load()?.events == 2_000)
        // A later run has nothing to send again.
        try ProducerPipeline(settings, service).run()
        #expect(try everything(on: ["battlefield.events"], of: broker).count == seen.count { $0.topic == "battlefield.events" })
    }

    @Test("a row whose event would be larger than a topic takes is a dead letter as it is")
    func hugeRow() throws {
        let folder = try Folder()
        // A control character is six bytes in JSON, so the row is read and its event is too large.
        let note = String(repeating: "\u{1}", count: 200_000)
        let path = try folder.write(
            "at,zone,fare,note,label,ignore,kind\n2019-01-01T00:00:00Z,1,2,\(note),0,0,\n2019-01-01T00:00:01Z,1,3,,0,0,\n", as: "trips.csv")
        let broker = try makeBroker("trips")
        var settings = try settings("trips", broker, redis: nil, source: .file(path: path, format: Sample.truth, isOwn: true))
        settings.schema = try Sample.schema()
        try ProducerPipeline(settings, service).run()
        let seen = try everything(on: ["trips.events", "trips.dead-letter"], of: broker)
        #expect(seen.filter { $0.topic == "trips.events" }.map(\.id) == ["trips.csv:3"])
        let letters = seen.filter { $0.topic == "trips.dead-letter" }
        #expect(letters.map(\.id) == ["trips.csv:2"])
        #expect(letters.first?.headers["reason"] == "too-large")
        #expect(letters.first?.value.utf8.count ?? 0 > 200_000)
    }

    @Test("a Redis that is full is waited for, at the start and in the middle; it is named, and nothing is lost when it has memory again")
    func redisFull() throws {
        let broker = try makeBroker("battlefield")
        let redis = try RedisServer(appendOnly: false, options: ["--maxmemory-policy", "noeviction", "--maxmemory", "1"])
        let address = try RedisSettings(url: redis.url)
        var settings = try settings("battlefield", broker, redis: redis, limit: 30_000)
        settings.pace = .rate(20_000)
        let life = service.life
        let events = service.metrics.counter("vyuha_events_produced_total", "")
        let saw = Mutex((start: false, middle: false, waitsAt: 0))
        Threads.start("operator") {
            let client = RedisClient(address)
            func isFull() -> Bool { life.trouble?.contains("Redis is full") == true && life.trouble?.contains("maxmemory") == true }
            let start = withDeadline(20) { isFull() } && events.value == 0
            _ = try? client.command("CONFIG", "SET", "maxmemory", "0")
            _ = withDeadline(20) { events.value >= 5_000 }
            _ = try? client.command("CONFIG", "SET", "maxmemory", "1")
            let middle = withDeadline(20) { isFull() }
            // The source stops at its window.
            _ = withDeadline(20) {
                let before = events.value
                usleep(300_000)
                return events.value == before
            }
            let reached = events.value
            saw.withLock { $0 = (start, middle, reached) }
            _ = try? client.command("CONFIG", "SET", "maxmemory", "0")
        }
        try ProducerPipeline(settings, service).run()
        let (start, middle, waitsAt) = saw.withLock { $0 }
        #expect(start, "it says so at the start")
        #expect(middle, "it says so in the middle")
        #expect((5_000..<30_000).contains(waitsAt), "it waits")
        #expect(life.trouble == nil)
        #expect(try PositionStore(redis: RedisClient(address), useCase: "battlefield", source: "battlefield:7").load()?.events == 30_000)
        #expect(try everything(on: ["battlefield.events"], of: broker).map(\.id).sorted() == (try truth(30_000).ids).sorted())
    }
}
