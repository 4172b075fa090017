import JSON

/// What the stream processor says about one event, one window, or an entity's silence: a named feature vector.
///
/// Wire form, one JSON object on `<uc>.features`; a missing feature is `null`:
/// `{"id":"trips:42","kind":"event","set":"trip","entity":"132","event_time":1546300850000,"produced_at":1763718000123,"offset":41,
///   "sequence":0,"features":{"fare_per_mile":2.9,"speed":null}}`
///
/// - `kind`: `event`, `window`, or about silence `missing`, `resumed`, `flapping`, `stuck`; the set of the latter is `silence`.
/// - `id`: an event's own; of everything else `<set>:<entity>:<start>:<end>:<kind>`, the same whenever the record is made again.
/// - `event_time`: of an event its own, of a window its end, in milliseconds; windows add `window_start` and `window_end`.
/// - `revision`: how often the same window was written before; left out where it is 0. A window that a pause made look complete, and that got
///   more events afterwards, is written again, whole, under the same `id`: the highest revision counts.
/// - `late`: `true` for an event that came too late for windows; left out otherwise. Its vector knows no event before it. Neither it nor a
///   revision above 0 is to be learned from: a score only.
/// - `offset`, `sequence`: which record of the partition of the same number caused it, and its ordinal within that offset; -1 for what the clock decided
///   before that record came.
public final class FeatureRecordWriter: Sendable {
    /// What is the same in every record, escaped once, one after the other: a part per case of `Part`, then each feature's name. One array,
    /// since one for each would cost more in reference counts than in copying.
    private let texts: [UInt8]
    /// Where each part ends.
    private let ends: [Int]

    private enum Part: Int {
        case id, kindSetAndEntity, eventTime, windowStart, windowEnd, revision, late, producedAt, offset, sequence, features, names
    }

    /// The set of records about silence. Each kind has the features that say something about it: of `missing` the expected interval and
    /// the silence so far, of `resumed` the silence, of `flapping` how often the entity went missing, of `stuck` the position of the field in
    /// the schema, its value and how long it has not changed; times in seconds.
    public static let silenceSet = (
        name: "silence", features: ["expected_interval", "silence", "times_missing", "field", "value", "unchanged"]
    )

    /// - Parameters:
    ///   - set: name of the feature set.
    ///   - kind: of every record that this writes.
    ///   - features: names in vector order.
    public init(set: String, kind: String, features: [String]) {
        var fixed = JSONWriter(capacity: 64)
        fixed.key("kind")
        fixed.value(kind)
        fixed.key("set")
        fixed.value(set)
        fixed.key("entity")
        let times = ["event_time", "window_start", "window_end", "revision", "late", "produced_at", "offset", "sequence", "features"]
        var (texts, ends): ([UInt8], [Int]) = ([], [])
        for part in [JSONWriter.escapedKey("id"), fixed.bytes] + (times + features).map({ JSONWriter.escapedKey($0) }) {
            texts += part
            ends.append(texts.count)
        }
        (self.texts, self.ends) = (texts, ends)
    }

    /// Everything of a record but its vector; strings are UTF-8.
    public struct Head {
        public var id: UnsafeRawBufferPointer
        public var entity: UnsafeRawBufferPointer
        /// Milliseconds since the epoch.
        public var eventTime: Int64
        /// Of a window, end exclusive, milliseconds; nil for everything else.
        public var window: Range<Int64>?
        /// Kafka timestamp of the event that caused the record, milliseconds.
        public var producedAt: Int64
        public var offset: Int64
        public var sequence: Int
        /// How often the window was written before.
        public var revision: UInt32
        /// Whether the event came too late for windows.
        public var isLate: Bool

        public init(
            id: UnsafeRawBufferPointer, entity: UnsafeRawBufferPointer, eventTime: Int64, window: Range<Int64>?, producedAt: Int64,
            offset: Int64, sequence: Int, revision: UInt32 = 0, isLate: Bool = false
        ) {
            self.id = id
            self.entity = entity
            self.eventTime = eventTime
            self.window = window
            self.producedAt = producedAt
            self.offset = offset
            self.sequence = sequence
            self.revision = revision
            self.isLate = isLate
        }
    }

    /// Appends one record; no allocation once the writer's buffer has grown.
    /// - Parameter values: the vector, one value per feature; NaN means missing.
    public func write(_ head: Head, values: UnsafeBufferPointer<Double>, into writer: inout JSONWriter) {
        texts.withUnsafeBytes { texts in
            ends.withUnsafeBufferPointer { ends in
                func key(_ index: Int, _ writer: inout JSONWriter) {
                    writer.key(raw: UnsafeRawBufferPointer(rebasing: texts[(index == 0 ? 0 : ends[index - 1])..<ends[index]]))
                }
                func number(_ part: Part, _ value: Int64, _ writer: inout JSONWriter) {
                    key(part.rawValue, &writer)
                    writer.value(value)
                }
                writer.beginObject()
                key(Part.id.rawValue, &writer)
                writer.value(utf8: head.id)
                key(Part.kindSetAndEntity.rawValue, &writer)
                writer.value(utf8: head.entity)
                number(.eventTime, head.eventTime, &writer)
                if let window = head.window {
                    number(.windowStart, window.lowerBound, &writer)
                    number(.windowEnd, window.upperBound, &writer)
                }
                if head.revision > 0 { number(.revision, Int64(head.revision), &writer) }
                if head.isLate {
                    key(Part.late.rawValue, &writer)
                    writer.value(true)
                }
                number(.producedAt, head.producedAt, &writer)
                number(.offset, head.offset, &writer)
                number(.sequence, Int64(head.sequence), &writer)
                key(Part.features.rawValue, &writer)
                writer.beginObject()
                for index in 0..<ends.count - Part.names.rawValue {
                    key(Part.names.rawValue + index, &writer)
                    writer.value(values[index])
                }
                writer.endObject()
                writer.endObject()
            }
        }
    }
}

