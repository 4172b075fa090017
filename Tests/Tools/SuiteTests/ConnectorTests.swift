import Foundation
import HTTPClient
import JSON
import KafkaClient
import TestSupport
import Testing

/// The producer's sources against real servers, with a SIGKILL in the middle of each: every record is on the topic once.
@Suite struct ConnectorTests {
    private static let rows = 1_200

    /// A producer that can be killed and started again, and what has come of it.
    private final class Run {
        let folder: URL
        let broker: EmbeddedBroker
        let redis: RedisServer
        let tail: TopicTail
        private var producer: ServiceProcess?
        private let arguments: [String]
        /// Standard input that nobody writes to.
        private var input = Pipe()

        init(source: String, arguments: [String] = []) throws {
            folder = FileManager.default.temporaryDirectory.appending(path: "vyuha-source-\(UUID().uuidString.prefix(8))")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            let definition = """
                name: pumps
                partitions: 4
                event:
                  entity: pump
                  time: at
                  fields:
                    pump: { type: string }
                    at:   { type: timestamp, format: iso8601 }
                    bar:  { type: number, min: 0, max: 400 }
                features:
                  reading: { bar: bar }
                source:
                \(source.split(separator: "\n").map { "  " + $0 }.joined(separator: "\n"))
                detector: { name: robust-z }
                """
            try definition.write(to: folder.appending(path: "usecase.yaml"), atomically: true, encoding: .utf8)
            broker = try EmbeddedBroker(topics: ["events", "labels", "dead-letter"].map { TopicSpec(name: "pumps.\($0)", partitions: 4) })
            redis = try RedisServer(appendOnly: false)
            tail = try TopicTail(broker.bootstrapServers, topics: ["pumps.events", "pumps.dead-letter"], partitions: 4)
            self.arguments = arguments
        }

        deinit { try? FileManager.default.removeItem(at: folder) }

        func start(_ more: [String] = []) throws {
            input = Pipe()
            producer = try ServiceProcess(
                "producer", ["--use-case", folder.path] + arguments + more,
                environment: [
                    "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrapServers, "VYUHA_KAFKA_FETCH_WAIT_MAX_MS": "2", "REDIS_URL": redis.url,
                    "VYUHA_PORT": "0", "VYUHA_HOST": "127.0.0.1",
                ], input: input)
        }

        func kill() {
            if let producer { Foundation.kill(producer.pid, SIGKILL) }
            _ = producer?.wait(10)
        }

        /// SIGTERM.
        /// - Returns: the exit status.
        func stop() -> Int32? {
            producer?.terminate()
            return producer?.wait(15)
        }

        var output: String { producer?.output ?? "" }
        var events: [TopicTail.Record] { tail.records(of: "pumps.events") }

        func reached(_ count: Int, within seconds: Double = 60) throws -> Bool {
            try withDeadline(seconds) {
                try tail.poll()
                return events.count >= count
            }
        }

        /// How often each pressure came: the rows of a test are told apart by it.
        var timesSeen: [Int: Int] {
            events.reduce(into: [:]) { $0[Int($1.json?["bar"]?.double ?? -1), default: 0] += 1 }
        }
    }

    private static func time(_ number: Int) -> String {
        let (minute, second) = (number / 60 % 60, number % 60)
        return "2025-10-01T\(number / 3_600 + 10):\(minute < 10 ? "0" : "")\(minute):\(second < 10 ? "0" : "")\(second)Z"
    }

    private static func object(_ number: Int) -> String {
        #"{"pump":"p\#(number % 7)","when":{"at":"\#(time(number))"},"bar":\#(number % 400 == 0 ? 0 : number % 400),"n":\#(number)}"#
    }

    /// Every row once: 1,200 rows have each of the 400 pressures three times, under 1,200 ids.
    private func expectAll(_ run: Run, _ count: Int = rows) throws {
        #expect(try run.reached(count), "\(run.events.count) of \(count); \(run.output)")
        // Nothing more comes.
        _ = try withDeadline(0.5) {
            try run.tail.poll()
            return false
        }
        #expect(run.events.count == count)
        #expect(Set(run.events.map { $0.headers["id"] ?? "" }).count == count)
        #expect(run.timesSeen.values.allSatisfy { $0 == count / 400 }, "\(run.timesSeen.filter { $0.value != count / 400 })")
        #expect(run.tail.records(of: "pumps.dead-letter").isEmpty)
    }

    private func killedInTheMiddle(_ run: Run) throws {
        try run.start(["--rate", "600"])
        #expect(try run.reached(300), "\(run.output)")
        run.kill()
        #expect(run.events.count < Self.rows)
        try run.start()
        try expectAll(run)
    }

