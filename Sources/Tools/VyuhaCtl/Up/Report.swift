import JSON
import Quality
import ServiceKit

/// The figures of a run, as they are printed and written to the report.
struct Report: Sendable {
    /// Everything about the run that is not in the books.
    struct Run: Sendable {
        var useCase: String
        /// From the first event to the last.
        var durationSeconds: Double
        /// Events a second that were asked for.
        var rate: Double
        /// Wall clock, milliseconds.
        var startedAt: Int64
        var embeddedBroker: Bool
        var embeddedRedis: Bool
        var services: [ServiceStatus]
        /// This process: CPU seconds and peak memory.
        var own: ProcessSample?
        /// What the observer could not read, or was told.
        var unreadable: Int
        var troubles: [String]
        /// What went wrong, in sentences; empty when all is well.
        var problems: [String]
        /// How often the file was begun; nil unless that was more than once.
        var passes: Int?
        /// What waited longest for its answer: its id, and seconds.
        var oldestUnanswered: (name: String, waited: Double)?
        /// What is unanswered should have its answer by now.
        var isOverdue = false
    }

    let run: Run
    let counts: HopCounts
    let doubled: HopCounts
    let unsettled: Int
    let withoutEvent: Int
    /// Sorted milliseconds.
    let toScore: [Double]
    let toAlert: [Double]
    let judgement: Judgement
    let sets: [FlowSet]
    let windowLatency: LatencyHistogram

    init(_ run: Run, _ account: FlowAccount, _ quality: QualityFigures, baseline: (path: String, field: String, direction: CutDirection)?) {
        self.run = run
        counts = account.counts
        doubled = account.doubled
        unsettled = account.unsettled
        withoutEvent = account.withoutEvent
        toScore = account.latencies(to: .scores)
        toAlert = account.latencies(to: .alerts)
        judgement = Judgement(account, quality, baseline: baseline)
        sets = account.sets
        windowLatency = account.windowLatency
    }

    // MARK: For machines

    var json: JSONValue {
        var members = [JSONMember("use_case", .string(run.useCase)), JSONMember("duration_seconds", .rounded(run.durationSeconds, 3))]
        for hop in Hop.allCases { members.append(JSONMember(hop.key, .integer(Int64(counts[hop])))) }
        members.append(JSONMember("sets", .array(sets.filter(Self.hasRecords).map(set))))
        members.append(
            JSONMember(
                "latency_seconds",
                .object([
                    JSONMember("event_to_score", latency(toScore)), JSONMember("window_close_to_score", latency(windowLatency)),
                    JSONMember("event_to_alert", latency(toAlert)),
                ])))
        members += judgement.members
        members.append(JSONMember("services", .array(run.services.filter(\.isSuite).map(service))))
        let own = run.own.map { sample in
            JSONValue.object([
                JSONMember("cpu_seconds", .rounded(sample.cpuSeconds, 2)), JSONMember("max_rss_bytes", .integer(Int64(sample.peakBytes))),
            ])
        }
        members.append(JSONMember("vyuhactl", own ?? .null))
        members.append(
            JSONMember(
                "accounting",
                .object([
                    JSONMember("doubled_records", .object(Hop.allCases.map { JSONMember($0.key, .integer(Int64(doubled[$0]))) })),
                    JSONMember("events_unaccounted_for", .integer(Int64(unsettled))), JSONMember("oldest_unanswered", oldest),
                    JSONMember("ids_without_event", .integer(Int64(withoutEvent))),
                    JSONMember("unreadable_records", .integer(Int64(run.unreadable))),
                    JSONMember("troubles", .array(run.troubles.map { .string($0) })),
                ])))
        members.append(
            JSONMember(
                "run",
                .object([
                    JSONMember("version", .string(vyuhaVersion)),
                    JSONMember("started_at", .string(Clock.iso8601(milliseconds: run.startedAt))),
                    JSONMember("asked_events_per_second", .rounded(run.rate, 3)),
                    JSONMember("file_passes", run.passes.map { .integer(Int64($0)) } ?? .null),
                    JSONMember("embedded_broker", .bool(run.embeddedBroker)), JSONMember("embedded_redis", .bool(run.embeddedRedis)),
                    JSONMember("problems", .array(run.problems.map { .string($0) })),
                ])))
        return .object(members)
    }

    private var oldest: JSONValue {
        guard let oldest = run.oldestUnanswered else { return .null }
        return .object([JSONMember("id", .string(oldest.name)), JSONMember("waited_seconds", .rounded(oldest.waited, 1))])
    }

