import Contracts
import JSON
import KafkaClient

/// Turns records into entries of the books. One thread's own; allocates for alerts only.
struct FlowReader {
    var account: FlowAccount
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

    private enum Kind { case event, feature, score, anomaly, alert, deadLetter, label, other }

    init(_ facts: RunFacts, startedAt: Double) throws(JSONError) {
        account = FlowAccount(startedAt: startedAt)
        topics = facts.topics
        identity = try JSONFields(paths: ["id", "is_anomaly"])
        alert = try JSONFields(paths: ["id", "event", "raised_by"])
        score = try JSONFields(paths: ["id", "score", "is_anomaly"])
        label = try JSONFields(paths: ["id", "label", "ignore"])
        if let baseline = facts.baseline { event = try JSONFields(paths: [baseline.path]) } else { event = nil }
    }

    /// - Parameter arrival: wall clock, milliseconds.
    mutating func read(_ record: ConsumedRecord, of batch: borrowing RecordBatch, arrival: Double) {
        while kinds.count < batch.topics.count { kinds.append(kind(of: batch.topics[kinds.count])) }
        switch kinds[record.topic] {
        case .event:
            account.event(headerID(record, batch), producedAt: record.timestamp, field: field(record, batch))
        case .deadLetter:
            account.deadLetter(headerID(record, batch))
        case .feature:
            guard let id = id(identity, record, batch) else { return }
            account.feature(id)
        case .score:
            guard let id = id(score, record, batch) else { return }
            account.score(id, score: score.slots[1].number, isAnomaly: score.slots[2].number == 1, arrival: arrival)
        case .anomaly:
            // The end of an anomaly is told on the same topic.
            guard let id = id(identity, record, batch), identity.slots[1].kind != .bool || identity.slots[1].number == 1 else { return }
            account.anomaly(id)
        case .alert:
            guard let id = id(alert, record, batch) else { return }
            account.alert(id, raisedBy: alert.string(1) == "opened" ? alert.string(2).map { IdentityHash.of($0) } : nil, arrival: arrival)
            remember(record, batch)
        case .label:
            guard let id = id(label, record, batch) else { return }
            account.label(id, isAnomaly: label.slots[1].number == 1, ignore: label.slots[2].number == 1)
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

    /// Identity from the header; a record of an outside producer is named by its place, as the services do.
    private func headerID(_ record: ConsumedRecord, _ batch: borrowing RecordBatch) -> UInt64 {
        if let range = batch.header("id", of: record) { return IdentityHash.of(batch.bytes, range) }
        return IdentityHash.of("\(batch.topics[record.topic])-\(record.partition)-\(record.offset)")
    }

    /// Identity from the JSON; nil and counted when it has none.
    private mutating func id(_ fields: JSONFields, _ record: ConsumedRecord, _ batch: borrowing RecordBatch) -> UInt64? {
        guard let value = record.value, case .ok = fields.read(batch.bytes, value), fields.slots[0].kind == .string else {
            unreadable += 1
            return nil
        }
        return IdentityHash.of(fields.text, fields.slots[0].text)
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
