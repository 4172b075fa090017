import Foundation
import JSON
import RedisClient
import TestSupport
import Testing

/// The whole suite as people start it: `vyuhactl up` with its own broker, Redis, services and a producer.
@Suite struct UpTests {
    @Test("real trips flow through all services while each of them is killed, and none is lost or told twice; the report can be recomputed")
    func killEach() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "vyuha-up-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let report = folder.appending(path: "report.json").path
        let records = folder.appending(path: "records").path
        let up = try ServiceProcess(
            "vyuhactl",
            ["up", "--use-case", useCase("nyc-taxi"), "--duration", "30s", "--rate", "200", "--report", report, "--record", records],
            environment: ["KAFKA_BOOTSTRAP_SERVERS": "", "REDIS_URL": ""])
        #expect(withDeadline(120) { up.output.contains("events ") || !up.isRunning }, "\(up.output)")
        let services = children(of: up.pid).filter { Self.killed.contains($0.name) }
        #expect(services.count == Self.killed.count, "\(services)")
        for service in services { kill(service.pid, SIGKILL) }
        #expect(up.wait(300) == 0, "\(up.output)")

        let json = try JSONValue.parse([UInt8](Data(contentsOf: URL(filePath: report))))
        let events = try #require(json["events_produced"]?.integer)
        #expect(events > 1_000)
        let sets = json["sets"]?.array ?? []
        let trips = try #require(sets.first { $0["name"]?.string == "trip" })
        #expect(trips["features"]?.integer == events && trips["scores"]?.integer == events)
        let demand = try #require(sets.first { $0["name"]?.string == "demand" })
        let windows = try #require(demand["features"]?.integer)
        #expect(windows > events && windows < 2 * events && demand["scores"]?.integer == windows)
        #expect(demand["anomalies"]?.integer == 0, "the sample is too thin for odd demand")
        #expect(json["scores"]?.integer == events + windows)
        #expect(json["dead_letters"]?.integer == 0)
        #expect(json["accounting"]?["events_unaccounted_for"]?.integer == 0)
        // A sink that is killed after it wrote a message and before it recorded that writes this one again, under the same id, and no other.
        #expect(try #require(json["accounting"]?["doubled_records"]?["alerts"]?.integer) <= 1, "an effect must not be doubled")
        #expect(try #require(json["anomalies"]?.integer) > 0)
        #expect(try #require(json["alerts"]?.integer) > 0)
        #expect(try #require(json["detection"]?["average_precision"]?.double) > 0.8)
        for service in json["services"]?.array ?? [] {
            #expect(service["exit_code"]?.integer == 0, "\(service.text)")
            let name = service["name"]?.string ?? ""
            #expect(service["restarts"]?.integer == (Self.killed.contains(String(name.prefix(15))) ? 1 : 0), "\(service.text)")
        }
        for (topic, count) in [("events", events), ("scores", events + windows), ("alerts", json["alerts"]?.integer)] {
            #expect(try distinctIDs(records + "/nyc-taxi.\(topic).jsonl") == count, "recomputed from the record of \(topic)")
        }
        #expect(children(of: up.pid).isEmpty, "no process is left behind")
    }

    private static let pumps = """
        name: pumps
        event: { entity: pump, time: at, fields: { pump: string, at: { type: timestamp, format: epoch-milliseconds }, x: number } }
        time: { maximum_future: any }
        features:
          reading: { x: x, jump: difference(x) }
          shift: { window: { length: 6h }, mean: mean(x) }
        source: { csv: { file: pumps.csv } }
        training: { csv: { file: pumps.csv } }
        detector: { name: robust-z }

        """

    /// - Returns: what was printed, and the report.
    private func run(
        _ arguments: [String], environment: [String: String] = ["REDIS_URL": ""], until sentence: String? = nil
    ) throws -> (output: String, json: JSONValue) {
        let folder = FileManager.default.temporaryDirectory.appending(path: "vyuha-up-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Self.pumps.write(to: folder.appending(path: "usecase.yaml"), atomically: true, encoding: .utf8)
        // Two days, so that windows of six hours close and the last stay open.
        let rows = (0..<300).map { "p\($0 % 3),\(1_796_000_000_000 + $0 * 600_000),\($0 % 7)" }
        try (["pump,at,x"] + rows).joined(separator: "\n").write(to: folder.appending(path: "pumps.csv"), atomically: true, encoding: .utf8)
        let report = folder.appending(path: "report.json").path
        let up = try ServiceProcess(
            "vyuhactl", ["up", "--use-case", folder.path, "--rate", "500", "--report", report] + arguments,
            environment: environment.merging(["KAFKA_BOOTSTRAP_SERVERS": ""]) { $1 })
        if let sentence {
            #expect(withDeadline(120) { up.output.contains(sentence) || !up.isRunning }, "\(up.output)")
            kill(up.pid, SIGINT)
        }
        #expect(up.wait(200) == 0, "\(up.output)")
        return (up.output, try JSONValue.parse([UInt8](Data(contentsOf: URL(filePath: report)))))
    }

    @Test("a file is replayed once, and with --duration the run ends with it")
    func once() throws {
        let (output, json) = try run(["--duration", "150s"])
        #expect(output.contains("The source has ended.") && !output.contains("passes"), "\(output)")
        #expect(json["events_produced"]?.integer == 300)
        #expect(json["accounting"]?["events_unaccounted_for"]?.integer == 0)
        #expect(json["accounting"]?["oldest_unanswered"]?.isNull == true)
        #expect(json["run"]?["file_passes"]?.isNull == true)
    }

    @Test("without --duration the services go on when the source has ended, until Ctrl-C")
    func goesOn() throws {
        let (output, json) = try run([], until: "The services go on; Ctrl-C stops them and prints the report.")
        #expect(output.contains("300 events, every one accounted for."), "\(output)")
        #expect(json["events_produced"]?.integer == 300)
    }

    @Test("with --loop the file begins again, and the report says so")
    func loops() throws {
        let (output, json) = try run(["--loop", "--duration", "5s"])
        let passes = try #require(json["run"]?["file_passes"]?.integer)
        #expect(passes > 1)
        #expect(output.contains("The file was replayed in \(passes) passes."), "\(output)")
        #expect(try #require(json["events_produced"]?.integer) > 300 * (passes - 1))
    }

    @Test("the address of Redis with its password may come from a file, and is not printed")
    func secretFile() throws {
        let redis = try RedisServer(password: "drumlin")
        let file = FileManager.default.temporaryDirectory.appending(path: "vyuha-url-\(UUID().uuidString)").path
        try redis.url.write(toFile: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: file) }
        let (output, json) = try run(["--duration", "150s"], environment: ["REDIS_URL_FILE": file])
        #expect(json["events_produced"]?.integer == 300)
        #expect(json["accounting"]?["events_unaccounted_for"]?.integer == 0)
        #expect(!output.contains("drumlin"), "\(output)")
        let stored = try RedisClient(try RedisSettings(url: redis.url)).command("KEYS", "*pumps*").array ?? []
        #expect(!stored.isEmpty, "what the suite stores is in that Redis")
    }

    /// As the kernel cuts them (15 bytes).
    private static let killed: Set<String> = ["stream-processor", "feature-writer", "scoring-service", "alert-sink", "producer"].reduce(into: []) {
        $0.insert(String($1.prefix(15)))
    }

    private func children(of parent: Int32) -> [(pid: Int32, name: String)] {
        let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return all.compactMap { Int32($0) }.compactMap { pid in
            guard let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
                let open = stat.firstIndex(of: "("), let close = stat.lastIndex(of: ")")
            else { return nil }
            let rest = stat[stat.index(close, offsetBy: 2)...].split(separator: " ")
            guard rest.count > 1, Int32(rest[1]) == parent, rest[0] != "Z" else { return nil }
            return (pid, String(stat[stat.index(after: open)..<close]))
        }
    }

    private func distinctIDs(_ path: String) throws -> Int64 {
        var ids: Set<String> = []
        for line in try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n") {
            let record = try JSONValue.parse(Array(line.utf8))
            if let id = record["headers"]?["id"]?.string ?? record["value"]?["id"]?.string { ids.insert(id) }
        }
        return Int64(ids.count)
    }
}
