import Alerting
import Foundation
import JSON
import RedisClient
import ServiceKit
import TestSupport
import Testing
import UseCases

@testable import AlertSink

/// What people type: `alert-sink --check`, and `vyuhactl alerts` against a Redis that a sink has written.
@Suite("Commands about alerts")
struct CommandTests {
    private static let start: Int64 = 1_763_683_200_000

    // MARK: alert-sink --check

    @Test("--check says what would be told, when and to whom, and why the rest would not")
    func check() throws {
        let folder = try Folder(name: "taxi")
        let lines: [[UInt8]] = [
            anomalyJSON(id: "e:1", group: "7", at: Self.start, offset: 1),
            // As vyuhactl up --record writes it.
            Array("{\"topic\":\"taxi.anomalies\",\"partition\":0,\"offset\":2,\"value\":".utf8)
                + anomalyJSON(id: "e:2", group: "7", at: Self.start + 4_000, offset: 2) + Array("}".utf8),
            Array("this is no anomaly".utf8), [],
            end(id: "e:3", group: "8", at: Self.start + 5_000, offset: 3),
            anomalyJSON(id: "e:1", group: "7", at: Self.start, offset: 1),
            end(id: "e:4", group: "7", at: Self.start + 20_000, offset: 4),
        ]
        let input = folder.url.appending(path: "anomalies.jsonl")
        try Data(lines.joined(separator: [10])).write(to: input)
        let (status, output) = try run("alert-sink", ["--check", "--input", input.path, "--use-case", folder.url.path])
        #expect(status == 0, "\(output)")
        let said = output.split(separator: "\n").map(String.init)
        func time(_ seconds: Int64) -> String { Clock.iso8601(milliseconds: Self.start + seconds * 1_000) }
        /// The line that has all the parts.
        func hasLine(_ parts: String..., sourceLocation: SourceLocation = #_sourceLocation) {
            #expect(said.contains { line in parts.allSatisfy { line.contains($0) } }, "\(parts) in \(output)", sourceLocation: sourceLocation)
        }
        hasLine("7, e:1: begins", "is told at \(time(10)) at the earliest")
        hasLine("7, e:2: one more of")
        hasLine("line 3: not an anomaly")
        hasLine("8, e:3: normal again, and nothing was open")
        hasLine("7, e:1: seen before")
        hasLine("\(time(10))  TELL everyone: opened", "[critical] Zone 7")
        hasLine("7, e:4: the end of", "unless anomalies come back")
        hasLine("TELL everyone: resolved")
        #expect(said.filter { $0.contains("TELL") }.count == 2, "\(output)")
        #expect(said.last == "begun 1, joined 1, dead letters 1, cleared 2, seen before 1, opened 1, resolved 1", "\(output)")
    }

    @Test("--check without a file that can be read says which")
    func noFile() throws {
        let folder = try Folder(name: "taxi")
        let (status, output) = try run("alert-sink", ["--check", "--input", "/nowhere/anomalies.jsonl", "--use-case", folder.url.path])
        #expect(status == 1)
        #expect(output.contains("The file /nowhere/anomalies.jsonl cannot be read."), "\(output)")
        let (usage, hint) = try run("alert-sink", ["--check", "--use-case", folder.url.path])
        #expect(usage == 64)
        #expect(hint.contains("--check needs --input FILE."), "\(hint)")
    }

    // MARK: vyuhactl alerts

    @Test("an alert is listed, shown, acknowledged and snoozed by the beginning of its id, and all of it is in the history")
    func alerts() throws {
        let desk = try Desk()
        #expect(try desk.vyuhactl("list").contains("No alert is open."))
        #expect(try desk.vyuhactl("history").contains("Nobody has been told anything."))
        let now = Clock.milliseconds
        let decisions = try desk.sink.decisions(desk.useCase.alerts.policy)
        _ = try decisions.decide([sighting("e:1", group: "zone 7", at: now - 30_000, offset: 1)], now: now - 30_000)
        _ = try decisions.decide([sighting("e:2", group: "zone 8", at: now - 29_000, offset: 2)], now: now - 29_000)
        #expect(try desk.vyuhactl("list").contains("waits to be told"))
        let token = "life"
        #expect(try decisions.store.lease(token, for: 60_000))
        _ = try decisions.lookAfterTimers(now: now - 15_000, lease: token)
        let alerts = try desk.sink.history()
        #expect(alerts.map(\.event) == ["opened", "opened"])
        let alert = try #require(alerts.first { $0.group == "zone 7" }?.alert)

        let list = try desk.vyuhactl("list")
        #expect(list.contains(alert) && list.contains("zone 7") && list.contains("zone 8") && list.contains("critical"), "\(list)")
        let shown = try desk.vyuhactl("show", alert)
        for part in ["group      zone 7", "raised by  e:1", "told       1 messages", "fare 41.25, expected 3.1", "opened"] {
            #expect(shown.contains(part), "\(part) in \(shown)")
        }
        #expect(try desk.vyuhactl("ack", alert, "--by", "asha").contains("(zone 7) is acknowledged by asha."))
        #expect(try desk.vyuhactl("snooze", alert, "--for", "2h").contains("(zone 7) is snoozed until "))
        let later = try desk.vyuhactl("list")
        #expect(later.contains("acknowledged by asha") && later.contains("quiet until"), "\(later)")
        #expect(try desk.sink.history().map(\.event).suffix(2) == ["acknowledged", "snoozed"])
        let history = try desk.vyuhactl("history", "--last", "2")
        #expect(history.contains("acknowledged") && history.contains("snoozed") && !history.contains("zone 8"), "\(history)")
        #expect(try desk.vyuhactl("show", alert).contains("acknowledged"))

        let unknown = try desk.vyuhactl("ack", "nobody", status: 1)
        #expect(unknown.contains("There is no open alert nobody; see vyuhactl alerts list and history."), "\(unknown)")
    }

