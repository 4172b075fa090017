import Glibc
import ServiceKit

/// Shows how far the source is: a live bar on a terminal, one plain line a minute elsewhere.
struct Progress {
    private let isTerminal: Bool
    private let log: Logger
    private let began = Clock.monotonicSeconds
    private var firstFraction: Double?
    private var lastShown: Double
    private var lastCount: Int64 = 0

    init(log: Logger, isTerminal: Bool = isatty(2) == 1) {
        self.log = log
        self.isTerminal = isTerminal
        lastShown = began
    }

    private var interval: Double { isTerminal ? 0.2 : 60 }

    /// Cheap unless something is due to be shown. `fraction` is 0...1, nil for an endless run.
    mutating func update(count: Int64, fraction: @autoclosure () -> Double?) {
        let now = Clock.monotonicSeconds
        guard now - lastShown >= interval else { return }
        let rate = Double(count - lastCount) / (now - lastShown)
        lastShown = now
        lastCount = count
        let done = fraction()
        if firstFraction == nil { firstFraction = done }
        let left = remaining(done, elapsed: now - began)
        if isTerminal {
            Service.standardError("\r\u{1B}[K" + Self.bar(count: count, rate: rate, fraction: done, remaining: left))
        } else {
            log.info(
                "progress",
                [
                    "events": count, "events_per_second": rate.rounded(), "percent": done.map { "\(Int($0 * 100))" } ?? "endless",
                    "remaining": left.map(Self.clock) ?? "endless",
                ])
        }
    }

    /// Leaves the line of the bar.
    func finish() {
        if isTerminal, lastCount > 0 { Service.standardError("\n") }
    }

    private func remaining(_ fraction: Double?, elapsed: Double) -> Double? {
        guard let fraction, let first = firstFraction, fraction > first else { return nil }
        return elapsed * (1 - fraction) / (fraction - first)
    }

    /// `[#########···········]  45 %  1,234 events/s  00:12 left`.
    static func bar(count: Int64, rate: Double, fraction: Double?, remaining: Double?) -> String {
        let speed = grouped(Int64(rate.rounded())) + " events/s"
        guard let fraction else { return "\(grouped(count)) events  \(speed)" }
        let filled = Int((fraction * 20).rounded(.down))
        let bar = String(repeating: "#", count: filled) + String(repeating: "·", count: 20 - filled)
        let percent = Int(fraction * 100)
        return "[\(bar)] \(percent < 10 ? "  " : percent < 100 ? " " : "")\(percent) %  \(speed)"
            + (remaining.map { "  \(clock($0)) left" } ?? "")
    }

    /// `01:05`, or `2:01:05` from an hour on.
    static func clock(_ seconds: Double) -> String {
        let total = Int(min(seconds, 3_600_000).rounded())
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let tail = two(total / 60 % 60) + ":" + two(total % 60)
        return total >= 3_600 ? "\(total / 3_600):\(tail)" : tail
    }

    /// `1,234,567`.
    static func grouped(_ value: Int64) -> String {
        var text = ""
        for (index, digit) in String(value).reversed().enumerated() {
            if index > 0, index % 3 == 0, digit != "-" { text.append(",") }
            text.append(digit)
        }
        return String(text.reversed())
    }
}
