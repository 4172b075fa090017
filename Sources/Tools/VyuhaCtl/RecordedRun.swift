import CSVReader
import Glibc
import JSON
import Quality
import ServiceKit

/// The records of a run that `vyuhactl up --record` wrote, judged once more by the same code.
struct RecordedRun {
    private(set) var account: FlowAccount
    private(set) var matcher: EventMatcher
    /// Lines that are no record of a run.
    private(set) var unreadable = 0

    /// A line may hold the largest record that Kafka takes by default, as base64.
    private static let maximumBytes = 8 << 20

    /// Reads events, scores and labels from the folder; the figures need no other topic.
    init(_ facts: RunFacts, folder: String) throws {
        account = FlowAccount(startedAt: 0, sets: facts.flowSets)
        matcher = EventMatcher(aftermath: facts.aftermath)
        try readEvents(facts, folder)
        let names = facts.flowSets.map { Array($0.name.utf8) }
        // In the order of their arrival, as the observer saw them.
        try read(facts.topics.scores, in: folder, paths: ScoreSlot.paths.map { "value." + $0 }) { run, fields in
            let set = fields.text[fields.slots[1].text]
            guard fields.slots[0].kind == .string, let place = names.firstIndex(where: { $0.elementsEqual(set) }) else {
                run.unreadable += 1
                return
            }
            let id = IdentityHash.of(fields.text, fields.slots[0].text, revision: fields.slots[ScoreSlot.revision].integer)
            run.account.score(id, set: place, score: fields.slots[2].number, isAnomaly: fields.slots[3].number == 1, arrival: 0)
            ScoreSlot.take(fields, into: &run.matcher, now: 0)
        }
        // A run without labels has no such file.
        guard access(Self.path(facts.topics.labels, folder), F_OK) == 0 else { return }
        try read(facts.topics.labels, in: folder, paths: LabelSlot.paths.map { "value." + $0 }) { run, fields in
            guard fields.slots[0].kind == .string else {
                run.unreadable += 1
                return
            }
            let id = IdentityHash.of(fields.text, fields.slots[0].text)
            run.account.label(id, isAnomaly: fields.slots[1].number == 1, ignore: fields.slots[2].number == 1)
            LabelSlot.take(fields, into: &run.matcher, now: 0)
        }
    }

    func judgement(_ facts: RunFacts) -> Judgement { Judgement(account, matcher.figures(), baseline: facts.baseline) }

    private mutating func readEvents(_ facts: RunFacts, _ folder: String) throws {
        let paths = ["id"] + (facts.baseline.map { ["value." + $0.path] } ?? [])
        try read(facts.topics.events, in: folder, paths: paths) { run, fields in
            guard fields.slots[0].kind == .string else {
                run.unreadable += 1
                return
            }
            let id = IdentityHash.of(fields.text, fields.slots[0].text)
            let value = fields.slots.count > 1 ? fields.slots[1] : nil
            run.account.event(id, producedAt: 0, field: value.map { $0.kind == .number || $0.kind == .integer ? $0.number : .nan } ?? .nan)
        }
    }

    private static func path(_ topic: String, _ folder: String) -> String { folder + "/" + topic + ".jsonl" }

    private mutating func read(
        _ topic: String, in folder: String, paths: [String], _ take: (inout RecordedRun, JSONFields) -> Void
    ) throws {
        let path = Self.path(topic, folder)
        guard access(path, R_OK) == 0 else {
            throw CommandError("There is no \(path) to read; give the folder that `vyuhactl up --record` wrote, and the same use case.")
        }
        let lines = try LineReader(path: path, maximumLineBytes: Self.maximumBytes)
        let fields = try JSONFields(paths: paths, maximumBytes: Self.maximumBytes)
        while let status = try lines.next() {
            guard status == .ok, case .ok = fields.read(lines.bytes, lines.range) else {
                unreadable += 1
                continue
            }
            take(&self, fields)
        }
    }
}