    @Test("a silence keeps what matches from being told until it is taken back")
    func silences() throws {
        let desk = try Desk()
        let said = try desk.vyuhactl("silence", "--match", "entity=7*,severity=critical", "--for", "1h", "--by", "asha", "--comment", "new sensors")
        #expect(said.contains("entity=7*, severity=critical, until "), "\(said)")
        let id = try #require(said.split(separator: " ").dropFirst().first?.dropLast().description)
        let list = try desk.vyuhactl("list")
        for part in [id, "entity=7*, severity=critical", "asha", "new sensors"] { #expect(list.contains(part), "\(part) in \(list)") }
        let now = Clock.milliseconds
        let policy = desk.useCase.alerts.policy
        let outcome = try desk.sink.decisions(policy).decide(
            [sighting("e:1", group: "77", at: now, offset: 1), sighting("e:2", group: "8", at: now, offset: 2)], now: now)
        #expect(outcome.silenced == 1 && outcome.raised == 1)

        #expect(try desk.vyuhactl("unsilence", id).contains("Silence \(id) is over."))
        #expect(try !desk.vyuhactl("list").contains("new sensors"))
        let after = try desk.sink.decisions(policy).decide([sighting("e:3", group: "77", at: now, offset: 3)], now: now)
        #expect(after.silenced == 0 && after.raised == 1)

        #expect(try desk.vyuhactl("unsilence", id, status: 1).contains("There is no silence \(id)."))
        #expect(try desk.vyuhactl("silence", status: 64).contains("Say what to silence, with --match"))
        #expect(try desk.vyuhactl("silence", "--match", "colour=red", status: 64).contains("is not LABEL=PATTERN"))
    }

    // MARK: Parts

    /// A use case with a name of its own, and what a sink and `vyuhactl` have of it in one Redis.
    private struct Desk {
        let sink: Sink
        let folder: Folder
        let useCase: UseCase

        init() throws {
            sink = try Sink()
            folder = try Folder(name: sink.useCase)
            useCase = try UseCase.parse(Folder.definition(sink.useCase), file: "usecase.yaml")
        }

        func vyuhactl(_ action: String, _ arguments: String..., status wanted: Int32 = 0) throws -> String {
            let (status, output) = try run(
                "vyuhactl", ["alerts", action] + arguments + ["--use-case", folder.url.path], environment: ["REDIS_URL": Redis.url()])
            #expect(status == wanted, "\(output)")
            return output
        }
    }

    /// A use case's folder, deleted with its owner.
    private final class Folder {
        let url: URL

        init(name: String) throws {
            url = FileManager.default.temporaryDirectory.appending(path: "vyuha-\(UInt64.random(in: 0 ... .max))")
            try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
            try Self.definition(name).write(to: url.appending(path: "usecase.yaml"), atomically: true, encoding: .utf8)
        }

        deinit { try? FileManager.default.removeItem(at: url) }

        static func definition(_ name: String) -> String {
            taxiDefinition.replacing("name: taxi", with: "name: \(name)")
                .replacing("cooldown: 60s", with: "cooldown: 60s\n  group_wait: 10s\n  severity: { critical: { score: 0.95 } }")
        }
    }

    private func end(id: String, group: String, at: Int64, offset: Int64) -> [UInt8] {
        Array(
            String(decoding: anomalyJSON(id: id, group: group, at: at, offset: offset, score: 0.2), as: UTF8.self)
                .replacing("\"is_anomaly\":true", with: "\"is_anomaly\":false").utf8)
    }
}

/// Runs a built executable to its end.
private func run(_ name: String, _ arguments: [String], environment: [String: String] = [:]) throws -> (Int32?, String) {
    let log = FileManager.default.temporaryDirectory.appending(path: "vyuha-\(UInt64.random(in: 0 ... .max)).log")
    _ = FileManager.default.createFile(atPath: log.path, contents: nil)
    defer { try? FileManager.default.removeItem(at: log) }
    let process = Process()
    process.executableURL = URL(filePath: try executable(named: name))
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = try FileHandle(forWritingTo: log)
    process.standardError = process.standardOutput
    try process.run()
    let ended = withDeadline(60) { !process.isRunning }
    if !ended { kill(process.processIdentifier, SIGKILL) }
    return (ended ? process.terminationStatus : nil, try String(contentsOf: log, encoding: .utf8))
}
