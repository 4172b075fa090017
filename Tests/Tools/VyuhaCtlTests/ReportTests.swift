import JSON
import Quality
import Testing

@testable import VyuhaCtl

@Suite("The report")
struct ReportTests {
    private var report: Report {
        var account = FlowAccount(startedAt: 0)
        for number in 0..<100 {
            let id = IdentityHash.of("e:\(number)")
            account.event(id, producedAt: 100, field: Double(number))
            if number == 99 {
                account.deadLetter(id)
                continue
            }
            account.feature(id)
            account.score(id, score: Double(number) / 100, isAnomaly: number >= 95, arrival: 100 + Double(number + 1))
            if number >= 95 {
                account.anomaly(id)
                account.label(id, isAnomaly: true, ignore: false)
            }
        }
        account.alert(IdentityHash.of("x/1"), raisedBy: IdentityHash.of("e:98"), arrival: 350)
        account.feature(IdentityHash.of("e:1"))
        var processor = ServiceStatus(name: "stream-processor", isSuite: true, state: .ended)
        processor.endedCPUSeconds = 1.5
        processor.peakBytes = 30 << 20
        processor.restarts = 1
        processor.exit = ChildExit(code: 0, cpuSeconds: 1)
        let redis = ServiceStatus(name: "redis-server", isSuite: false)
        let run = Report.Run(
            useCase: "battlefield", durationSeconds: 10, rate: 10, startedAt: 0, embeddedBroker: true, embeddedRedis: true,
            services: [processor, redis], own: nil, unreadable: 0, troubles: [], problems: [])
        return Report(run, account, QualityFigures(), baseline: (path: "heart_rate", field: "heart_rate", direction: .up))
    }

    @Test("has the fields that its readers expect")
    func fields() throws {
        let json = try JSONValue.parse(report.json.pretty)
        #expect(json["use_case"]?.string == "battlefield")
        #expect(json["duration_seconds"]?.double == 10)
        #expect(json["events_produced"]?.integer == 100)
        #expect(json["features"]?.integer == 99)
        #expect(json["scores"]?.integer == 99)
        #expect(json["anomalies"]?.integer == 4)
        #expect(json["alerts"]?.integer == 1)
        #expect(json["dead_letters"]?.integer == 1)
        #expect(json["latency_seconds"]?["event_to_score"]?["p50"]?.double == 0.05)
        #expect(json["latency_seconds"]?["event_to_score"]?["p99"]?.double == 0.099)
        #expect(json["latency_seconds"]?["event_to_alert"]?["p99"]?.double == 0.25)
        #expect(json["detection"]?["labelled_anomalies"]?.integer == 4)
        #expect(json["detection"]?["recall"]?.double == 1)
        #expect(json["detection"]?["precision"]?.double == 1)
        #expect(json["detection"]?["false_positive_rate"]?.double == 0)
        #expect(json["detection"]?["average_precision"]?.double == 1)
        #expect(json["baseline"]?["field"]?.string == "heart_rate")
        #expect(json["baseline"]?["recall"]?.double == 1)
        #expect(json["services"]?.array?.count == 1)
        let service = json["services"]?[0]
        #expect(service?["name"]?.string == "stream-processor")
        #expect(service?["cpu_seconds"]?.double == 1.5)
        #expect(service?["max_rss_bytes"]?.integer == 30 << 20)
        #expect(service?["restarts"]?.integer == 1)
        #expect(service?["exit_code"]?.integer == 0)
        #expect(json["accounting"]?["doubled_records"]?["features"]?.integer == 1)
        #expect(json["accounting"]?["events_unaccounted_for"]?.integer == 0)
    }

    @Test("names what is unanswered, judges it only when its time is over, and says how often a file was replayed")
    func unanswered() throws {
        var account = FlowAccount(startedAt: 0)
        account.event(IdentityHash.of("e:1"), name: Array("e:1".utf8)[...], producedAt: 0, field: .nan)
        func report(isOverdue: Bool, passes: Int?) -> Report {
            let run = Report.Run(
                useCase: "pumps", durationSeconds: 1, rate: 1, startedAt: 0, embeddedBroker: true, embeddedRedis: true, services: [], own: nil,
                unreadable: 0, troubles: [], problems: [], passes: passes, oldestUnanswered: ("e:1", 45.2), isOverdue: isOverdue)
            return Report(run, account, QualityFigures(), baseline: nil)
        }
        let early = report(isOverdue: false, passes: nil)
        #expect(early.table.first == "pumps: 1.0 s, 1 events, 1 not answered yet.")
        #expect(early.table.contains("Oldest without an answer: e:1, for 45.2 s."))
        #expect(!early.table.contains { $0.contains("replayed") })
        let late = report(isOverdue: true, passes: 3)
        #expect(late.table.first == "pumps: 1.0 s, 1 events, 1 NOT accounted for.")
        #expect(late.table.contains("The file was replayed in 3 passes."))
        let json = try JSONValue.parse(late.json.pretty)
        #expect(json["accounting"]?["oldest_unanswered"]?["id"]?.string == "e:1")
        #expect(json["accounting"]?["oldest_unanswered"]?["waited_seconds"]?.double == 45.2)
        #expect(json["run"]?["file_passes"]?.integer == 3)
    }

    @Test("is a short table for people")
    func table() {
        let text = report.table.joined(separator: "\n")
        for part in [
            "battlefield: 10.0 s, 100 events, every one accounted for.", "recall 1.000", "best fixed cut", "heart_rate ≥ 95", "30 MB",
        ] {
            #expect(text.contains(part), "\(part)")
        }
        #expect(report.table.allSatisfy { $0.count <= 100 })
    }
}
