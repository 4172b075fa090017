import Glibc
import JSON

/// The medians of a run as a table for people and as JSON, with the ratios that the goals are about.
struct APIReport {
    let connections: [Int]
    let seconds: Int
    let servers: [APIServers.Server]
    /// `[server × number of connections]`, each with its repeats.
    let visits: [[[APIBenchmark.Visit]]]

    /// The goals and what was measured, where the servers for them were there.
    private struct Goal {
        let text: String
        let value: Double
        let isMet: Bool
    }

    var table: String {
        var lines = [
            row(["server", "conns", "requests/s", "p50 ms", "p99 ms", "CPU µs/request", "errors"])
        ]
        for (server, visits) in zip(servers, visits) {
            for (connections, visits) in zip(connections, visits) {
                lines.append(
                    row([
                        server.title, "\(connections)", fixed(median(visits, \.requestsPerSecond), 0), fixed(median(visits, \.p50), 2),
                        fixed(median(visits, \.p99), 2), fixed(median(visits, \.cpu), 1), "\(visits.reduce(0) { $0 + $1.errors })",
                    ]))
            }
        }
        lines.append("")
        for goal in goals { lines.append("\(goal.isMet ? "met    " : "missed ") \(goal.text): \(fixed(goal.value, 2))") }
        return lines.joined(separator: "\n")
    }

    var json: JSONValue {
        .object([
            JSONMember("machine", .string(machine)), JSONMember("seconds", .integer(Int64(seconds))),
            JSONMember("load_average", .string(readFile("/proc/loadavg").split(separator: " ").prefix(3).joined(separator: " "))),
            JSONMember(
                "servers",
                .array(
                    zip(servers, visits).map { server, visits in
                        [
                            "name": .string(server.title), "peak_mib": .number(server.child.peakMemory),
                            "results": .array(
                                zip(connections, visits).map { connections, visits in
                                    [
                                        "connections": .integer(Int64(connections)),
                                        "requests_per_second": .number(median(visits, \.requestsPerSecond)),
                                        "p50_ms": .number(median(visits, \.p50)), "p99_ms": .number(median(visits, \.p99)),
                                        "cpu_us_per_request": .number(median(visits, \.cpu)),
                                        "errors": .integer(Int64(visits.reduce(0) { $0 + $1.errors })),
                                        "all_requests_per_second": .array(visits.map { .number($0.requestsPerSecond) }),
                                    ]
                                }),
                        ]
                    })),
            JSONMember(
                "goals",
                .array(goals.map { ["goal": .string($0.text), "measured": .number($0.value), "met": .bool($0.isMet)] })),
        ])
    }

    private var goals: [Goal] {
        var goals: [Goal] = []
        func ratio(_ server: String, _ other: String, _ quantity: (APIBenchmark.Visit) -> Double) -> Double? {
            guard let mine = value(server, 32, quantity), let theirs = value(other, 32, quantity), theirs > 0 else { return nil }
            return mine / theirs
        }
        func atLeast(_ text: String, _ value: Double?, _ limit: Double) {
            if let value { goals.append(Goal(text: "\(text) at 32 connections (at least \(fixed(limit, 1)))", value: value, isMet: value >= limit)) }
        }
        func below(_ text: String, _ value: Double?, _ limit: Double) {
            if let value { goals.append(Goal(text: "\(text) in ms (below \(fixed(limit, 0)))", value: value, isMet: value < limit)) }
        }
        atLeast("times FastAPI + scikit-learn", ratio(APIServers.vyuha, APIServers.sklearn, \.requestsPerSecond), 150)
        atLeast("times FastAPI + ONNX", ratio(APIServers.vyuha, APIServers.onnx, \.requestsPerSecond), 6)
        atLeast("share of the bare HTTP server's rate", ratio(APIServers.vyuha, APIServers.echo, \.requestsPerSecond), 0.6)
        atLeast("share of its rate, by CPU per request", ratio(APIServers.echo, APIServers.vyuha, \.cpu), 0.6)
        below("p99 at 32 connections", value(APIServers.vyuha, 32, \.p99), 1)
        below("p99 at 128 connections", value(APIServers.vyuha, 128, \.p99), 5)
        below("p99 with the Redis join at 32 connections", value(APIServers.joined, 32, \.p99), 3)
        return goals
    }

    private func value(_ server: String, _ count: Int, _ quantity: (APIBenchmark.Visit) -> Double) -> Double? {
        guard let index = servers.firstIndex(where: { $0.title == server }), let place = connections.firstIndex(of: count) else { return nil }
        return median(visits[index][place], quantity)
    }

    private func median(_ visits: [APIBenchmark.Visit], _ quantity: (APIBenchmark.Visit) -> Double) -> Double {
        let sorted = visits.map(quantity).sorted()
        guard !sorted.isEmpty else { return .nan }
        return sorted.count % 2 == 1 ? sorted[sorted.count / 2] : (sorted[sorted.count / 2 - 1] + sorted[sorted.count / 2]) / 2
    }

    private var machine: String {
        for line in readFile("/proc/cpuinfo").split(separator: "\n") where line.hasPrefix("model name") {
            return line.split(separator: ":").dropFirst().joined(separator: ":").drop { $0 == " " }
                + ", \(sysconf(Int32(_SC_NPROCESSORS_ONLN))) cores"
        }
        return "unknown"
    }

    private func row(_ cells: [String]) -> String {
        let widths = [30, 7, 12, 9, 9, 16, 8]
        return zip(cells, widths).enumerated().map { index, cell in
            let pad = String(repeating: " ", count: max(0, cell.1 - cell.0.count))
            return index == 0 ? cell.0 + pad : pad + cell.0
        }.joined()
    }

    private func fixed(_ value: Double, _ digits: Int) -> String {
        guard value.isFinite else { return "-" }
        let scale = pow(10, Double(digits))
        let whole = Int64((value * scale).rounded())
        guard digits > 0 else { return "\(whole)" }
        let fraction = String(abs(whole) % Int64(scale))
        return "\(whole < 0 ? "-" : "")\(abs(whole) / Int64(scale)).\(String(repeating: "0", count: digits - fraction.count))\(fraction)"
    }
}