/// Reads feature records of a use case's feature sets. One per thread; no allocation per record.
public struct FeatureRecordReader {
    private let fields: JSONFields
    private let sets: [(name: [UInt8], slots: [Int])]

    /// - Parameter sets: name and feature names, in vector order, of each set.
    public init(sets: [(name: String, features: [String])]) throws(JSONError) {
        var paths = Slot.allCases.map(\.path)
        var index: [String: Int] = [:]
        var known: [(name: [UInt8], slots: [Int])] = []
        for set in sets {
            var slots: [Int] = []
            for feature in set.features {
                let slot = index[feature] ?? paths.count
                if slot == paths.count {
                    paths.append("features." + feature)
                    index[feature] = slot
                }
                slots.append(slot)
            }
            known.append((Array(set.name.utf8), slots))
        }
        self.sets = known
        fields = try JSONFields(paths: paths)
    }

    /// Slots before the features.
    private enum Slot: Int, CaseIterable {
        case id, kind, set, entity, eventTime, producedAt, offset, sequence, windowStart, windowEnd, revision, late
        var path: String {
            switch self {
            case .id: "id"
            case .kind: "kind"
            case .set: "set"
            case .entity: "entity"
            case .eventTime: "event_time"
            case .producedAt: "produced_at"
            case .offset: "offset"
            case .sequence: "sequence"
            case .windowStart: "window_start"
            case .windowEnd: "window_end"
            case .revision: "revision"
            case .late: "late"
            }
        }
    }

    /// Index of the record's feature set, in the order given to `init`.
    public private(set) var set = 0
    public private(set) var eventTime: Int64 = 0
    public private(set) var producedAt: Int64 = 0
    public private(set) var offset: Int64 = 0
    public private(set) var sequence: Int64 = 0
    /// Of a window, end exclusive, milliseconds.
    public private(set) var window: Range<Int64>?
    /// How often the same window was written before.
    public private(set) var revision: UInt32 = 0
    /// Whether the event came too late for windows.
    public private(set) var isLate = false

    /// Whether a learning model may learn from the record: it says something new, in its time.
    public var isNews: Bool { revision == 0 && !isLate }

    /// Reads the record in `bytes[range]`; its parts can then be asked for until the next call.
    /// - Returns: nil, or a sentence that says why this is not a feature record of this use case.
    public mutating func read(_ bytes: [UInt8], _ range: Range<Int>) -> String? {
        switch fields.read(bytes, range) {
        case .ok: break
        case .malformed(let reason): return "\(reason)"
        case .notAnObject: return "The record is not a JSON object."
        case .repeatedField(let slot): return "The field \(fields.paths[slot]) is given twice."
        }
        for slot in [Slot.id, .kind, .set, .entity] where fields.slots[slot.rawValue].kind != .string {
            return "The field \(slot.path) must be a string."
        }
        for slot in [Slot.eventTime, .producedAt, .offset, .sequence] where fields.slots[slot.rawValue].kind != .integer {
            return "The field \(slot.path) must be an integer."
        }
        let name = fields.text[fields.slots[Slot.set.rawValue].text]
        guard let known = sets.firstIndex(where: { $0.name.elementsEqual(name) }) else {
            return "The use case has no feature set \(String(decoding: name, as: UTF8.self))."
        }
        set = known
        eventTime = fields.slots[Slot.eventTime.rawValue].integer
        producedAt = fields.slots[Slot.producedAt.rawValue].integer
        offset = fields.slots[Slot.offset.rawValue].integer
        sequence = fields.slots[Slot.sequence.rawValue].integer
        let (start, end) = (fields.slots[Slot.windowStart.rawValue], fields.slots[Slot.windowEnd.rawValue])
        window = start.kind == .integer && end.kind == .integer && start.integer <= end.integer ? start.integer..<end.integer : nil
        let again = fields.slots[Slot.revision.rawValue]
        revision = again.kind == .integer ? UInt32(clamping: again.integer) : 0
        isLate = fields.slots[Slot.late.rawValue].number == 1
        return nil
    }

    /// The strings of the record live in `text`, at these ranges.
    public var text: [UInt8] { fields.text }
    public var id: Range<Int> { fields.slots[Slot.id.rawValue].text }
    public var kind: Range<Int> { fields.slots[Slot.kind.rawValue].text }
    public var entity: Range<Int> { fields.slots[Slot.entity.rawValue].text }

    /// Appends the feature vector of the record's set, NaN for what is missing or no number.
    public func appendVector(to matrix: inout [Double]) {
        for index in sets[set].slots {
            let slot = fields.slots[index]
            matrix.append(slot.kind == .number || slot.kind == .integer ? slot.number : .nan)
        }
    }
}
