import Alerting
import Contracts
@preconcurrency import Glibc
import JSON
import ServiceKit
import UseCases

/// `alert-sink --check --input anomalies.jsonl`: the same stages over a file, with the events' own times as the clock and everything in memory.
///
/// A line is a record of `<uc>.anomalies`, or a line of `vyuhactl up --record`, which has it under `value`.
struct CheckRun {
    private struct Settings {
        let useCase: UseCase
        let input: String

        init?(_ reader: inout SettingsReader) {
            _ = reader.toggle("--check", "Print what would have been told, instead of telling it.")
            let useCase = reader.useCase()
            let input = reader.optionalString("--input", "File of anomalies, one JSON object a line; - is standard input.")
            if input == nil { reader.reject("--check needs --input FILE.") }
            guard let useCase, let input else { return nil }
            self.useCase = useCase
            self.input = input
        }
    }

    static func main() -> Never {
        let settings = Service.readSettings(
            "alert-sink --check", "Prints what would have been told, when, and why the rest would not.", switches: ["--check"], Settings.init)
        do {
            var run = try CheckRun(settings.useCase) { print($0) }
            try run.read(settings.input)
            run.finish()
            exit(0)
        } catch {
            Service.standardError("alert-sink --check: \(error)\n")
            exit(1)
        }
    }

    private struct Failure: Error, CustomStringConvertible { let description: String }

    private let text: AlertText
    private let policy: AlertPolicy
    private let decoder: AnomalyDecoder
    private let say: (String) -> Void
    private var timeline: AlertTimeline?
    private var line: Int64 = 0
    private var counts: [(String, Int)] = []

    init(_ useCase: UseCase, say: @escaping (String) -> Void) throws(JSONError) {
        text = AlertText(useCase)
        policy = useCase.alerts.policy
        decoder = try AnomalyDecoder()
        self.say = say
    }

    private mutating func read(_ path: String) throws {
        guard let file = path == "-" ? stdin : fopen(path, "r") else { throw Failure(description: "The file \(path) cannot be read.") }
        defer { if path != "-" { fclose(file) } }
        var buffer: UnsafeMutablePointer<CChar>?
        var capacity = 0
        defer { free(buffer) }
        while true {
            let length = getline(&buffer, &capacity, file)
            guard length >= 0, let buffer else { break }
            take(Array(UnsafeRawBufferPointer(start: buffer, count: length)))
        }
    }

    /// One line of the file.
    mutating func take(_ bytes: [UInt8]) {
        line += 1
        if bytes.allSatisfy({ $0 <= 0x20 }) { return }
        let whole = try? JSONValue.parse(bytes)
        let record = whole?["value"].map(\.serialized) ?? bytes
        let partition = Int32(truncatingIfNeeded: whole?["partition"]?.integer ?? 0)
        let source = Sighting.Source(partition: partition, offset: whole?["offset"]?.integer ?? line, timestamp: whole?["timestamp"]?.integer ?? -1)
        do {
            let sighting = try decoder.decode(record, 0..<record.count, source: source)
            var timeline = timeline ?? AlertTimeline(AlertEngine(policy), now: sighting.producedAt)
            timeline.advance(to: sighting.producedAt)
            tell(&timeline)
            let fate = timeline.take(sighting)
            explain(fate, sighting, timeline)
            tell(&timeline)
            self.timeline = timeline
        } catch {
            count("dead letters")
            say("line \(line): not an anomaly: \(error.detail)")
        }
    }

    /// After the last line time goes on until nothing is open.
    mutating func finish() {
        while var timeline, let next = timeline.next {
            timeline.advance(to: next)
            tell(&timeline)
            // A message of the same alert again and again has no end of its own.
            self.timeline = timeline
        }
        say(counts.map { "\($0.0) \($0.1)" }.joined(separator: ", "))
    }

    private mutating func tell(_ timeline: inout AlertTimeline) {
        for notice in timeline.takeNotices() {
            guard let record = text.record(notice) else { continue }
            count(notice.occasion.rawValue)
            let receivers = notice.to == [AlertEngine.everyone] ? "everyone" : notice.to.joined(separator: ", ")
            say("\(Clock.iso8601(milliseconds: notice.at))  TELL \(receivers): \(record.event) \(record.id) [\(record.severity)] \(record.title)")
            say("                          \(record.text)")
        }
    }

    private mutating func explain(_ fate: Fate, _ sighting: Sighting, _ timeline: AlertTimeline) {
        let reason: String
        switch fate {
        case .raised(let alert):
            count("begun")
            let due = timeline.book.groups.values.first { $0.alertID == alert && $0.phase == .waiting }?.dueAt
            guard let due else { return }
            reason = "begins \(alert), which is told at \(Clock.iso8601(milliseconds: due)) at the earliest"
        case .joined(let alert): reason = count("joined", "one more of \(alert)")
        case .silenced(let what): reason = count("silenced", what)
        case .inhibited(let rule): reason = count("inhibited", "inhibited by rule \(rule + 1)")
        case .seenBefore: reason = count("seen before", "seen before")
        case .cleared(let alert): reason = count("cleared", "the end of \(alert), unless anomalies come back")
        case .nothingToClear: reason = count("cleared", "normal again, and nothing was open")
        }
        say("\(Clock.iso8601(milliseconds: timeline.now))  -    \(sighting.labels.entity), \(sighting.id): \(reason)")
    }

    @discardableResult
    private mutating func count(_ name: String, _ reason: String = "") -> String {
        if let index = counts.firstIndex(where: { $0.0 == name }) { counts[index].1 += 1 } else { counts.append((name, 1)) }
        return reason
    }
}
