import Glibc
import JSON
import KafkaClient
import RedisClient
import ServiceKit

/// How many events the producer makes, or reads from files, per second of its own CPU time, and how well it keeps a rate. The broker is in this
/// process, the producer in another, and its positions in a Redis of their own, so that only the producer's work counts.
struct ProducerBenchmark {
    /// Events a case.
    private let events: Int
    private let json: String?
    private let definition: String

    init(_ arguments: [String]) {
        let settings = Service.readSettings(
            "benchmarks producer", "Events per CPU second of the producer: simulated, and from files; and its rate.", arguments: arguments
        ) { reader -> (Int, String?, String)? in
            (
                reader.integer("--events", default: 1_000_000, in: 1_000...100_000_000, "Events of each case."),
                reader.optionalString("--json", "File for the figures."),
                reader.string("VYUHA_USE_CASE", default: "battlefield", "Name of a simulated use case, or path of its folder.")
            )
        }
        (events, json, definition) = settings
    }

    func run() throws {
        var template = Array("/tmp/vyuha-bench-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw BenchmarkError("No temporary folder can be made.") }
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer {
            for name in ["rows.csv", "rows.jsonl", "producer.log", "redis.log"] { unlink(folder + "/" + name) }
            rmdir(folder)
        }
        let name = definition.split(separator: "/").last.map(String.init) ?? definition
        let topics = ["events", "labels", "dead-letter"].map { TopicSpec(name: "\(name).\($0)", partitions: 8) }
        let broker = try EmbeddedBroker(topics: topics)
        defer { broker.close() }
        let port = try freePort()
        let redis = try Child(
            "redis-server", ["redis-server", "--bind", "127.0.0.1", "--port", "\(port)", "--save", ""], log: folder + "/redis.log")
        defer { redis.stop() }
        let bench = Bench(
            definition: definition, broker: broker.bootstrapServers, redis: "redis://127.0.0.1:\(port)", topic: topics[0].name, folder: folder)

        _ = try bench.run(["--to", folder + "/rows.csv", "--part", "stream", "--limit", "\(events)"])
        try Self.writeLines(from: folder + "/rows.csv", to: folder + "/rows.jsonl")
        var members: [JSONMember] = []
        for (title, arguments) in [
            ("simulated", []), ("CSV", ["--csv", folder + "/rows.csv"]), ("JSON Lines", ["--jsonl", folder + "/rows.jsonl"]),
        ] {
            // Twice; the better one, since another process can only slow it down.
            let rates = try (0..<2).map { _ in
                let (count, cpu) = try bench.run(arguments + ["--limit", "\(events)"])
                return Double(count) / cpu
            }
            let best = rates.max() ?? 0
            print("\(title): \(Int(best)) events per CPU second (\(rates.map { "\(Int($0))" }.joined(separator: ", ")))")
            members.append(JSONMember(title, .number(best.rounded())))
        }
        let topic = try TopicSourceBenchmark(records: events, redis: "redis://127.0.0.1:\(port)", log: folder + "/producer.log").run()
        print("Kafka topic: \(Int(topic)) records per CPU second (goal >= 200000)")
        members.append(JSONMember("Kafka topic", .number(topic.rounded())))
        let (count, _) = try bench.run(["--rate", "10000", "--duration", "10s"])
        print("rate of 10,000/s: \(Double(count) / 10) events a second over 10 s")
        members.append(JSONMember("rate asked for 10000", .number(Double(count) / 10)))
        if let json { try writeFile(json, Array((JSONValue.object(members).pretty + "\n").utf8)) }
    }

    /// Starts the producer and counts.
    private struct Bench {
        let definition: String
        let broker: String
        let redis: String
        let topic: String
        let folder: String

        /// - Returns: events that reached the broker, and CPU seconds of the producer from its start to its end.
        func run(_ arguments: [String]) throws -> (events: Int64, cpu: Double) {
            guard let own = realpath("/proc/self/exe", nil) else { throw BenchmarkError("The path of this process cannot be read.") }
            defer { free(own) }
            let path = String(cString: own)
            let program = path[..<(path.lastIndex(of: "/") ?? path.startIndex)] + "/producer"
            // Every run starts at the beginning of its source.
            if try events() > 0 { _ = try RedisClient(try RedisSettings(url: redis)).command("FLUSHALL") }
            let (before, usedBefore) = (try events(), Self.childSeconds())
            let child = try Child(
                "producer", [String(program), "--use-case", definition] + arguments,
                environment: ["KAFKA_BOOTSTRAP_SERVERS": broker, "VYUHA_PORT": "0", "VYUHA_HOST": "127.0.0.1", "REDIS_URL": redis],
                log: folder + "/producer.log")
            _ = try child.finish()
            return (try events() - before, Self.childSeconds() - usedBefore)
        }

        private func events() throws -> Int64 {
            let consumer = try KafkaConsumer(KafkaSettings(bootstrapServers: broker), group: "benchmarks")
            defer { consumer.close() }
            return try (0..<8).reduce(0) { try $0 + consumer.watermarks(TopicPartition(topic, $1), cached: false).high }
        }

        private static func childSeconds() -> Double {
            var usage = rusage()
            getrusage(__rusage_who_t(RUSAGE_CHILDREN.rawValue), &usage)
            func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
            return seconds(usage.ru_utime) + seconds(usage.ru_stime)
        }
    }

    /// The rows of a CSV file without quotes as JSON Lines: texts in quotes, numbers as they are.
    private static func writeLines(from csv: String, to path: String) throws {
        let rows = readFile(csv).split(separator: "\n")
        guard let header = rows.first?.split(separator: ",", omittingEmptySubsequences: false) else {
            throw BenchmarkError("\(csv) has no rows.")
        }
        var bytes: [UInt8] = []
        for row in rows.dropFirst() {
            let fields = row.split(separator: ",", omittingEmptySubsequences: false)
            let members = zip(header, fields).map { name, value in "\"\(name)\":" + (Double(value) == nil ? "\"\(value)\"" : String(value)) }
            bytes.append(contentsOf: "{\(members.joined(separator: ","))}\n".utf8)
        }
        try writeFile(path, bytes)
    }
}
