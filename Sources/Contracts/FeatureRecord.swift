import JSON

/// What the stream processor says about one event: a named feature vector.
///
/// Wire form, one JSON object on `<uc>.features`; a missing feature is `null`:
/// `{"id":"trips:42","kind":"event","set":"trip","entity":"132","event_time":1546300850000,"produced_at":1763718000123,"offset":41,
///   "features":{"fare_per_mile":2.9,"speed":null}}`
///
/// `kind` is `event` for a record made from one event. `offset` is that of the event in the partition of the same number.
public struct FeatureRecordWriter {
    private let set: [UInt8]
    private let names: [[UInt8]]

    /// - Parameters:
    ///   - set: name of the feature set.
    ///   - features: names in vector order.
    public init(set: String, features: [String]) {
        var writer = JSONWriter(capacity: 64)
        writer.value(set)
        self.set = writer.bytes
        names = features.map { JSONWriter.escapedKey($0) }
    }

    /// Appends one record; no allocation once the writer's buffer has grown.
    /// - Parameters:
    ///   - id: the event's id, UTF-8.
    ///   - entity: the event's entity, UTF-8.
    ///   - eventTime: milliseconds since the epoch.
    ///   - producedAt: Kafka timestamp of the event, milliseconds.
    ///   - offset: offset of the event in its partition.
    ///   - vector: one value per feature; NaN means missing.
    public func write(
        id: UnsafeRawBufferPointer, entity: UnsafeRawBufferPointer, eventTime: Int64, producedAt: Int64, offset: Int64,
        vector: [Double], into writer: inout JSONWriter
    ) {
        writer.beginObject()
        writer.key("id")
        writer.value(utf8: id)
        writer.key("kind")
        writer.value("event" as StaticString)
        writer.key("set")
        writer.raw(set)
        writer.key("entity")
        writer.value(utf8: entity)
        writer.key("event_time")
        writer.value(eventTime)
        writer.key("produced_at")
        writer.value(producedAt)
        writer.key("offset")
        writer.value(offset)
        writer.key("features")
        writer.beginObject()
        for index in names.indices {
            writer.key(raw: names[index])
            writer.value(vector[index])
        }
        writer.endObject()
        writer.endObject()
    }
}

/// Reads feature records of one feature set. One per thread; no allocation per record.
public struct FeatureRecordReader {
    private let fields: JSONFields
    private let features: Int
    private let set: [UInt8]

    public init(set: String, features: [String]) throws(JSONError) {
        self.set = Array(set.utf8)
        self.features = features.count
        fields = try JSONFields(paths: Slot.allCases.map(\.path) + features.map { "features." + $0 })
    }

    /// Slots before the features.
    private enum Slot: Int, CaseIterable {
        case id, set, entity, eventTime, producedAt, offset
        var path: String {
            switch self {
            case .id: "id"
            case .set: "set"
            case .entity: "entity"
            case .eventTime: "event_time"
            case .producedAt: "produced_at"
            case .offset: "offset"
            }
        }
    }

    /// What became of one record.
    public enum Outcome: Equatable {
        case record
        /// A record of another feature set: somebody else's work.
        case otherSet
        /// Not a feature record; the sentence says why.
        case bad(String)
    }

    public private(set) var eventTime: Int64 = 0
    public private(set) var producedAt: Int64 = 0
    public private(set) var offset: Int64 = 0

    /// Reads the record in `bytes[range]`. After `.record` its parts can be asked for until the next call.
    public mutating func read(_ bytes: [UInt8], _ range: Range<Int>) -> Outcome {
        switch fields.read(bytes, range) {
        case .ok: break
        case .malformed(let reason): return .bad("\(reason)")
        case .notAnObject: return .bad("The record is not a JSON object.")
        case .repeatedField(let slot): return .bad("The field \(fields.paths[slot]) is given twice.")
        }
        for slot in [Slot.id, .set, .entity] where fields.slots[slot.rawValue].kind != .string {
            return .bad("The field \(slot.path) must be a string.")
        }
        for slot in [Slot.eventTime, .producedAt, .offset] where fields.slots[slot.rawValue].kind != .integer {
            return .bad("The field \(slot.path) must be an integer.")
        }
        let name = fields.slots[Slot.set.rawValue].text
        guard fields.text[name].elementsEqual(set) else { return .otherSet }
        eventTime = fields.slots[Slot.eventTime.rawValue].integer
        producedAt = fields.slots[Slot.producedAt.rawValue].integer
        offset = fields.slots[Slot.offset.rawValue].integer
        return .record
    }

    /// The strings of the record live in `text`, at these ranges.
    public var text: [UInt8] { fields.text }
    public var id: Range<Int> { fields.slots[Slot.id.rawValue].text }
    public var entity: Range<Int> { fields.slots[Slot.entity.rawValue].text }

    /// Appends the feature vector, NaN for what is missing or no number.
    public func appendVector(to matrix: inout [Double]) {
        for index in 0..<features {
            let slot = fields.slots[Slot.allCases.count + index]
            matrix.append(slot.kind == .number || slot.kind == .integer ? slot.number : .nan)
        }
    }
}
