import Foundation
import JSON
import KafkaClient
import ServiceKit
import Synchronization
import TestSupport
import Testing

/// Files that are not what they should be, through the real producer: a sentence or dead letters, never a crash, never unbounded memory.
@Suite struct BadFileTests {
    private static func definition(_ columns: (entity: String, time: String, value: String)) -> String {
        """
        name: bad
        partitions: 1
        event:
          entity: \(columns.entity)
          time: \(columns.time)
          fields:
            \(columns.entity): { type: string }
            \(columns.time): { type: timestamp, format: iso8601 }
            \(columns.value): { type: number }
        features:
          reading: { value: \(columns.value) }
        source:
          csv: { file: none.csv }
        detector: { name: robust-z }
        """
    }

    /// Runs the producer over what a shell command prints.
    /// - Returns: exit status, its words, events, reasons of dead letters, and the most memory that it was seen to have, in bytes.
    private func produce(
        _ flag: String, from command: String
    ) throws -> (status: Int32, output: String, events: Int, reasons: [String], memory: Int) {
        let folder = FileManager.default.temporaryDirectory.appending(path: "vyuha-bad-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let columns = flag == "--access-log" ? ("client", "timestamp", "status") : ("pump", "at", "bar")
        try Self.definition(columns).write(to: folder.appending(path: "usecase.yaml"), atomically: true, encoding: .utf8)
        let broker = try EmbeddedBroker(topics: ["events", "labels", "dead-letter"].map { TopicSpec(name: "bad.\($0)", partitions: 1) })
        let process = Process()
        process.executableURL = URL(filePath: "/bin/sh")
        // A limit on memory: what grows without bound dies of it. Debug builds of Swift map much more than they use, and a sanitizer alone
        // maps more than any limit allows.
        let limit = isSanitized ? "" : "ulimit -d 400000; "
        process.arguments = [
            "-c",
            "{ \(command); } | { \(limit)exec \"$0\" --use-case \"$1\" \(flag) -; }", try executable(named: "producer"), folder.path,
        ]
        process.environment = ProcessInfo.processInfo.environment.merging([
            "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrapServers, "VYUHA_KAFKA_FETCH_WAIT_MAX_MS": "2", "VYUHA_PORT": "0", "VYUHA_HOST": "127.0.0.1",
        ]) { $1 }
        let pipe = Pipe()
        process.standardError = pipe
        process.standardOutput = pipe
        try process.run()
        let memory = PeakMemory(of: folder.path)
        let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        let tail = try TopicTail(broker.bootstrapServers, topics: ["bad.events", "bad.dead-letter"], partitions: 1)
        let consumer = try KafkaConsumer(broker.settings, group: "count")
        defer { consumer.close() }
        let total = try ["bad.events", "bad.dead-letter"].reduce(0) { try $0 + Int(consumer.watermarks(TopicPartition($1, 0), cached: false).high) }
        #expect(
            try withDeadline(30) {
                try tail.poll()
                return tail.records.count >= total
            })
        return (
            process.terminationStatus, output, tail.records(of: "bad.events").count,
            tail.records(of: "bad.dead-letter").map { $0.headers["reason"] ?? "" }, memory.bytes
        )
    }

    /// Looks at the producer's peak memory (proc(5), `VmHWM`) until it ends.
    private final class PeakMemory: Sendable {
        private let seen = Mutex((bytes: 0, isDone: false))

        /// - Parameter argument: of its command line, and of no other's.
        init(of argument: String) {
            Threads.start("peak memory") { [self] in
                var pid: String?
                _ = withDeadline(300) {
                    if pid == nil { pid = Self.find(argument) }
                    guard let pid else { return false }
                    guard let status = try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8),
                        let peak = status.firstMatch(of: /VmHWM:\s+(\d+) kB/).flatMap({ Int($0.1) })
                    else { return true }
                    seen.withLock { $0.bytes = peak << 10 }
                    return false
                }
                seen.withLock { $0.isDone = true }
            }
        }

        var bytes: Int {
            _ = withDeadline(30) { seen.withLock(\.isDone) }
            return seen.withLock(\.bytes)
        }

        private static func find(_ argument: String) -> String? {
            let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
            return all.first { pid in
                guard Int(pid) != nil, let line = try? String(contentsOfFile: "/proc/\(pid)/cmdline", encoding: .utf8) else { return false }
                let words = line.split(separator: "\0")
                return words.first?.hasSuffix("/producer") == true && words.contains { $0 == argument }
            }
        }
    }

    @Test(
        "a line that never ends is a dead letter or a sentence in every format, and is not kept in memory",
        arguments: ["--csv", "--jsonl", "--access-log"])
    func endlessLine(flag: String) throws {
        let start = flag == "--csv" ? "echo pump,at,bar; echo p,2025-10-01T10:00:00Z,1; " : flag == "--jsonl" ? "echo '\(Self.row)'; " : ""
        let run = try produce(flag, from: start + "head -c 96000000 /dev/zero | tr '\\0' a")
        #expect(run.output.contains("The line is longer") || run.reasons == ["too-large"], "\(run.output)")
        #expect(isSanitized || (1 << 20..<80 << 20).contains(run.memory), "\(run.memory) bytes")
    }

    private static let row = #"{"pump":"p","at":"2025-10-01T10:00:00Z","bar":1}"#

    @Test("a line of 300 MB, binary, and JSON that is none are dead letters, and the lines around them events")
    func lines() throws {
        let run = try produce(
            "--jsonl",
            from: """
                echo '\(Self.row)'; head -c 300000000 /dev/zero | tr '\\0' x; echo; printf 'a\\000b\\n'; echo '{"pump":'; echo '[1]'
                printf '%s\\r\\n' '\(Self.row)'; printf '%s' '\(Self.row)'
                """)
        #expect(run.status == 0, "\(run.output)")
        #expect(run.events == 3)
        #expect(run.reasons == ["too-large", "malformed", "malformed", "not-an-object"])
    }

    @Test("rows of CSV of every wrong kind are dead letters, and the rows around them events")
    func rows() throws {
        let run = try produce(
            "--csv",
            from: """
                printf '\\357\\273\\277pump,at,bar\\r\\n'; printf 'p,2025-10-01T10:00:00Z,1\\r\\n'; echo 'p,2025-10-01T10:00:00Z'
                printf '"a\\nb",2025-10-01T10:00:01Z,2\\n'; head -c 3000000 /dev/zero | tr '\\0' y; echo; printf 'p\\000,2025-10-01T10:00:02Z,3\\n'
                echo 'p,2025-10-01T10:00:03Z,4'; echo 'p,"2025-10-01T10:00:04Z,5'; echo 'p,2025-10-01T10:00:05Z,6'
                """)
        #expect(run.status == 0, "\(run.output)")
        #expect(run.events == 4)
        #expect(run.reasons == ["column-count", "too-large", "malformed", "malformed"])
    }

    @Test(
        "a wrong delimiter, an empty file, a zip file and half a gzip file end with a sentence",
        arguments: [
            ("printf 'pump;at;bar\\np;2025-10-01T10:00:00Z;1\\n'", "Is the delimiter `;`?"), ("true", "The file is empty"),
            ("printf 'PK\\003\\004abc'", "a zip or Excel file"),
            ("{ echo pump,at,bar; yes p,2025-10-01T10:00:00Z,1 | head -n 100000; } | gzip | head -c 400", "cut off"),
        ])
    func sentences(command: String, sentence: String) throws {
        let run = try produce("--csv", from: command)
        #expect(run.status == 1, "\(run.output)")
        #expect(run.output.contains(sentence), "\(run.output)")
    }
}