    @Test("a folder of JSON Lines, plain and gzip")
    func folder() throws {
        let run = try Run(source: "jsonl: { file: data, columns: { at: when.at } }")
        let data = run.folder.appending(path: "data")
        try FileManager.default.createDirectory(at: data, withIntermediateDirectories: true)
        for part in 0..<3 {
            let lines = (part * 400..<part * 400 + 400).map { Self.object($0) }.joined(separator: part == 1 ? "\r\n" : "\n") + "\n"
            try lines.write(to: data.appending(path: "part-\(part).jsonl"), atomically: true, encoding: .utf8)
        }
        try SourceServer.run("/usr/bin/gzip", [data.appending(path: "part-2.jsonl").path])
        try killedInTheMiddle(run)
    }

    @Test("a file that is followed, over a rotation while the producer is dead")
    func follow() throws {
        let run = try Run(source: "jsonl: { file: live.jsonl, follow: true, columns: { at: when.at } }")
        let file = run.folder.appending(path: "live.jsonl")
        func append(_ range: Range<Int>, to file: URL) throws {
            if !FileManager.default.fileExists(atPath: file.path) { _ = FileManager.default.createFile(atPath: file.path, contents: nil) }
            let handle = try FileHandle(forWritingTo: file)
            try handle.seekToEnd()
            try handle.write(contentsOf: Data((range.map { Self.object($0) }.joined(separator: "\n") + "\n").utf8))
            try handle.close()
        }
        try append(0..<400, to: file)
        try run.start()
        #expect(try run.reached(400), "\(run.output)")
        // Half a line is no line yet.
        let next = Self.object(400)
        let handle = try FileHandle(forWritingTo: file)
        try handle.seekToEnd()
        try handle.write(contentsOf: Data(next.prefix(20).utf8))
        run.kill()
        try handle.write(contentsOf: Data((next.dropFirst(20) + "\n").utf8))
        try handle.close()
        try append(401..<600, to: file)
        try FileManager.default.moveItem(at: file, to: run.folder.appending(path: "live.jsonl.1"))
        try append(600..<700, to: file)
        try run.start()
        #expect(try run.reached(700), "\(run.output)")
        // And one that it sees itself.
        try FileManager.default.moveItem(at: file, to: run.folder.appending(path: "live.jsonl.2"))
        try append(700..<Self.rows, to: file)
        try expectAll(run)
    }

    private static func page(_ range: Range<Int>, next: String? = nil) -> String {
        let items = range.map(object).joined(separator: ",")
        return #"{"data":{"items":[\#(items)]},"meta":{"next":\#(next.map { "\"\($0)\"" } ?? "null")}}"#
    }

    private func source(_ server: SourceServer, _ pagination: String) -> String {
        """
        http:
          url: http://127.0.0.1:\(server.port)/
          interval: 50ms
          records: data.items
          pagination: \(pagination)
          token_file: token
          columns: { at: when.at }
        """
    }

    @Test(
        "an API behind nginx that fails one request in five, by pages and by cursor",
        .disabled(if: Nginx.isMissing, "nginx is not installed; services/scripts/setup.sh --tests installs it."),
        arguments: ["{ page: page }", "{ cursor: page, path: meta.next }"])
    func api(pagination: String) throws {
        let isCursor = pagination.contains("cursor")
        var pages: [String: String] = [:]
        for number in 0..<12 {
            let range = number * 100..<number * 100 + 100
            // The first question of a cursor has none.
            let name = isCursor ? (number == 0 ? "" : "c\(number)") : "\(number + 1)"
            pages[name] = Self.page(range, next: isCursor && number < 11 ? "c\(number + 1)" : nil)
        }
        let server = try Nginx.serve(pages: pages)
        let run = try Run(source: source(server, pagination))
        try "# who may read\na-token-of-the-test\n".write(to: run.folder.appending(path: "token"), atomically: true, encoding: .utf8)
        try killedInTheMiddle(run)
    }

