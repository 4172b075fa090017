import Foundation
import JSON
import KafkaClient
import TestSupport
import Testing

/// Files that are not what they should be, through the real producer: a sentence or dead letters, never a crash, never unbounded memory.
@Suite struct BadFileTests {
    private static let definition = """
        name: bad
        partitions: 1
        event:
          entity: pump
          time: at
          fields:
            pump: { type: string }
            at:   { type: timestamp, format: iso8601 }
            bar:  { type: number }
        features:
          reading: { bar: bar }
        source:
          csv: { file: none.csv }
        detector: { name: robust-z }
        """

    /// Runs the producer over what a shell command prints.
    /// - Returns: exit status, its words, events, and reasons of dead letters.
    private func produce(_ flag: String, from command: String) throws -> (status: Int32, output: String, events: Int, reasons: [String]) {
        let folder = FileManager.default.temporaryDirectory.appending(path: "vyuha-bad-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Self.definition.write(to: folder.appending(path: "usecase.yaml"), atomically: true, encoding: .utf8)
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
            "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrapServers, "VYUHA_PORT": "0", "VYUHA_HOST": "127.0.0.1",
        ]) { $1 }
        let pipe = Pipe()
        process.standardError = pipe
        process.standardOutput = pipe
        try process.run()
        let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        let tail = try TopicTail(broker.bootstrapServers, topics: ["bad.events", "bad.dead-letter"], partitions: 1)
        let consumer = try KafkaConsumer(KafkaSettings(bootstrapServers: broker.bootstrapServers), group: "count")
        defer { consumer.close() }
        let total = try ["bad.events", "bad.dead-letter"].reduce(0) { try $0 + Int(consumer.watermarks(TopicPartition($1, 0), cached: false).high) }
        #expect(
            try withDeadline(30) {
                try tail.poll()
                return tail.records.count >= total
            })
        return (
            process.terminationStatus, output, tail.records(of: "bad.events").count,
            tail.records(of: "bad.dead-letter").map { $0.headers["reason"] ?? "" }
        )
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
