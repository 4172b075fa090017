import Contracts
import Features
import JSON
import KafkaClient
import Quality
import ServiceKit
import Streaming

/// Turns records into entries of the books. One thread's own; allocates for alerts only.
struct FlowReader {
    var account: FlowAccount
    /// Alarms against truth, by episode.
    private(set) var matcher: EventMatcher
    private(set) var alerts: [AlertLine] = []
    private(set) var unreadable = 0

    /// The kind of each topic by the batch's index, filled as topics appear.
    private var kinds: [Kind] = []
    private let topics: Topics
    private let identity: JSONFields
    private let score: JSONFields
    private let label: JSONFields
    private let alert: JSONFields
    private let event: JSONFields?
    /// Nil where every set takes every event.
    private let eventKinds: EventKinds?
    private var identityBytes: [UInt8] = []
    private let sets: [[UInt8]]

    private enum Kind { case event, feature, score, anomaly, alert, deadLetter, label, other }

    init(_ facts: RunFacts, startedAt: Double) throws {
        account = FlowAccount(startedAt: startedAt, sets: facts.flowSets)
        matcher = EventMatcher(aftermath: facts.aftermath)
        topics = facts.topics
        sets = facts.flowSets.map { Array($0.name.utf8) }
        identity = try JSONFields(paths: ["id", "set", "is_anomaly", "revision"])
        alert = try JSONFields(paths: ["id", "event", "raised_by"])
        score = try JSONFields(paths: ScoreSlot.paths)
        label = try JSONFields(paths: LabelSlot.paths)
        eventKinds = facts.plan.flatMap { EventKinds($0) }
        if let baseline = facts.baseline { event = try JSONFields(paths: [baseline.path]) } else { event = nil }
    }

    /// - Parameter arrival: wall clock, milliseconds.
    mutating func read(_ record: ConsumedRecord, of batch: borrowing RecordBatch, arrival: Double) {
        while kinds.count < batch.topics.count { kinds.append(kind(of: batch.topics[kinds.count])) }
        switch kinds[record.topic] {
        case .event:
            let sets = record.value.flatMap { eventKinds?.sets(batch.bytes, $0) } ?? .max
            let id = headerID(record, batch)
            account.event(
                id, name: identityBytes[...], producedAt: record.timestamp, field: field(record, batch),
                taking: UInt16(truncatingIfNeeded: sets), arrival: arrival)
        case .deadLetter:
            account.deadLetter(headerID(record, batch))
        case .feature:
            guard let id = id(identity, record, batch, revision: 3), let set = set(identity) else { return }
            account.feature(id, set: set, name: identity.text[identity.slots[0].text], arrival: arrival)
        case .score:
            guard let id = id(score, record, batch, revision: ScoreSlot.revision), let set = set(score) else { return }
            let flagged = score.slots[3].number == 1
            account.score(
                id, set: set, score: score.slots[2].number, isAnomaly: flagged, arrival: arrival, producedAt: score.slots[5].integer)
            ScoreSlot.take(score, into: &matcher, now: arrival / 1_000)
        case .anomaly:
            // The end of an anomaly is told on the same topic.
            guard let id = id(identity, record, batch, revision: 3), let set = set(identity) else { return }
            if identity.slots[2].kind == .bool, identity.slots[2].number == 0 { return }
            account.anomaly(id, set: set)
        case .alert:
            guard let id = id(alert, record, batch) else { return }
            account.alert(id, raisedBy: alert.string(1) == "opened" ? alert.string(2).map { IdentityHash.of($0) } : nil, arrival: arrival)
            remember(record, batch)
        case .label:
            guard let id = id(label, record, batch) else { return }
            let isAnomaly = label.slots[1].number == 1
            account.label(id, isAnomaly: isAnomaly, ignore: label.slots[2].number == 1)
            LabelSlot.take(label, into: &matcher, now: arrival / 1_000)
        case .other: break
        }
    }

    private func kind(of topic: String) -> Kind {
        switch topic {
        case topics.events: .event
        case topics.features: .feature
        case topics.scores: .score
        case topics.anomalies: .anomaly
        case topics.alerts: .alert
        case topics.deadLetter: .deadLetter
        case topics.labels: .label
        default: .other
        }
    }

    /// Identity from the header, or from the record's place, as the services read it.
    private mutating func headerID(_ record: ConsumedRecord, _ batch: borrowing RecordBatch) -> UInt64 {
        batch.identity(of: record, into: &identityBytes)
        return IdentityHash.of(identityBytes, 0..<identityBytes.count)
    }

    /// Identity from the JSON; nil and counted when it has none. Each revision of a window is a record of its own, which owes and is owed a score.
    private mutating func id(
        _ fields: JSONFields, _ record: ConsumedRecord, _ batch: borrowing RecordBatch, revision slot: Int? = nil
    ) -> UInt64? {
        guard let value = record.value, case .ok = fields.read(batch.bytes, value), fields.slots[0].kind == .string else {
            unreadable += 1
            return nil
        }
        return IdentityHash.of(fields.text, fields.slots[0].text, revision: slot.map { fields.slots[$0].integer } ?? 0)
    }

    /// The place of the record's feature set; nil and counted when the use case has no such set.
    private mutating func set(_ fields: JSONFields) -> Int? {
        let name = fields.text[fields.slots[1].text]
        if let place = sets.firstIndex(where: { $0.elementsEqual(name) }) { return place }
        unreadable += 1
        return nil
    }

    private func field(_ record: ConsumedRecord, _ batch: borrowing RecordBatch) -> Double {
        guard let event, let value = record.value, case .ok = event.read(batch.bytes, value) else { return .nan }
        let slot = event.slots[0]
        return slot.kind == .number || slot.kind == .integer ? slot.number : .nan
    }

    private mutating func remember(_ record: ConsumedRecord, _ batch: borrowing RecordBatch) {
        guard let value = record.value, let json = try? JSONValue.parse(batch.bytes, value) else { return }
        let line = AlertLine(
            at: json["alerted_at"]?.integer ?? record.timestamp, title: json["title"]?.string ?? "", text: json["text"]?.string ?? "")
        alerts.append(line)
        if alerts.count > Observer.shownAlerts { alerts.removeFirst() }
    }
}
