import Contracts
import HTTPClient
import KafkaClient
import ServiceKit
import UseCases

/// `benchmarks stream`: one service, topic to topic, JSON in and out, on the embedded broker; events per CPU second of the whole process,
/// librdkafka's threads included. The topic is filled first, so the service runs at its own pace.
///
/// The broker keeps about 5 MB of a partition, so a run has at most as many events as fit.
struct StreamBenchmark {
    private struct Settings {
        let events: Int
        let sensors: Int
        let repeats: Int
        let definitions: String
        let json: String?
        let only: String

        var definitionsToRun: [String] { only == "all" ? ["windows", "expressions"] : [only] }
        var isLibrary: Bool { only == "all" || only == "library" }

        init?(_ reader: inout SettingsReader) {
            events = reader.integer("--events", default: 1_000_000, in: 1_000...1_500_000, "Events of one run.")
            sensors = reader.integer("--sensors", default: 10_000, in: 1...100_000, "Entities.")
            repeats = reader.integer("--repeats", default: 3, in: 1...20, "Runs of each definition; the median is reported.")
            definitions = reader.string("--definitions", default: "services/scripts/bench/definitions", "Folder of the use cases that are run.")
            only = reader.choice(
                "--only", default: "all", of: ["all", "windows", "expressions", "library"], "What is measured.")
            json = reader.optionalString("--json", "File for the results as JSON.")
        }
    }

    private let settings: Settings

    init(_ arguments: [String]) {
        settings = Service.readSettings("benchmarks stream", "Events per CPU second, topic to topic.", arguments: arguments, Settings.init)
    }

    func run() throws {
        var report = StreamReport()
        for (name, goal) in [("windows", 250_000.0), ("expressions", 400_000)] where settings.definitionsToRun.contains(name) {
            let useCase = try UseCase.load(settings.definitions + "/" + name, environment: [:])
            var rates: [Double] = []
            for _ in 0..<settings.repeats { rates.append(try measure(useCase)) }
            report.add(name, rates, goal: goal)
        }
        if settings.isLibrary {
            let results = try LibraryBenchmark(sensors: settings.sensors).run(settings.definitions + "/windows", repeats: settings.repeats)
            for result in results {
                let name = "windows, library alone, \(result.entities) entities"
                report.add(name, result.rates, goal: result.entities == settings.sensors ? 3_000_000 : nil)
            }
            report.addState(results)
        }
        print(report.table)
        if let path = settings.json { try writeFile(path, report.json) }
    }

    /// Events per CPU second of a stream processor that works through a filled topic.
    private func measure(_ useCase: UseCase) throws -> Double {
        let topics = Topics(useCase: useCase.name)
        let broker = try EmbeddedBroker(topics: topics.all.map { TopicSpec(name: $0, partitions: useCase.partitions) })
        let redisPort = try freePort()
        let redis = try Child(
            "redis-server", ["redis-server", "--bind", "127.0.0.1", "--port", "\(redisPort)", "--save", ""], log: ".build/bench-redis.log")
        defer { redis.stop() }
        var events = SensorEvents(sensors: settings.sensors, perSecond: Double(settings.sensors) / 3)
        let producer = try KafkaProducer(
            broker.settings,
            // The embedded broker answers a fetch with one batch of each partition, where Kafka fills the answer up: what a busy producer
            // sends in 20 ms makes answers as large as Kafka's.
            properties: ["queue.buffering.max.messages": "200000", "linger.ms": "20"])
        try events.fill(topics.events, partitions: useCase.partitions, count: settings.events, through: producer)
        try producer.close()
        let port = try freePort()
        let service = try Child(
            "stream-processor", [".build/release/stream-processor"],
            environment: [
                "VYUHA_USE_CASE": useCase.folder, "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrapServers, "REDIS_URL": "redis://127.0.0.1:\(redisPort)",
                "VYUHA_HOST": "127.0.0.1",
                "VYUHA_PORT": "\(port)", "VYUHA_LOG_FORMAT": "text", "VYUHA_KAFKA_PARTITION_ASSIGNMENT_STRATEGY": "range",
                "VYUHA_KAFKA_FETCH_WAIT_MAX_MS": "2",
            ], log: ".build/bench-stream-processor.log")
        defer { service.stop() }
        let client = try HTTPClient()
        let deadline = Clock.monotonicSeconds + 180
        while Clock.monotonicSeconds < deadline, service.isRunning {
            // Often enough for the end to be seen, seldom enough to cost the service nothing that counts.
            Clock.sleep(milliseconds: 200)
            guard let metrics = try? client.send(HTTPRequest(.get, "http://127.0.0.1:\(port)/metrics")).text,
                let line = metrics.split(separator: "\n").first(where: { $0.hasPrefix("events_processed_total") }),
                let done = line.split(separator: " ").last.flatMap({ Int($0) }), done >= settings.events
            else { continue }
            return Double(settings.events) / service.cpuSeconds
        }
        throw BenchmarkError("stream-processor did not work through \(settings.events) events in time; see .build/bench-stream-processor.log.")
    }
}
