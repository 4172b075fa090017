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
            let model = try fit(useCase, kind, isSeries: isSeries)
            var rates: [Double] = []
            for _ in 0..<settings.repeats { rates.append(try measure(useCase, model, isSeries: isSeries)) }
            report.add(name, rates, goal: goal)
        }
        print(report.table)
        if let path = settings.json { try writeFile(path, report.json) }
    }

    /// Values of an entity, one after the other: on their own, or wandering around where they were.
    private struct Source {
        private var rows = Rows(seed: 11)
        private var last: [Int: [Double]] = [:]
        let isSeries: Bool

        init(isSeries: Bool) { self.isSeries = isSeries }

        mutating func next(_ entity: Int) -> [Double] {
            let fresh = rows.next()
            guard isSeries else { return fresh }
            let before = last[entity] ?? fresh
            let value = zip(before, fresh).map { 0.9 * $0 + 0.1 * $1 }
            last[entity] = value
            return value
        }
    }

    private func fit(_ useCase: UseCase, _ kind: DetectorKind, isSeries: Bool) throws -> TrainedModel {
        var source = Source(isSeries: isSeries)
        let (count, entities) = (10_000, 50)
        var table = FeatureMatrix(columns: Rows.columns, reservingRows: count)
        for row in 0..<count { table.append(source.next(row % entities)) }
        let order = RowOrder(times: (0..<count).map { Int64($0) * 100 }, entities: (0..<count).map { Int32($0 % entities) })
        let plan = try TrainingPlan(detector: kind, featureNames: useCase.plan.sets[0].features, threshold: .contamination(0.001), createdAt: 0)
        return try TrainedModel.fit(table, order: order, plan: plan)
    }

    private func fill(_ topics: Topics, _ useCase: UseCase, _ broker: EmbeddedBroker, isSeries: Bool) throws {
        let producer = try KafkaProducer(
            KafkaSettings(bootstrapServers: broker.bootstrapServers), properties: ["queue.buffering.max.messages": "200000"])
        var batch = OutgoingBatch(topics: [topics.features])
        var json = JSONWriter(capacity: 512)
        let set = useCase.plan.sets[0]
        let writer = FeatureRecordWriter(set: set.name, kind: "event", features: set.features)
        let names = (0..<settings.entities).map { Array("sensor-\($0)".utf8) }
        var source = Source(isSeries: isSeries)
        for index in 0..<settings.vectors {
            let entity = index &* 7919 % settings.entities
            let values = source.next(entity).map { ($0 * 1000).rounded() / 1000 }
            json.removeAll()
            Array("events.csv:\(index)".utf8).withUnsafeBytes { id in
                names[entity].withUnsafeBytes { name in
                    let head = FeatureRecordWriter.Head(
                        id: id, entity: name, eventTime: 1_700_000_000_000 + Int64(index), window: nil,
                        producedAt: Clock.milliseconds, offset: Int64(index), sequence: 0)
                    values.withUnsafeBufferPointer { writer.write(head, values: $0, into: &json) }
                }
            }
            batch.append(topic: 0, partition: Int32(entity % useCase.partitions), key: names[entity], value: json.bytes)
            if batch.count == 1_000 || index == settings.vectors - 1 {
                try producer.send(batch)
                batch.removeAll()
            }
        }
        try producer.flush(timeout: 60_000)
        try producer.close()
    }

    /// Vectors per CPU second of a scoring service that works through a filled topic.
    private func measure(_ useCase: UseCase, _ model: TrainedModel, isSeries: Bool) throws -> Double {
        let topics = Topics(useCase: useCase.name)
        let broker = try EmbeddedBroker(topics: topics.all.map { TopicSpec(name: $0, partitions: useCase.partitions) })
        let redisPort = try freePort()
        let redis = try Child(
            "redis-server", ["redis-server", "--bind", "127.0.0.1", "--port", "\(redisPort)", "--save", ""], log: ".build/bench-redis.log")
        defer { redis.stop() }
        try fill(topics, useCase, broker, isSeries: isSeries)
        let registry = ModelRegistry(RedisClient(try RedisSettings(url: "redis://127.0.0.1:\(redisPort)")), useCase: useCase.name)
        _ = try registry.publish(model.encoded(), set: useCase.plan.sets[0].name, facts: [:], promote: true, now: Clock.milliseconds)
        let port = try freePort()
        let service = try Child(
            "scoring-service", [".build/release/scoring-service"],
            environment: [
                "VYUHA_USE_CASE": useCase.folder, "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrapServers, "REDIS_URL": "redis://127.0.0.1:\(redisPort)",
                "VYUHA_HOST": "127.0.0.1", "VYUHA_PORT": "\(port)", "VYUHA_LOG_FORMAT": "text",
                "VYUHA_KAFKA_PARTITION_ASSIGNMENT_STRATEGY": "range",
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
