import Contracts
import Detectors
import HTTPClient
import JSON
import KafkaClient
import ModelRegistry
import RedisClient
import ServiceKit
import UseCases

/// `benchmarks scorer`: the scoring service, topic to topic, JSON in and out, on an embedded broker in this process; vectors per CPU second
/// of the service's whole process, librdkafka's threads included. The topic is filled first, so the service runs at its own pace.
struct ScorerBenchmark {
    private struct Settings {
        let vectors: Int
        let entities: Int
        let repeats: Int
        let definition: String
        let only: String?
        let json: String?

        init?(_ reader: inout SettingsReader) {
            vectors = reader.integer("--vectors", default: 600_000, in: 1_000...1_000_000, "Feature vectors of one run.")
            entities = reader.integer("--entities", default: 1_000, in: 1...100_000, "Entities.")
            repeats = reader.integer("--repeats", default: 2, in: 1...20, "Runs of each detector; the median is reported.")
            definition = reader.string("--definition", default: "services/scripts/bench/definitions/scoring", "The use case that is run.")
            only = reader.optionalString("--only", "The one row to measure, by its name; without it all.")
            json = reader.optionalString("--json", "File for the results as JSON.")
        }
    }

    private let settings: Settings

    init(_ arguments: [String]) {
        settings = Service.readSettings("benchmarks scorer", "Vectors per CPU second, topic to topic.", arguments: arguments, Settings.init)
    }

    func run() throws {
        let useCase = try UseCase.load(settings.definition, environment: [:])
        var report = StreamReport(unit: "vectors per CPU second")
        for (name, kind, isSeries, goal) in [
            ("isolation-forest", DetectorKind.isolationForest, false, 150_000.0 as Double?), ("ensemble", .ensemble, false, 30_000),
            ("ensemble, entities are series", .ensemble, true, nil), ("half-space-trees", .halfSpaceTrees, false, nil), ("ewma", .ewma, false, nil),
        ] where settings.only == nil || settings.only == name {
            let model = try SensorVectors(isSeries: isSeries).fit(useCase, kind)
            var rates: [Double] = []
            for _ in 0..<settings.repeats { rates.append(try measure(useCase, model, isSeries: isSeries)) }
            report.add(name, rates, goal: goal)
        }
        print(report.table)
        if let path = settings.json { try writeFile(path, report.json) }
    }

    /// Vectors per CPU second of a scoring service that works through a filled topic.
    private func measure(_ useCase: UseCase, _ model: TrainedModel, isSeries: Bool) throws -> Double {
        let topics = Topics(useCase: useCase.name)
        let broker = try EmbeddedBroker(topics: topics.all.map { TopicSpec(name: $0, partitions: useCase.partitions) })
        let redisPort = try freePort()
        let redis = try Child(
            "redis-server", ["redis-server", "--bind", "127.0.0.1", "--port", "\(redisPort)", "--save", ""], log: ".build/bench-redis.log")
        defer { redis.stop() }
        let producer = try KafkaProducer(broker.settings, properties: ["queue.buffering.max.messages": "200000"])
        try SensorVectors(isSeries: isSeries).fill(
            topics.features, useCase, entities: settings.entities, count: settings.vectors, partitions: useCase.partitions, through: producer)
        try producer.close()
        let registry = ModelRegistry(RedisClient(try RedisSettings(url: "redis://127.0.0.1:\(redisPort)")), useCase: useCase.name)
        _ = try registry.publish(model.encoded(), set: useCase.plan.sets[0].name, facts: [:], promote: true, now: Clock.milliseconds)
        let port = try freePort()
        let service = try Child(
            "scoring-service", [".build/release/scoring-service"],
            environment: [
                "VYUHA_USE_CASE": useCase.folder, "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrapServers, "REDIS_URL": "redis://127.0.0.1:\(redisPort)",
                "VYUHA_HOST": "127.0.0.1", "VYUHA_PORT": "\(port)", "VYUHA_LOG_FORMAT": "text",
                "VYUHA_KAFKA_PARTITION_ASSIGNMENT_STRATEGY": "range", "VYUHA_KAFKA_FETCH_WAIT_MAX_MS": "2",
            ], log: ".build/bench-scoring-service.log")
        defer { service.stop() }
        let client = try HTTPClient()
        let deadline = Clock.monotonicSeconds + 300
        while Clock.monotonicSeconds < deadline, service.isRunning {
            // Each look costs the service something.
            Clock.sleep(milliseconds: 200)
            guard let metrics = try? client.send(HTTPRequest(.get, "http://127.0.0.1:\(port)/metrics")).text,
                let line = metrics.split(separator: "\n").first(where: { $0.hasPrefix("vyuha_scores_total") }),
                let done = line.split(separator: " ").last.flatMap({ Int($0) }), done >= settings.vectors
            else { continue }
            return Double(settings.vectors) / service.cpuSeconds
        }
        throw BenchmarkError("scoring-service did not work through \(settings.vectors) vectors in time; see .build/bench-scoring-service.log.")
    }
}
