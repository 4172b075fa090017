import Contracts
import Detectors
import Glibc
import KafkaClient
import ModelRegistry
import RedisClient
import ServiceKit
import UseCases

/// A use case whose input waits for one service on a broker, under a name of its own.
final class Backlog {
    let service: String
    let useCase: UseCase
    /// What the scoring service scores by; nil for the others.
    let model: TrainedModel?
    private let kafka: KafkaSettings
    private let input: String

    init(_ service: String, _ kafka: KafkaSettings, records: Int, partitions: Int) throws {
        self.service = service
        self.kafka = kafka
        let isProcessor = service == "stream-processor"
        useCase = try Self.variant(of: isProcessor ? "windows" : "scoring", "drain-\(Clock.milliseconds)", partitions: partitions)
        model = service == "scoring-service" ? try SensorVectors().fit(useCase, .isolationForest) : nil
        let topics = Topics(useCase: useCase.name)
        input = isProcessor ? topics.events : topics.features
        try KafkaAdmin(kafka).createTopics(topics.all.map { TopicSpec(name: $0, partitions: partitions) })
        let producer = try KafkaProducer(kafka, properties: ["queue.buffering.max.messages": "200000", "linger.ms": "20"])
        if isProcessor {
            var events = SensorEvents(sensors: 10_000, perSecond: 10_000 / 3)
            try events.fill(topics.events, partitions: partitions, count: records, through: producer)
        } else {
            try SensorVectors().fill(topics.features, useCase, entities: 1_000, count: records, partitions: partitions, through: producer)
        }
        try producer.close()
    }

    /// Lets the service begin anew.
    func rewind() throws {
        try KafkaAdmin(kafka).resetOffsets(group: "\(useCase.name).\(service)", topics: [input])
    }

    func remove() { try? KafkaAdmin(kafka).deleteTopics(Topics(useCase: useCase.name).all) }

    /// A definition of the benchmarks under another name.
    static func variant(of definition: String, _ name: String, partitions: Int) throws -> UseCase {
        let text = readFile("services/scripts/bench/definitions/\(definition)/usecase.yaml")
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            line.hasPrefix("name:") ? "name: \(name)" : line.hasPrefix("partitions:") ? "partitions: \(partitions)" : String(line)
        }
        let folder = ".build/bench-\(definition)"
        mkdir(folder, 0o755)
        try writeFile(folder + "/usecase.yaml", Array(lines.joined(separator: "\n").utf8))
        return try UseCase.load(folder, environment: [:])
    }
}

/// A Redis of a run's own.
final class BenchmarkRedis {
    let url: String
    private let child: Child

    init() throws {
        let port = try freePort()
        url = "redis://127.0.0.1:\(port)"
        child = try Child(
            "redis-server", ["redis-server", "--bind", "127.0.0.1", "--port", "\(port)", "--save", ""], log: ".build/bench-redis.log")
    }

    func registry(_ useCase: UseCase) throws -> ModelRegistry {
        let client = RedisClient(try RedisSettings(url: url))
        try client.connect(within: 10_000, shouldContinue: { true }) { _ in }
        return ModelRegistry(client, useCase: useCase.name)
    }

    func stop() { child.stop() }
}
