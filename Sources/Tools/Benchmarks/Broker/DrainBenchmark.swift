import Contracts
import HTTPClient
import KafkaClient
import ModelRegistry
import RedisClient
import ServiceKit
import UseCases
import Streaming

/// `benchmarks drain`: one service works through a backlog on a broker (KAFKA_BOOTSTRAP_SERVERS) with the suite's own settings, and again with
/// librdkafka's prefetch queue as good as unbounded. The first must be as fast as the second, and stay small.
///
/// The embedded broker keeps too little of a partition for this.
struct DrainBenchmark {
    private struct Settings {
        let kafka: KafkaSettings
        let records: Int
        let partitions: [Int]
        let services: [String]
        let repeats: Int

        init?(_ reader: inout SettingsReader) {
            kafka = CommonSettings.kafka(&reader)
            records = reader.integer("--records", default: 600_000, in: 1_000...10_000_000, "Waiting records.")
            let counts = reader.string("--partitions", default: "4,32", "Numbers of partitions, with commas between them.")
            partitions = counts.split(separator: ",").compactMap { Int($0) }
            let only = reader.choice("--only", default: "all", of: ["all"] + Self.all, "The one service to measure.")
            services = only == "all" ? Self.all : [only]
            repeats = reader.integer("--repeats", default: 3, in: 1...20, "Runs of each kind; the medians are reported.")
        }

        static let all = ["stream-processor", "scoring-service", "feature-writer"]
    }

    private struct Run {
        let rate: Double
        let memory: Double
        let microseconds: Double
    }

    /// What the suite's settings are compared with: everything is fetched as fast as it comes.
    private static let unbounded = [
        "VYUHA_KAFKA_QUEUED_MAX_MESSAGES_KBYTES": "262144", "VYUHA_KAFKA_QUEUED_MIN_MESSAGES": "1000000",
    ]
    /// Of the rate with an unbounded queue.
    private static let goal = 0.9
    /// MiB.
    private static let memoryGoal = 64.0

    private let settings: Settings

    init(_ arguments: [String]) {
        settings = Service.readSettings(
            "benchmarks drain", "Rate and memory of services that work through a backlog.", arguments: arguments, Settings.init)
    }

    func run() throws {
        print("drain: \(settings.records) waiting records")
        for count in settings.partitions {
            for service in settings.services {
                let backlog = try Backlog(service, settings.kafka, records: settings.records, partitions: count)
                defer { backlog.remove() }
                var (own, unbounded): ([Run], [Run]) = ([], [])
                for _ in 0..<settings.repeats {
                    own.append(try measure(backlog, [:]))
                    unbounded.append(try measure(backlog, Self.unbounded))
                }
                report(service, count, own, unbounded)
            }
        }
    }

    private func report(_ service: String, _ partitions: Int, _ own: [Run], _ unbounded: [Run]) {
        func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
        func line(_ runs: [Run]) -> String {
            "\(Int(median(runs.map(\.rate))))/s, \(Int(runs.map(\.memory).max() ?? 0)) MiB, \(tenths(median(runs.map(\.microseconds)))) µs CPU a record"
        }
        let ratio = median(own.map(\.rate)) / median(unbounded.map(\.rate))
        let isGood = ratio >= Self.goal && own.allSatisfy { $0.memory <= Self.memoryGoal }
        print(
            "\(service), \(partitions) partitions: \(line(own)); unbounded queue: \(line(unbounded)); ratio \(Double(Int(ratio * 100)) / 100) "
                + "(goal >= \(Self.goal), <= \(Int(Self.memoryGoal)) MiB)\(isGood ? "" : "  MISSED")")
    }

    private func tenths(_ value: Double) -> Double { (value * 10).rounded() / 10 }

    private func measure(_ backlog: Backlog, _ environment: [String: String]) throws -> Run {
        try backlog.rewind()
        let redis = try BenchmarkRedis()
        defer { redis.stop() }
        if let model = backlog.model {
            _ = try redis.registry(backlog.useCase).publish(
                model.encoded(), set: backlog.useCase.plan.sets[0].name, facts: [:], promote: true, now: Clock.milliseconds)
        }
        let port = try freePort()
        var variables = environment
        variables["VYUHA_USE_CASE"] = backlog.useCase.folder
        variables["KAFKA_BOOTSTRAP_SERVERS"] = settings.kafka.bootstrapServers
        variables["REDIS_URL"] = redis.url
        variables["VYUHA_HOST"] = "127.0.0.1"
        variables["VYUHA_PORT"] = "\(port)"
        variables["VYUHA_LOG_FORMAT"] = "text"
        let log = ".build/bench-\(backlog.service).log"
        let service = try Child(backlog.service, [".build/release/\(backlog.service)"], environment: variables, log: log)
        defer { service.stop() }
        let client = try HTTPClient()
        var first: (done: Int, at: Double)?
        let deadline = Clock.monotonicSeconds + 300
        while Clock.monotonicSeconds < deadline, service.isRunning {
            Clock.sleep(milliseconds: 20)
            guard let metrics = try? client.send(HTTPRequest(.get, "http://127.0.0.1:\(port)/metrics")).text,
                let line = metrics.split(separator: "\n").first(where: { $0.hasPrefix("events_processed_total") }),
                let done = line.split(separator: " ").last.flatMap({ Int($0) }), done > 0
            else { continue }
            let now = Clock.monotonicSeconds
            let start = first ?? (done, now)
            first = start
            guard done >= settings.records else { continue }
            return Run(
                rate: Double(done - start.done) / max(now - start.at, 0.001), memory: service.peakMemory,
                microseconds: service.cpuSeconds * 1e6 / Double(done))
        }
        throw BenchmarkError("\(backlog.service) did not work through \(settings.records) records in time; see \(log).")
    }
}
