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
/// - `offset`, `sequence`: which record of the partition of the same number caused it, and as the how manieth.
public struct FeatureRecordWriter {
    /// What is the same in every record, escaped once: the text before the entity, and each feature's name.
    private let kindAndSet: [UInt8]
    private let names: [[UInt8]]
    private static let id = Array("\"id\":".utf8)
    private static let eventTime = Array("\"event_time\":".utf8)
    private static let windowStart = Array("\"window_start\":".utf8)
    private static let windowEnd = Array("\"window_end\":".utf8)
    private static let producedAt = Array("\"produced_at\":".utf8)
    private static let offset = Array("\"offset\":".utf8)
    private static let sequence = Array("\"sequence\":".utf8)
    private static let features = Array("\"features\":".utf8)

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
        var writer = JSONWriter(capacity: 64)
        writer.key("kind")
        writer.value(kind)
        writer.key("set")
        writer.value(set)
        writer.key("entity")
        kindAndSet = writer.bytes
        names = features.map { JSONWriter.escapedKey($0) }
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

        public init(
            id: UnsafeRawBufferPointer, entity: UnsafeRawBufferPointer, eventTime: Int64, window: Range<Int64>?, producedAt: Int64,
            offset: Int64, sequence: Int
        ) {
            self.id = id
            self.entity = entity
            self.eventTime = eventTime
            self.window = window
            self.producedAt = producedAt
            self.offset = offset
            self.sequence = sequence
        }
    }

    /// Appends one record; no allocation once the writer's buffer has grown.
    /// - Parameters:
    ///   - values: holds the vector, one value per feature; NaN means missing.
    ///   - vector: where in `values`.
    public func write(_ head: Head, values: [Double], _ vector: Range<Int>, into writer: inout JSONWriter) {
        writer.beginObject()
        writer.key(raw: Self.id)
        writer.value(utf8: head.id)
        writer.key(raw: kindAndSet)
        writer.value(utf8: head.entity)
        writer.key(raw: Self.eventTime)
        writer.value(head.eventTime)
        if let window = head.window {
            writer.key(raw: Self.windowStart)
            writer.value(window.lowerBound)
            writer.key(raw: Self.windowEnd)
            writer.value(window.upperBound)
        }
        writer.key(raw: Self.producedAt)
        writer.value(head.producedAt)
        writer.key(raw: Self.offset)
        writer.value(head.offset)
        writer.key(raw: Self.sequence)
        writer.value(head.sequence)
        writer.key(raw: Self.features)
        writer.beginObject()
        for index in names.indices {
            writer.key(raw: names[index])
            writer.value(values[vector.lowerBound + index])
        }
        writer.endObject()
        writer.endObject()
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
        case id, kind, set, entity, eventTime, producedAt, offset, windowStart, windowEnd
        var path: String {
            switch self {
            case .id: "id"
            case .kind: "kind"
            case .set: "set"
            case .entity: "entity"
            case .eventTime: "event_time"
            case .producedAt: "produced_at"
            case .offset: "offset"
            case .windowStart: "window_start"
            case .windowEnd: "window_end"
            }
        }
    }

    /// Index of the record's feature set, in the order given to `init`.
    public private(set) var set = 0
    public private(set) var eventTime: Int64 = 0
    public private(set) var producedAt: Int64 = 0
    public private(set) var offset: Int64 = 0
    /// Of a window, end exclusive, milliseconds.
    public private(set) var window: Range<Int64>?

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
        for slot in [Slot.eventTime, .producedAt, .offset] where fields.slots[slot.rawValue].kind != .integer {
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
        let (start, end) = (fields.slots[Slot.windowStart.rawValue], fields.slots[Slot.windowEnd.rawValue])
        window = start.kind == .integer && end.kind == .integer && start.integer <= end.integer ? start.integer..<end.integer : nil
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