    @Test(
        "an API's page that has not changed is not sent again (304): no record twice, no failure, the interval kept; what is added comes at once",
        .disabled(if: Nginx.isMissing, "nginx is not installed; services/scripts/setup.sh --tests installs it."))
    func unchanged() throws {
        let server = try Nginx.serve(pages: ["1": Self.page(0..<3)], fails: false)
        let run = try Run(source: source(server, "{ page: page }").replacing("interval: 50ms", with: "interval: 200ms"))
        try "a-token-of-the-test\n".write(to: run.folder.appending(path: "token"), atomically: true, encoding: .utf8)
        try run.start()
        func unchanged() -> [Double] { Nginx.requests(of: server).filter { $0.page == "1" && $0.status == 304 }.map(\.time) }
        #expect(withDeadline(60) { unchanged().count >= 6 }, "\(run.output)")
        #expect(try run.reached(3))
        let first = unchanged().prefix(6)
        // One look at the page each interval, not more; nginx and the producer read their clocks a little apart.
        #expect(zip(first, first.dropFirst()).allSatisfy { $1 - $0 > 0.15 }, "\(first)")
        #expect(Nginx.requests(of: server).filter { $0.page == "1" && $0.status == 200 }.count == 1, "the page itself is read once")
        // The page grows, and another one begins behind it.
        try Nginx.put(Self.page(0..<5), page: "1", on: server)
        #expect(try run.reached(5))
        try Nginx.put(Self.page(5..<7), page: "2", on: server)
        #expect(try run.reached(7))
        let seen = unchanged().count
        #expect(withDeadline(30) { Nginx.requests(of: server).filter { $0.page == "2" && $0.status == 304 }.count >= 2 })
        try run.tail.poll()
        #expect(run.events.count == 7)
        #expect(Set(run.events.map { $0.headers["id"] ?? "" }).count == 7)
        #expect(unchanged().count == seen, "a page that has another one behind it is done with")
        #expect(!run.output.contains("no usable answer"), "\(run.output)")
    }

