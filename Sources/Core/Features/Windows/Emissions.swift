/// What a record that leaves the feature library tells.
public enum EmissionKind: UInt8, Sendable, CaseIterable {
    /// The vector of one event.
    case event
    /// The vector of one window of an entity.
    case window
    /// An entity has been silent for longer than expected.
    case missing
    /// An entity that was missing is back.
    case resumed
    /// An entity comes and goes.
    case flapping
    /// A value of an entity no longer changes.
    case stuck

    /// As it travels: the kind in a record's identity.
    public var name: String {
        switch self {
        case .event: "event"
        case .window: "window"
        case .missing: "missing"
        case .resumed: "resumed"
        case .flapping: "flapping"
        case .stuck: "stuck"
        }
    }
}

/// One record that leaves the feature library; its texts and numbers lie in the buffers of `Emissions`.
public struct Emission: Sendable, Equatable {
    /// Position in the plan's sets; -1 for records about silence.
    public var set: Int
    public var kind: EmissionKind
    /// In `Emissions.bytes`.
    public var entity: Range<Int>
    /// Of an event its own time; of a window its end; of silence the time at which it was noticed, in event time. Milliseconds.
    public var eventTime: Int64
    /// What the record covers: a window is `start ..< end`; for an event both are its time.
    public var start: Int64
    public var end: Int64
    /// In `Emissions.values`. Of an event or a window the set's features in order. `missing`: expected interval and silence so far in
    /// seconds; `resumed`: the silence in seconds; `flapping`: how often it went missing in the period; `stuck`: position of the field in
    /// the schema, its value, and for how many seconds it has not changed.
    public var values: Range<Int>
    /// How often the same window of the same entity was emitted before: each time whole, the highest revision is the one that counts. 0 for
    /// everything that is no window.
    public var revision: UInt32 = 0
    /// Of an event: it came too late for windows, its vector knows nothing of the events before it, and they will know nothing of it.
    public var isLate = false
}

/// Receives what events cause; made once and reused, so that nothing is allocated once it has grown.
///
/// The order is part of the contract: the same input gives the same records in the same order, so the position within one input offset
/// identifies a record.
public struct Emissions: Sendable {
    public private(set) var items: [Emission] = []
    /// Entities, UTF-8.
    public private(set) var bytes: [UInt8] = []
    /// Feature vectors.
    public private(set) var values: [Double] = []

    public init() {}

    /// Empties the buffers and keeps their capacity.
    public mutating func removeAll() {
        items.removeAll(keepingCapacity: true)
        bytes.removeAll(keepingCapacity: true)
        values.removeAll(keepingCapacity: true)
    }

    /// The entity of a record as text. Allocates.
    public func entity(of emission: Emission) -> String { String(decoding: bytes[emission.entity], as: UTF8.self) }

    /// The vector of a record as an array of its own. Allocates.
    public func vector(of emission: Emission) -> [Double] { Array(values[emission.values]) }

    /// Adds the vector of an event; several sets of one event share the entity's bytes.
    mutating func append(
        set: Int, entity: Range<Int>, eventTime: Int64, isLate: Bool, registers: UnsafeMutableBufferPointer<Double>, outputs: [Int]
    ) {
        let first = values.count
        for register in outputs { values.append(registers[register]) }
        items.append(
            Emission(
                set: set, kind: .event, entity: entity, eventTime: eventTime, start: eventTime, end: eventTime, values: first..<values.count,
                isLate: isLate))
    }

    /// Adds the vector of a window.
    mutating func append(
        set: Int, slot: Int, _ table: inout EntityTable, start: Int64, end: Int64, revision: UInt32,
        registers: UnsafeMutableBufferPointer<Double>, outputs: [Int]
    ) {
        let name = bytes.count
        table.appendKey(slot, to: &bytes)
        let first = values.count
        for register in outputs { values.append(registers[register]) }
        items.append(
            Emission(
                set: set, kind: .window, entity: name..<bytes.count, eventTime: end, start: start, end: end, values: first..<values.count,
                revision: revision))
    }

    /// Adds a record about silence.
    mutating func append(_ kind: EmissionKind, slot: Int, _ table: EntityTable, at time: Int64, start: Int64, values numbers: [Double]) {
        let name = bytes.count
        table.appendKey(slot, to: &bytes)
        let first = values.count
        values.append(contentsOf: numbers)
        items.append(
            Emission(
                set: -1, kind: kind, entity: name..<bytes.count, eventTime: time, start: start, end: time, values: first..<values.count))
    }

    mutating func append(entity: [UInt8]) -> Range<Int> {
        let first = bytes.count
        bytes.append(contentsOf: entity)
        return first..<bytes.count
    }
}
