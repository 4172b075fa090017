import Foundation
import HTTPClient
import JSON
import KafkaClient
import RedisClient
import TestSupport
import Testing

/// A Redis that has reached its `maxmemory`, in front of every consuming service at once, each a real process.
@Suite struct RedisFullTests {
    private static let definition = """
        name: pumps
        partitions: 2
        event:
          entity: pump
          time: at
          fields:
            pump: { type: string }
            at:   { type: timestamp, format: epoch-seconds }
            bar:  { type: number }
        features:
          reading: { bar: bar, usual: "mean(bar, 5 events)" }
        time: { maximum_future: any }
        source:
          csv: { file: train.csv }
        detector: { name: robust-z }
        threshold: { contamination: 0.02 }
        alerts: { group_wait: 0s, cooldown: 0s }

        """
    private static let services = ["stream-processor", "feature-writer", "scoring-service", "alert-sink"]

    private final class Suite {
        let folder: URL
        let redis: RedisServer
        let broker: EmbeddedBroker
        let client: RedisClient
        let tail: TopicTail
        private let http: HTTPClient
        private let producer: KafkaProducer
        private(set) var processes: [String: (process: ServiceProcess, port: Int)] = [:]

        init() throws {
            folder = FileManager.default.temporaryDirectory.appending(path: "vyuha-full-\(UUID().uuidString.prefix(8))")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            try definition.write(to: folder.appending(path: "usecase.yaml"), atomically: true, encoding: .utf8)
            let rows = (0..<400).map { "p\($0 % 4),\(1_700_000_000 + $0),\(10 + Double($0 % 7) / 10)" }
            try ("pump,at,bar\n" + rows.joined(separator: "\n") + "\n").write(
                to: folder.appending(path: "train.csv"), atomically: true, encoding: .utf8)
            redis = try RedisServer(appendOnly: false, options: ["--maxmemory-policy", "noeviction"])
            client = RedisClient(try RedisSettings(url: redis.url))
            let topics = ["events", "labels", "features", "scores", "anomalies", "alerts", "dead-letter"].map { "pumps.\($0)" }
            broker = try EmbeddedBroker(topics: topics.map { TopicSpec(name: $0, partitions: 2) })
            producer = try KafkaProducer(broker.settings)
            tail = try TopicTail(broker.bootstrapServers, topics: ["pumps.scores", "pumps.alerts", "pumps.dead-letter"], partitions: 2)
            http = try HTTPClient()
            let (status, output) = try ServiceProcess.run(
                "trainer", ["fit", "--csv", folder.appending(path: "train.csv").path],
                environment: ["VYUHA_USE_CASE": folder.path, "REDIS_URL": redis.url], within: 60)
            try #require(status == 0, "\(output)")
        }

        deinit { try? FileManager.default.removeItem(at: folder) }

        func start() throws {
            for name in services {
                let port = try freePort()
                let process = try ServiceProcess(
                    name,
                    environment: [
                        "VYUHA_USE_CASE": folder.path, "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrapServers, "VYUHA_KAFKA_FETCH_WAIT_MAX_MS": "2",
                        "REDIS_URL": redis.url,
                        "VYUHA_HOST": "127.0.0.1", "VYUHA_PORT": "\(port)",
                    ])
                processes[name] = (process, port)
            }
        }

        /// - Parameter memory: bytes; 0: as much as there is.
        func limit(_ memory: Int) throws { _ = try client.command("CONFIG", "SET", "maxmemory", String(memory)) }

        /// What `/ready` says.
        func ready(_ name: String) -> (status: Int, text: String) {
            guard let port = processes[name]?.port, let answer = try? http.send(HTTPRequest(.get, "http://127.0.0.1:\(port)/ready")) else {
                return (0, "")
            }
            return (answer.status, answer.text)
        }