    private func latency(_ sorted: [Double]) -> JSONValue {
        .object([
            JSONMember("p50", .rounded(FlowAccount.quantile(0.5, of: sorted).map { $0 / 1000 }, 6)),
            JSONMember("p99", .rounded(FlowAccount.quantile(0.99, of: sorted).map { $0 / 1000 }, 6)),
            JSONMember("maximum", .rounded(sorted.last.map { $0 / 1000 }, 6)), JSONMember("count", .integer(Int64(sorted.count))),
        ])
    }

    private func latency(_ histogram: LatencyHistogram) -> JSONValue {
        .object([
            JSONMember("p50", .rounded(histogram.quantile(0.5).map { $0 / 1000 }, 6)),
            JSONMember("p99", .rounded(histogram.quantile(0.99).map { $0 / 1000 }, 6)),
            JSONMember("maximum", .rounded(histogram.quantile(1).map { $0 / 1000 }, 6)), JSONMember("count", .integer(Int64(histogram.count))),
        ])
    }

    /// Silence is told only where something was silent.
    private static func hasRecords(_ set: FlowSet) -> Bool { set.isPerEvent || set.features > 0 || set.scores > 0 }

    private func set(_ set: FlowSet) -> JSONValue {
        .object([
            JSONMember("name", .string(set.name)), JSONMember("per_event", .bool(set.isPerEvent)),
            JSONMember("events_not_taken", .integer(Int64(set.skipped))), JSONMember("features", .integer(Int64(set.features))),
            JSONMember("scores", .integer(Int64(set.scores))),
            JSONMember("anomalies", .integer(Int64(set.anomalies))),
        ])
    }

    private func service(_ status: ServiceStatus) -> JSONValue {
        .object([
            JSONMember("name", .string(status.name)), JSONMember("cpu_seconds", .rounded(status.cpuSeconds, 2)),
            JSONMember("max_rss_bytes", .integer(Int64(status.peakBytes))), JSONMember("restarts", .integer(Int64(status.restarts))),
            JSONMember("exit_code", status.exit.map { .integer(Int64($0.code)) } ?? .null),
        ])
    }

    // MARK: For people

    var table: [String] {
        typealias View = StatusView
        let seconds = run.durationSeconds
        var lines = [
            "\(run.useCase): \(View.decimal(seconds, 1)) s, \(View.grouped(counts[.events])) events"
                + (unsettled == 0
                    ? ", every one accounted for." : ", \(View.grouped(unsettled)) " + (run.isOverdue ? "NOT accounted for." : "not answered yet."))
        ]
        if let passes = run.passes { lines.append("The file was replayed in \(View.grouped(passes)) passes.") }
        if let oldest = run.oldestUnanswered {
            lines.append("Oldest without an answer: \(View.plainText(oldest.name)), for \(View.decimal(oldest.waited, 1)) s.")
        }
        lines.append("")
        for hop in Hop.allCases {
            let rate = seconds > 0 ? Double(counts[hop]) / seconds : 0
            let twice = doubled[hop] > 0 ? "   \(View.grouped(doubled[hop])) records twice" : ""
            lines.append(
                View.pad(hop.title, 14) + View.padLeft(View.grouped(counts[hop]), 12) + View.padLeft(View.rate(rate), 9) + "/s" + twice)
        }
        let told = sets.filter(Self.hasRecords)
        if told.count > 1 {
            lines.append("")
            for set in told {
                lines.append(
                    View.pad("set " + set.name, 18) + "features \(View.grouped(set.features))   scores \(View.grouped(set.scores))"
                        + "   anomalies \(View.grouped(set.anomalies))" + (set.skipped > 0 ? "   not its events \(View.grouped(set.skipped))" : ""))
            }
        }
        lines.append("")
        for (title, sorted) in [("event to score", toScore), ("event to alert", toAlert)] {
            guard let p50 = FlowAccount.quantile(0.5, of: sorted), let p99 = FlowAccount.quantile(0.99, of: sorted) else { continue }
            lines.append(View.pad(title, 18) + "p50 \(View.milliseconds(p50))   p99 \(View.milliseconds(p99))")
        }
        if let p50 = windowLatency.quantile(0.5), let p99 = windowLatency.quantile(0.99) {
            lines.append(View.pad("window to score", 18) + "p50 \(View.milliseconds(p50))   p99 \(View.milliseconds(p99))")
        }
        lines += judgement.lines
        lines.append("")
        lines.append(View.pad("service", 18) + ["cpu", "peak memory", "restarts", "exit"].map { View.padLeft($0, 13) }.joined())
        for status in run.services where status.isSuite {
            let columns = [
                View.decimal(status.cpuSeconds, 1) + " s", "\(status.peakBytes >> 20) MB", "\(status.restarts)",
                status.exit.map { "\($0.code)" } ?? "-",
            ]
            lines.append(View.pad(status.name, 18) + columns.map { View.padLeft($0, 13) }.joined())
        }
        return lines
    }
}
