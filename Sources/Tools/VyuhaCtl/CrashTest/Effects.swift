import Contracts
import JSON
import KafkaClient
import Streaming

/// What a run has done to the world, by identity: every record of the derived topics and what Redis holds at the end.
struct Effects {
    /// One effect. Contents are compared by a 64-bit hash of their bytes without the fields that say when something was done.
    struct Effect: Equatable {
        var content: UInt64
        /// Of a window: how often it was written before. The highest counts.
        var revision: Int64 = 0
        /// How many raw records said it.
        var records = 1
        /// Whether they did not all say the same.
        var contradicts = false
        /// Where the first one was seen, for people who look into the records.
        var place: String
    }

    /// By topic without the use case's name (or `redis`), then by `IdentityHash`.
    private(set) var byKind: [String: [UInt64: Effect]] = [:]
    private(set) var unreadable = 0
    /// By topic, then by hash of the entity: a hash over the identities of its records in the order in which they were first seen.
    private(set) var orders: [String: [UInt64: UInt64]] = [:]
    private let identity: JSONFields
    private var identityBytes: [UInt8] = []
    /// When something was done, which differs between any two runs.
    private static let times = ["\"scored_at\":", "\"alerted_at\":"].map { Array($0.utf8) }

    init() throws(JSONError) { identity = try JSONFields(paths: ["id", "revision"]) }

    /// What lasts of a group of alerts: what began it, how many anomalies it had, and how bad the worst was.
    static func lasting(_ state: [UInt8]) -> [UInt8] {
        guard let json = try? JSONValue.parse(state) else { return state }
        return ["first", "since", "last", "anomalies", "worst", "severity"].flatMap { (json[$0]?.serialized ?? []) + [0] }
    }

    /// - Parameter kind: `features`, `scores`, `anomalies`, `alerts` or `dead-letter`.
    mutating func note(_ record: ConsumedRecord, of batch: borrowing RecordBatch, kind: String) {
        let id: UInt64
        var revision: Int64 = 0
        if kind == "dead-letter" {
            batch.identity(of: record, into: &identityBytes)
            id = IdentityHash.of(identityBytes, 0..<identityBytes.count)
        } else {
            guard let value = record.value, case .ok = identity.read(batch.bytes, value), identity.slots[0].kind == .string else {
                return unreadable += 1
            }
            id = IdentityHash.of(identity.text, identity.slots[0].text)
            revision = identity.slots[1].integer
        }
        let content = record.value.map { Self.content(batch.bytes, $0, hasTimes: kind != "features" && kind != "dead-letter") } ?? 0
        let entity = record.key.map { IdentityHash.of(batch.bytes, $0) }
        note(kind, id, content, revision: revision, entity: entity, place: "\(record.partition)@\(record.offset)")
    }

    mutating func note(
        _ kind: String, _ id: UInt64, _ content: UInt64, revision: Int64 = 0, entity: UInt64? = nil, place: @autoclosure () -> String
    ) {
        if var known = byKind[kind, default: [:]][id] {
            if revision < known.revision { return }
            if revision > known.revision { known = Effect(content: content, revision: revision, records: 0, place: known.place) }
            known.records += 1
            known.contradicts = known.contradicts || known.content != content
            byKind[kind, default: [:]][id] = known
        } else {
            byKind[kind, default: [:]][id] = Effect(content: content, revision: revision, place: place())
            // A repetition after a crash is no matter of order; what comes for the first time is.
            guard let entity else { return }
            let before = orders[kind, default: [:]][entity] ?? 0
            orders[kind, default: [:]][entity] = (before ^ id) &* 0x9e37_79b9_7f4a_7c15 &+ (before >> 29)
        }
    }

    func count(_ kind: String) -> Int { byKind[kind]?.count ?? 0 }

    /// Hash of the record without its times of doing.
    static func content(_ bytes: [UInt8], _ range: Range<Int>, hasTimes: Bool) -> UInt64 {
        guard hasTimes else { return IdentityHash.of(bytes, range) }
        var kept: [UInt8] = []
        kept.reserveCapacity(range.count)
        var index = range.lowerBound
        while index < range.upperBound {
            // A quote inside a string is escaped, so the name of a field cannot be part of one.
            if bytes[index] == UInt8(ascii: "\""), let name = times.first(where: { bytes[index..<range.upperBound].starts(with: $0) }) {
                index += name.count
                while index < range.upperBound, bytes[index] == UInt8(ascii: "-") || (48...57).contains(bytes[index]) { index += 1 }
            } else {
                kept.append(bytes[index])
                index += 1
            }
        }
        return IdentityHash.of(kept, 0..<kept.count)
    }
}

/// What a disturbed run did otherwise than the undisturbed one.
struct Verdict: Equatable {
    /// Effects that are missing.
    var lost = 0
    /// Effects that should not be there; with exactly-once also records that are there twice.
    var doubled = 0
    /// Effects with another content, or with two.
    var different = 0
    /// Some of each, for people: kind, what is wrong, where.
    var examples: [String] = []

    /// Entities, counted per topic, whose records came in the undisturbed run's order, and in another one.
    var inOrder = 0
    var outOfOrder = 0

    var isClean: Bool { lost == 0 && doubled == 0 && different == 0 && outOfOrder == 0 }

    /// - Parameter once: kinds of which each raw record counts, because their services write them in transactions.
    /// - Parameter lostState: stored state that was written over, a sentence each; counts as lost, since the results are right only as long as
    ///   Kafka still has the records to rebuild it from.
    init(undisturbed: Effects, disturbed: Effects, once: Set<String> = [], lostState: [String] = []) {
        lost = lostState.count
        lostState.forEach { tell($0) }
        for kind in Set(undisturbed.byKind.keys).union(disturbed.byKind.keys).sorted() {
            let (wanted, found) = (undisturbed.byKind[kind] ?? [:], disturbed.byKind[kind] ?? [:])
            for (id, effect) in wanted where found[id] == nil {
                lost += 1
                tell("\(kind): lost, undisturbed at \(effect.place)")
            }
            for (id, effect) in found {
                guard let other = wanted[id] else {
                    doubled += 1
                    tell("\(kind): should not be there, disturbed at \(effect.place)")
                    continue
                }
                if once.contains(kind), effect.records > 1 {
                    doubled += effect.records - 1
                    tell("\(kind): \(effect.records) records, disturbed at \(effect.place)")
                }
                if effect.contradicts || effect.content != other.content {
                    different += 1
                    tell("\(kind): different, undisturbed at \(other.place), disturbed at \(effect.place)")
                }
            }
        }
        compareOrders(undisturbed, disturbed)
    }

    /// An alert topic has the order in which a receiver got them, over partitions, so its order is that of no entity's events.
    private mutating func compareOrders(_ wanted: Effects, _ found: Effects) {
        for kind in ["features", "scores", "anomalies"] {
            for (entity, order) in wanted.orders[kind] ?? [:] {
                if found.orders[kind]?[entity] == order { inOrder += 1 } else { outOfOrder += 1 }
            }
        }
    }

    private mutating func tell(_ sentence: String) { if examples.count < 12 { examples.append(sentence) } }
}