    @Test(
        "a record of an API that no topic takes is a dead letter with its beginning and its size, and the others are events",
        .disabled(if: Nginx.isMissing, "nginx is not installed; services/scripts/setup.sh --tests installs it."))
    func hugeRecord() throws {
        let huge = #"{"pump":"\#(String(repeating: "p", count: 5_000_000))","when":{"at":"2025-10-01T10:00:00Z"},"bar":1}"#
        let page = #"{"data":{"items":[\#(Self.object(1)),\#(huge),\#(Self.object(2))]}}"#
        let server = try Nginx.serve(pages: ["1": page], fails: false)
        let run = try Run(source: source(server, "{ page: page }"))
        try "a-token-of-the-test\n".write(to: run.folder.appending(path: "token"), atomically: true, encoding: .utf8)
        try run.start()
        #expect(try run.reached(2), "\(run.output)")
        #expect(
            try withDeadline(30) {
                try run.tail.poll()
                return !run.tail.records(of: "pumps.dead-letter").isEmpty
            }, "\(run.output)")
        let letter = try #require(run.tail.records(of: "pumps.dead-letter").first)
        #expect(letter.headers["detail"]?.isEmpty == false)
        #expect(letter.value?.count == 900_000)
        #expect(letter.headers["original-size"] == "\(huge.utf8.count)")
        #expect(letter.value.map { huge.utf8.starts(with: $0) } == true)
    }

    @Test(
        "a table of a real PostgreSQL, in batches by its watermark, also while rows are added",
        .disabled(if: Postgres.isMissing, "PostgreSQL is not installed; services/scripts/setup.sh --tests installs it."))
    func table() throws {
        let server = try Postgres.start()
        func sql(_ text: String) throws -> Int32 { try Postgres.run(text, on: server) }
        #expect(try withDeadline(30) { try sql("SELECT 1") == 0 })
        // Many rows share a time; the key tells them apart.
        let insert = """
            INSERT INTO readings(pump, at, bar) SELECT 'p' || n % 7, timestamptz '2025-10-01 10:00:00+02' + n / 5 * interval '1 second', n % 400 FROM
            """
        #expect(try sql("CREATE TABLE readings(id bigserial PRIMARY KEY, pump text, at timestamptz, bar double precision)") == 0)
        #expect(try sql("\(insert) generate_series(0, 799) n") == 0)
        let run = try Run(
            source: """
                postgresql:
                  connection: "\(Postgres.address(of: server))"
                  table: public.readings
                  watermark: at
                  key: id
                  batch: 70
                  interval: 50ms
                """)
        try run.start(["--rate", "600"])
        #expect(try run.reached(300), "\(run.output)")
        run.kill()
        #expect(try sql("\(insert) generate_series(800, 1199) n") == 0)
        try run.start()
        try expectAll(run)
        #expect(run.events.first?.json?["at"]?.string?.hasSuffix("Z") == true)
    }

    @Test(
        "a stop is no error, whatever is under way: status 0 and no ERROR",
        arguments: ["a request", "a query", "a pipe", "Kafka away"])
    func stop(of what: String) throws {
        var waiting: Process?
        var arguments: [String] = []
        var source = "jsonl: { file: data.jsonl }"
        var isUnderWay: () -> Bool = { true }
        switch what {
        case "a request":
            // Takes the connection and never answers.
            let port = try freePort()
            let mute = Process()
            mute.executableURL = URL(filePath: "/usr/bin/python3")
            mute.arguments = [
                "-c",
                "import socket,sys,time\ns=socket.create_server(('127.0.0.1',\(port)))\nc,_=s.accept()\nprint('here',flush=True)\ntime.sleep(60)",
            ]
            let pipe = Pipe()
            mute.standardOutput = pipe
            try mute.run()
            waiting = mute
            source = "http: { url: http://127.0.0.1:\(port)/ }"
            isUnderWay = { pipe.fileHandleForReading.availableData.count > 0 }
        case "a query":
            guard !Postgres.isMissing else { return }
            let server = try Postgres.start()
            defer { withExtendedLifetime(server) {} }
            #expect(try withDeadline(30) { try Postgres.run("SELECT 1", on: server) == 0 })
            #expect(
                try Postgres.run(
                    "CREATE VIEW slow AS SELECT 1 AS id, 'p' AS pump, now() AS at, 1.0::float8 AS bar FROM pg_sleep(60)", on: server) == 0)
            source = "postgresql: { connection: \"\(Postgres.address(of: server))\", table: slow, watermark: at, key: id }"
            try stopped(source, arguments) {
                try Postgres.run(
                    "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE '%FROM \"slow\"%' AND wait_event = 'PgSleep') THEN RAISE 'no'; END IF; END $$",
                    on: server) == 0
            }
            return
        case "a pipe":
            arguments = ["--jsonl", "-"]
        default: break
        }
        defer { waiting?.terminate() }
        try stopped(source, arguments, isBrokerAway: what == "Kafka away", isUnderWay)
    }

    private func stopped(_ source: String, _ arguments: [String], isBrokerAway: Bool = false, _ isUnderWay: () throws -> Bool) throws {
        let run = try Run(source: source, arguments: arguments)
        let lines = (0..<40_000).map(Self.object).joined(separator: "\n") + "\n"
        try lines.write(to: run.folder.appending(path: "data.jsonl"), atomically: true, encoding: .utf8)
        if isBrokerAway {
            try run.start(["--rate", "2000"])
            #expect(try run.reached(300), "\(run.output)")
            run.broker.setDown()
        } else {
            try run.start()
        }
        #expect(try withDeadline(30, isUnderWay))
        #expect(withDeadline(30) { run.output.contains("producing") }, "\(run.output)")
        #expect(run.stop() == 0, "\(run.output)")
        #expect(!run.output.contains("ERROR") && !run.output.contains("\"error\","), "\(run.output)")
    }

    @Test("pushed events, sent again by a client that had no answer")
    func push() throws {
        let port = try freePort()
        let run = try Run(source: "push: { port: \(port), token_file: token, id: n, columns: { at: when.at } }")
        try "a-token-of-the-test\n".write(to: run.folder.appending(path: "token"), atomically: true, encoding: .utf8)
        try run.start()
        let client = try HTTPClient()
        func post(_ body: String, token: String = "a-token-of-the-test") -> Int? {
            let headers = [HTTPHeader("Authorization", "Bearer " + token), HTTPHeader("Content-Type", "application/json")]
            return try? client.send(HTTPRequest(.post, "http://127.0.0.1:\(port)/events", headers: headers, body: Array(body.utf8))).status
        }
        #expect(withDeadline(60) { post("[]") == 400 }, "\(run.output)")
        #expect(post("[]", token: "another-token-here") == 401)
        #expect(post("{") == 400)
        #expect(post(#"[{"bar":1}]"#) == 422)
        // The good ones of a request are taken, here none of the rows that are counted below.
        #expect(post("[\(Self.object(1))]\n[]") == 400)
        for first in stride(from: 0, to: Self.rows, by: 20) {
            let body = "[" + (first..<first + 20).map(Self.object).joined(separator: ",") + "]"
            if first == 400 || first == 800 {
                // Sent, and killed before anybody knows whether it was taken.
                _ = post(body)
                run.kill()
                try run.start()
            }
            #expect(withDeadline(60) { post(body) == 202 }, "\(run.output)")
        }
        // One at a time, and a repetition of what is known.
        #expect(post(Self.object(5)) == 202)
        try expectAll(run)
    }
}
