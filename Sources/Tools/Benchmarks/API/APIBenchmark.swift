import Glibc
import JSON
import ServiceKit

/// `POST /predict` of the scoring service against FastAPI servers with the same contract and against the bare HTTP server.
///
/// All servers are up at the same time, each on the server's core, and wrk visits them in turn on the other core; each visit is repeated and
/// the medians are compared, so that a machine that is slower for a while slows all alike. No broker is there: the stream waits.
struct APIBenchmark {
    private let options: Options
    private let folder: String

    /// What was measured in one visit.
    struct Visit {
        var requestsPerSecond: Double
        var p50: Double
        var p99: Double
        var errors: Int
        /// Microseconds of the server's CPU per request.
        var cpu: Double
    }

    struct Options {
        let seconds: Int
        let repeats: Int
        let connections: [Int]
        let serverCore: Int
        let clientCore: Int
        let python: String?
        let output: String
        let root: String

        init?(_ reader: inout SettingsReader) {
            seconds = reader.integer("--seconds", default: 4, in: 1...600, "Length of one visit of wrk.")
            repeats = reader.integer("--repeats", default: 3, in: 1...99, "Visits for each server and number of connections.")
            let list = reader.string("--connections", default: "1,32,128", "Numbers of connections, separated by commas.")
            connections = list.split(separator: ",").compactMap { Int($0) }.filter { (1...1000).contains($0) }
            serverCore = reader.integer("--server-core", default: 0, in: 0...1023, "Core that every server runs on.")
            clientCore = reader.integer("--client-core", default: 1, in: 0...1023, "Core that wrk runs on.")
            python = reader.optionalString("--python", "Python with FastAPI, scikit-learn and ONNX Runtime; without it those servers are left out.")
            output = reader.string("--output", default: ".build/bench/api.json", "File for the results.")
            root = reader.string("--root", default: ".", "The repository.")
            guard !connections.isEmpty else {
                reader.reject("--connections: there is no number from 1 to 1000 in \"\(list)\".")
                return nil
            }
        }
    }

    init(_ arguments: [String]) throws {
        options = Service.readSettings(
            "benchmarks api", "Measures POST /predict against FastAPI servers with the same contract.", arguments: arguments, Options.init)
        var template = Array("/tmp/vyuha-bench-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw BenchmarkError("No temporary folder can be made.") }
        folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    func run() throws {
        defer { _ = try? Child("rm", ["rm", "-rf", folder], log: "/dev/null").finish() }
        let servers = try APIServers(options, folder: folder)
        defer { servers.stop() }
        var visits = servers.all.map { _ in options.connections.map { _ in [Visit]() } }
        for server in servers.all { _ = try visit(server, connections: 8, seconds: 1) }
        for turn in 1...options.repeats {
            for (index, server) in servers.all.enumerated() {
                for (place, connections) in options.connections.enumerated() {
                    Service.standardError("turn \(turn) of \(options.repeats): \(server.title), \(connections) connections          \r")
                    visits[index][place].append(try visit(server, connections: connections, seconds: options.seconds))
                }
            }
        }
        Service.standardError("\n")
        let report = APIReport(connections: options.connections, seconds: options.seconds, servers: servers.all, visits: visits)
        print(report.table)
        let parent = options.output.lastIndex(of: "/").map { String(options.output[..<$0]) } ?? "."
        _ = try Child("mkdir", ["mkdir", "-p", parent], log: "/dev/null").finish()
        try writeFile(options.output, Array((report.json.pretty + "\n").utf8))
        print("\nWritten to \(options.output).")
    }

    private func visit(_ server: APIServers.Server, connections: Int, seconds: Int) throws -> Visit {
        let before = server.child.cpuSeconds
        let wrk = try Child(
            "wrk",
            [
                "wrk", "-t1", "-c\(connections)", "-d\(seconds)s", "--latency", "-s", options.root + "/services/scripts/bench/predict.lua",
                "http://127.0.0.1:\(server.port)/predict",
            ], cpu: options.clientCore, log: folder + "/wrk.log")
        let text = try wrk.finish()
        let cpu = server.child.cpuSeconds - before
        guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix("RESULT ") }) else {
            throw BenchmarkError("wrk gave no result for \(server.title): \(text.suffix(300))")
        }
        let numbers = line.split(separator: " ").dropFirst().compactMap { Double($0) }
        guard numbers.count == 5, numbers[0] > 0, numbers[1] > 0 else { throw BenchmarkError("\(server.title) answered no request.") }
        return Visit(
            requestsPerSecond: numbers[0] / numbers[1] * 1e6, p50: numbers[3] / 1000, p99: numbers[4] / 1000, errors: Int(numbers[2]),
            cpu: cpu / numbers[0] * 1e6)
    }
}
