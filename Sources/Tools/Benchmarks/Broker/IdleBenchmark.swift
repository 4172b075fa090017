import Contracts
import HTTPClient
import KafkaClient
import ServiceKit
import UseCases
import Streaming

/// `benchmarks idle`: what the services cost while no records come, with the suite's own settings, on the embedded broker or on
/// KAFKA_BOOTSTRAP_SERVERS. The broker must hold the answer to a fetch for as long as the client allows, as Kafka does; noida-db answers at once.
struct IdleBenchmark {
    private struct Settings {
        let kafka: KafkaSettings?
        let partitions: Int
        let seconds: Int

        init?(_ reader: inout SettingsReader) {
            kafka = CommonSettings.optionalKafka(&reader, "Without it, the embedded broker, with the settings for a real one.")
            partitions = reader.integer("--partitions", default: 4, in: 1...1_000, "Partitions of each topic.")
            seconds = reader.integer("--seconds", default: 20, in: 1...3_600, "How long they are watched.")
        }
    }

    private static let services = ["stream-processor", "feature-writer", "scoring-service", "alert-sink"]
    /// Percent of a core.
    private static let goal = 0.5

    private let settings: Settings

    init(_ arguments: [String]) {
        settings = Service.readSettings("benchmarks idle", "Cost of services without work.", arguments: arguments, Settings.init)
    }

    func run() throws {
        let useCase = try Backlog.variant(of: "scoring", "idle-\(Clock.milliseconds)", partitions: settings.partitions)
        let topics = Topics(useCase: useCase.name).all
        let specs = topics.map { TopicSpec(name: $0, partitions: settings.partitions) }
        let broker = settings.kafka == nil ? try EmbeddedBroker(topics: specs) : nil
        defer { broker?.close() }
        let servers = settings.kafka?.bootstrapServers ?? broker?.bootstrapServers ?? ""
        let admin = try settings.kafka.map { try KafkaAdmin($0) }
        try admin?.createTopics(specs)
        defer { try? admin?.deleteTopics(topics) }
        let redis = try BenchmarkRedis()
        defer { redis.stop() }
        let model = try SensorVectors().fit(useCase, .isolationForest)
        _ = try redis.registry(useCase).publish(
            model.encoded(), set: useCase.plan.sets[0].name, facts: [:], promote: true, now: Clock.milliseconds)
        var children: [Child] = []
        defer { for child in children { child.stop() } }
        let client = try HTTPClient()
        for name in Self.services {
            let port = try freePort()
            let log = ".build/bench-\(name).log"
            let child = try Child(
                name, [".build/release/\(name)"],
                environment: [
                    "VYUHA_USE_CASE": useCase.folder, "KAFKA_BOOTSTRAP_SERVERS": servers, "REDIS_URL": redis.url,
                    "VYUHA_HOST": "127.0.0.1", "VYUHA_PORT": "\(port)", "VYUHA_LOG_FORMAT": "text",
                ], log: log)
            children.append(child)
            let deadline = Clock.monotonicSeconds + 60
            while (try? client.send(HTTPRequest(.get, "http://127.0.0.1:\(port)/ready")).status) != 200 {
                guard Clock.monotonicSeconds < deadline, child.isRunning else { throw BenchmarkError("\(name) did not become ready; see \(log).") }
                Clock.sleep(milliseconds: 50)
            }
        }
        // What a start leaves behind is over by then.
        Clock.sleep(milliseconds: 2_000)
        let before = children.map(\.cpuSeconds)
        let start = Clock.monotonicSeconds
        Clock.sleep(until: start + Double(settings.seconds))
        let elapsed = Clock.monotonicSeconds - start
        for (child, before) in zip(children, before) {
            let percent = ((child.cpuSeconds - before) / elapsed * 10_000).rounded() / 100
            print("idle \(child.name): \(percent) % of a core (goal < \(Self.goal) %)\(percent < Self.goal ? "" : "  MISSED")")
        }
    }
}