        func says(_ name: String, _ status: Int, _ text: String) -> Bool {
            withDeadline(60) {
                let answer = ready(name)
                return answer.status == status && answer.text.contains(text)
            }
        }

        func send(_ numbers: Range<Int>, pump: String) throws {
            var batch = OutgoingBatch(topics: ["pumps.events"])
            for number in numbers {
                // The last one of a pump is far off.
                let bar = number >= numbers.upperBound - 1 ? 500 : 10 + Double(number % 7) / 10
                let event = #"{"pump":"\#(pump)\#(number % 4)","at":\#(1_800_000_000 + number),"bar":\#(bar)}"#
                batch.append(topic: 0, partition: Int32(number % 2), key: Array("\(pump)\(number % 4)".utf8), value: Array(event.utf8))
                batch.header("id", "event:\(number)")
            }
            try producer.send(batch)
            try producer.flush(timeout: 30_000)
        }

        func scores(_ count: Int) throws -> Bool {
            try withDeadline(60) {
                try tail.poll()
                return Set(tail.records(of: "pumps.scores").compactMap(\.id)).count >= count
            }
        }

        func alerts(_ count: Int) throws -> Bool {
            try withDeadline(60) {
                try tail.poll()
                return Set(tail.records(of: "pumps.alerts").compactMap(\.id)).count >= count
            }
        }

        /// The newest value of a pump in the online store.
        func bar(_ pump: String) throws -> String? {
            let keys = try client.command("KEYS", "*online*:\(pump)").array?.compactMap(\.text) ?? []
            return try keys.first.flatMap { try client.command("HGET", $0, "bar").text }
        }

        var allRun: Bool { processes.values.allSatisfy(\.process.isRunning) }
        var outputs: String { processes.map { "\($0): \($1.process.output)" }.joined(separator: "\n") }
    }

    @Test("a full Redis is named by /ready and in the log, no service ends, and with memory again everything goes on and nothing is lost")
    func fullRedis() throws {
        let suite = try Suite()
        // From the start: who keeps state cannot begin.
        try suite.limit(1)
        try suite.start()
        try suite.send(0..<100, pump: "p")
        #expect(suite.says("stream-processor", 503, "Redis is full"), "\(suite.outputs)")
        #expect(suite.says("scoring-service", 503, "Redis is full"), "\(suite.outputs)")
        try suite.limit(0)
        #expect(try suite.scores(100), "\(suite.outputs)")
        #expect(try suite.alerts(1), "\(suite.outputs)")
        for name in Self.services { #expect(suite.says(name, 200, "ready"), "\(suite.outputs)") }
        #expect(try withDeadline(60) { try suite.bar("p3") == "500" })

        // In the middle: scores go on; what must be new in Redis, entities and alerts, waits.
        try suite.limit(1)
        try suite.send(100..<202, pump: "q")
        #expect(try suite.scores(202), "\(suite.outputs)")
        for name in ["feature-writer", "alert-sink"] { #expect(suite.says(name, 503, "Redis is full"), "\(suite.outputs)") }
        for name in ["feature-writer", "alert-sink"] {
            let output = suite.processes[name]?.process.output ?? ""
            #expect(output.contains("Redis is full") && output.contains("`maxmemory`"), "\(output)")
        }
        #expect(suite.allRun, "\(suite.outputs)")
        try suite.limit(0)
        #expect(try withDeadline(60) { try suite.bar("q1") == "500" }, "\(suite.outputs)")
        #expect(try suite.alerts(2), "\(suite.outputs)")
        for name in Self.services { #expect(suite.says(name, 200, "ready"), "\(suite.outputs)") }
        #expect(suite.tail.records(of: "pumps.dead-letter").isEmpty)
        for (name, running) in suite.processes {
            #expect(running.process.isRunning, "\(name) ended: \(running.process.output)")
            running.process.terminate()
        }
        for (name, running) in suite.processes { #expect(running.process.wait(20) == 0, "\(name): \(running.process.output)") }
    }
}
