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
    }

    let run: Run
    let counts: HopCounts
    let doubled: HopCounts
    let unsettled: Int
    let withoutEvent: Int
    /// Sorted milliseconds.
    let toScore: [Double]
    let toAlert: [Double]
    let detection: Detection
    let quality: QualityFigures
    let sets: [FlowSet]
    let windowLatency: LatencyHistogram
    let baseline: FixedCut?

    init(_ run: Run, _ account: FlowAccount, _ quality: QualityFigures, baseline: (path: String, field: String, direction: CutDirection)?) {
        self.run = run
        counts = account.counts
        doubled = account.doubled
        unsettled = account.unsettled
        withoutEvent = account.withoutEvent
        toScore = account.latencies(to: .scores)
        toAlert = account.latencies(to: .alerts)
        detection = Detection(account)
        self.quality = quality
        sets = account.sets
        windowLatency = account.windowLatency
        self.baseline = baseline.flatMap { FixedCut(account, field: $0.field, direction: $0.direction) }
    }

    // MARK: For machines

    var json: JSONValue {
        var members = [JSONMember("use_case", .string(run.useCase)), JSONMember("duration_seconds", number(run.durationSeconds, 3))]
        for hop in Hop.allCases { members.append(JSONMember(hop.key, .integer(Int64(counts[hop])))) }
        members.append(JSONMember("sets", .array(sets.filter(Self.hasRecords).map(set))))
        members.append(
            JSONMember(
                "latency_seconds",
                .object([
                    JSONMember("event_to_score", latency(toScore)), JSONMember("window_close_to_score", latency(windowLatency)),
                    JSONMember("event_to_alert", latency(toAlert)),
                ])))
        members.append(
            JSONMember(
                "detection",
                .object([
                    JSONMember("labelled_anomalies", .integer(Int64(detection.labelledAnomalies))),
                    JSONMember("labelled_without_score", .integer(Int64(detection.labelledWithoutScore))),
                    JSONMember("judged_events", .integer(Int64(detection.judged))),
                    JSONMember("precision", number(detection.precision, 6)), JSONMember("recall", number(detection.recall, 6)),
                    JSONMember("false_positive_rate", number(detection.falsePositiveRate, 6)),
                    JSONMember("average_precision", number(detection.averagePrecision, 6)),
                ])))
        members.append(JSONMember("episodes", qualityJSON))
        members.append(JSONMember("baseline", baseline.map(fixedCut) ?? .null))
        members.append(JSONMember("services", .array(run.services.filter(\.isSuite).map(service))))
        let own = run.own.map { sample in
            JSONValue.object([
                JSONMember("cpu_seconds", number(sample.cpuSeconds, 2)), JSONMember("max_rss_bytes", .integer(Int64(sample.peakBytes))),
            ])
        }
        members.append(JSONMember("vyuhactl", own ?? .null))
        members.append(
            JSONMember(
                "accounting",
                .object([
                    JSONMember("doubled_records", .object(Hop.allCases.map { JSONMember($0.key, .integer(Int64(doubled[$0]))) })),
                    JSONMember("events_unaccounted_for", .integer(Int64(unsettled))),
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
                    JSONMember("asked_events_per_second", number(run.rate, 3)),
                    JSONMember("embedded_broker", .bool(run.embeddedBroker)), JSONMember("embedded_redis", .bool(run.embeddedRedis)),
                    JSONMember("problems", .array(run.problems.map { .string($0) })),
                ])))
        return .object(members)
    }

    private func latency(_ sorted: [Double]) -> JSONValue {
        .object([
            JSONMember("p50", number(FlowAccount.quantile(0.5, of: sorted).map { $0 / 1000 }, 6)),
            JSONMember("p99", number(FlowAccount.quantile(0.99, of: sorted).map { $0 / 1000 }, 6)),
            JSONMember("maximum", number(sorted.last.map { $0 / 1000 }, 6)), JSONMember("count", .integer(Int64(sorted.count))),
        ])
    }

    private func latency(_ histogram: LatencyHistogram) -> JSONValue {
        .object([
            JSONMember("p50", number(histogram.quantile(0.5).map { $0 / 1000 }, 6)),
            JSONMember("p99", number(histogram.quantile(0.99).map { $0 / 1000 }, 6)),
            JSONMember("maximum", number(histogram.quantile(1).map { $0 / 1000 }, 6)), JSONMember("count", .integer(Int64(histogram.count))),
        ])
    }

    /// Silence is told only where something was silent.
    private static func hasRecords(_ set: FlowSet) -> Bool { set.isPerEvent || set.features > 0 || set.scores > 0 }

    private func set(_ set: FlowSet) -> JSONValue {
        .object([
            JSONMember("name", .string(set.name)), JSONMember("per_event", .bool(set.isPerEvent)),
            JSONMember("features", .integer(Int64(set.features))), JSONMember("scores", .integer(Int64(set.scores))),
            JSONMember("anomalies", .integer(Int64(set.anomalies))),
        ])
    }

    /// By episode: what people would have been told, against what was the matter.
    private var qualityJSON: JSONValue {
        .object([
            JSONMember("episodes", .integer(Int64(quality.episodes))), JSONMember("found", .integer(Int64(quality.found))),
            JSONMember("recall", number(quality.recall, 6)), JSONMember("alerts", .integer(Int64(quality.alerts))),
            JSONMember("false_alerts", .integer(Int64(quality.falseAlerts))), JSONMember("precision", number(quality.precision, 6)),
            JSONMember("entity_days", number(quality.entityDays, 6)),
            JSONMember("false_alerts_per_entity_day", number(quality.falseAlertsPerEntityDay, 6)),
            JSONMember(
                "delay_seconds",
                .object([
                    JSONMember("p50", number(quality.delay(quantile: 0.5), 3)), JSONMember("p90", number(quality.delay(quantile: 0.9), 3)),
                ])),
            JSONMember(
                "kinds",
                .array(
                    quality.kinds.map { kind in
                        .object([
                            JSONMember("kind", .string(kind.name)), JSONMember("episodes", .integer(Int64(kind.episodes))),
                            JSONMember("found", .integer(Int64(kind.found))),
                            JSONMember("recall", number(Double(kind.found) / Double(max(1, kind.episodes)), 6)),
                        ])
                    })),
        ])
    }

    private func fixedCut(_ cut: FixedCut) -> JSONValue {
        .object([
            JSONMember("field", .string(cut.field)), JSONMember("direction", .string(cut.direction.rawValue)),
            JSONMember("cut", number(cut.cut, 6)), JSONMember("recall", number(cut.recall, 6)),
            JSONMember("false_positive_rate", number(cut.falsePositiveRate, 6)),
        ])
    }

    private func service(_ status: ServiceStatus) -> JSONValue {
        .object([
            JSONMember("name", .string(status.name)), JSONMember("cpu_seconds", number(status.cpuSeconds, 2)),
            JSONMember("max_rss_bytes", .integer(Int64(status.peakBytes))), JSONMember("restarts", .integer(Int64(status.restarts))),
            JSONMember("exit_code", status.exit.map { .integer(Int64($0.code)) } ?? .null),
        ])
    }

    /// Rounded to that many decimals; nil and NaN are null.
    private func number(_ value: Double?, _ digits: Int) -> JSONValue {
        guard let value, value.isFinite else { return .null }
        var factor = 1.0
        for _ in 0..<digits { factor *= 10 }
        return .number((value * factor).rounded() / factor)
    }

    // MARK: For people

    var table: [String] {
        typealias View = StatusView
        let seconds = run.durationSeconds
        var lines = [
            "\(run.useCase): \(View.decimal(seconds, 1)) s, \(View.grouped(counts[.events])) events"
                + (unsettled == 0 ? ", every one accounted for." : ", \(View.grouped(unsettled)) NOT accounted for.")
        ]
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
                        + "   anomalies \(View.grouped(set.anomalies))")
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
        if let recall = detection.recall {
            let share: (Double?) -> String = { $0.map { View.decimal($0, 3) } ?? "-" }
            lines.append(
                View.pad("detection", 18) + "\(View.grouped(detection.labelledAnomalies)) labelled   recall \(share(recall))"
                    + "   false-positive rate \(share(detection.falsePositiveRate))")
            lines.append(
                View.pad("", 18) + "precision \(share(detection.precision))   average precision \(share(detection.averagePrecision))")
        } else {
            lines.append(View.pad("detection", 18) + "no labelled anomaly in this run")
        }
        lines += qualityTable
        if let baseline {
            let sign = baseline.direction == .up ? "≥" : "≤"
            let cut = baseline.cut.map { "\(baseline.field) \(sign) \(NumberText.string($0))" } ?? "no cut on \(baseline.field)"
            lines.append(
                View.pad("best fixed cut", 18)
                    + "\(cut)   recall \(View.decimal(baseline.recall, 3))   false-positive rate \(View.decimal(baseline.falsePositiveRate, 3))"
            )
        }
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

    /// Nothing without labels.
    private var qualityTable: [String] {
        typealias View = StatusView
        guard let recall = quality.recall else { return [] }
        let precision = quality.precision.map { View.decimal($0, 3) } ?? "-"
        var lines = [
            View.pad("by episode", 18) + "\(View.grouped(quality.found)) of \(View.grouped(quality.episodes)) found (\(View.decimal(recall, 3)))"
                + "   precision of alerts \(precision)"
        ]
        if let falseAlerts = quality.falseAlertsPerEntityDay {
            let delay = quality.delay(quantile: 0.5).map { "   median delay \(View.decimal($0, 1)) s" } ?? ""
            lines.append(View.pad("", 18) + "\(View.decimal(falseAlerts, 2)) false alerts an entity and day" + delay)
        }
        if quality.kinds.count > 1 {
            for kind in quality.kinds {
                lines.append(View.pad("", 18) + "\(kind.name): \(View.grouped(kind.found)) of \(View.grouped(kind.episodes))")
            }
        }
        return lines
    }
}
