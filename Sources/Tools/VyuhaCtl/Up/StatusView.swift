import ServiceKit

/// Everything that the live view shows, as plain values.
struct StatusSnapshot: Sendable {
    var useCase: String
    var title: String
    /// What is going on: "training", "running", "draining".
    var phase: String
    /// Seconds since events flow.
    var elapsed: Double
    /// Seconds; nil until it is stopped.
    var duration: Double?
    var observer: ObserverView
    /// Distinct ids a second, over the last few seconds.
    var rates: [Hop: Double]
    /// Records behind, by service.
    var behind: [String: Int]
    var services: [ServiceStatus]
    /// CPU share of one core by service, 0...
    var cpu: [String: Double]
    var predictURL: String
}

/// Draws the state of a run as lines of text; pure.
enum StatusView {
    static let width = 80
    static let height = 24

    /// The live view: at most 23 lines of at most 80 columns, so that 80 × 24 never scrolls.
    static func lines(_ status: StatusSnapshot) -> [String] {
        var lines: [String] = []
        let clock = time(status.elapsed) + (status.duration.map { " of " + time($0) } ?? "") + "  " + status.phase
        let name = "vyuha  \(status.useCase)  \(status.title)"
        lines.append(pad(fit(name, width - clock.count - 1), width - clock.count) + clock)
        lines.append("POST \(status.predictURL)")
        lines.append("")
        lines.append(row("", "total", "per s", "behind"))
        let behind: [Hop: String] = [.features: "stream-processor", .scores: "scoring-service", .alerts: "alert-sink"]
        for hop in Hop.allCases {
            let lag = behind[hop].flatMap { status.behind[$0] }.map(grouped) ?? ""
            lines.append(row(hop.title, grouped(status.observer.counts[hop]), rate(status.rates[hop] ?? 0), lag))
        }
        lines.append("event to score  \(latency(status.observer.scoreLatency))   event to alert  \(latency(status.observer.alertLatency))")
        lines.append("")
        lines.append(service("service", "state", "cpu", "memory", "restarts"))
        for entry in status.services where entry.isSuite {
            let cpu = status.cpu[entry.name].map { "\(Int(($0 * 100).rounded())) %" } ?? ""
            let memory = entry.sample.map { "\($0.residentBytes >> 20) MB" } ?? ""
            lines.append(service(entry.name, entry.state.word, cpu, memory, entry.restarts == 0 ? "" : "\(entry.restarts)"))
        }
        lines.append("")
        let room = max(0, height - 1 - lines.count)
        if status.observer.alerts.isEmpty { lines.append("No alert yet.") }
        for alert in status.observer.alerts.suffix(room / 2).reversed() { lines += words(alert) }
        return lines.prefix(height - 1).map { fit($0, width) }
    }

    /// One line for a log or a pipe.
    static func plain(_ status: StatusSnapshot) -> String {
        let counts = status.observer.counts
        let behind = status.behind.values.reduce(0, +)
        let restarts = status.services.reduce(0) { $0 + $1.restarts }
        return
            "\(time(status.elapsed))  events \(grouped(counts[.events])) (\(rate(status.rates[.events] ?? 0))/s)  scores \(grouped(counts[.scores]))"
            + "  behind \(grouped(behind))  event to score \(latency(status.observer.scoreLatency))"
            + "  anomalies \(grouped(counts[.anomalies]))  alerts \(grouped(counts[.alerts]))  dead letters \(grouped(counts[.deadLetters]))"
            + (restarts > 0 ? "  restarts \(restarts)" : "")
    }

    /// An alert in words, the newest on top: when and what, and below it why.
    static func words(_ alert: AlertLine) -> [String] {
        let clock = Clock.iso8601(milliseconds: alert.at).dropFirst(11).prefix(8)
        return [plainText("\(clock) \(alert.title)"), plainText("         \(alert.text)")]
    }

    // MARK: Parts

    private static func row(_ name: String, _ total: String, _ rate: String, _ behind: String) -> String {
        pad(name, 14) + padLeft(total, 14) + padLeft(rate, 10) + padLeft(behind, 10)
    }

    private static func service(_ name: String, _ state: String, _ cpu: String, _ memory: String, _ restarts: String) -> String {
        pad(name, 18) + pad(state, 12) + padLeft(cpu, 8) + padLeft(memory, 10) + padLeft(restarts, 10)
    }

    static func latency(_ value: (p50: Double, p99: Double)?) -> String {
        guard let value else { return "-" }
        return "p50 \(milliseconds(value.p50)) p99 \(milliseconds(value.p99))"
    }

    /// `3.2 ms`, `48 ms`, `1.5 s`.
    static func milliseconds(_ value: Double) -> String {
        if value < 10 { return decimal(value, 1) + " ms" }
        if value < 1_000 { return "\(Int(value.rounded())) ms" }
        return decimal(value / 1000, 1) + " s"
    }

    /// With that many decimals.
    static func decimal(_ value: Double, _ digits: Int) -> String {
        guard value.isFinite else { return "-" }
        var factor = 1.0
        for _ in 0..<digits { factor *= 10 }
        let scaled = Int64((abs(value) * factor).rounded())
        let (whole, part) = (scaled / Int64(factor), scaled % Int64(factor))
        let sign = value < 0 && scaled > 0 ? "-" : ""
        guard digits > 0 else { return sign + "\(whole)" }
        return sign + "\(whole)." + padLeft("\(part)", digits, with: "0")
    }

    static func rate(_ value: Double) -> String { value < 10 && value > 0 ? decimal(value, 1) : grouped(Int(value.rounded())) }

    /// `1,234,567`.
    static func grouped(_ value: Int) -> String {
        let digits = Array(String(abs(value)))
        var result = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { result.append(",") }
            result.append(digit)
        }
        return (value < 0 ? "-" : "") + result
    }

    /// `01:05`, `1:00:05`.
    static func time(_ seconds: Double) -> String {
        let whole = Int(max(0, seconds))
        let tail = padLeft("\(whole / 60 % 60)", 2, with: "0") + ":" + padLeft("\(whole % 60)", 2, with: "0")
        return whole >= 3600 ? "\(whole / 3600):" + tail : tail
    }

    /// Data must not move the cursor or change colours: control characters become spaces.
    static func plainText(_ text: String) -> String {
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            result.append(scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value) ? " " : scalar)
        }
        return String(result)
    }

    static func fit(_ text: String, _ columns: Int) -> String {
        text.count <= columns ? text : String(text.prefix(max(0, columns - 1))) + "…"
    }

    static func pad(_ text: String, _ columns: Int) -> String {
        text.count >= columns ? text : text + String(repeating: " ", count: columns - text.count)
    }

    static func padLeft(_ text: String, _ columns: Int, with filler: Character = " ") -> String {
        text.count >= columns ? text : String(repeating: filler, count: columns - text.count) + text
    }
}
