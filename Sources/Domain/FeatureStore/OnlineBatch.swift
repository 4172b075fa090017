import Text

/// The newest record per entity of one batch of feature records.
///
/// A busy entity has many records in a batch and only the newest of them can matter to the online store, so the batch is reduced before
/// anything is sent. One thread. The memory is reused over ``removeAll()``: no allocation per record once warm.
///
/// Cost: one hash and one comparison of the entity's bytes per record, about 50 ns.
public struct OnlineBatch {
    /// One entity: where its strings lie in `bytes`; its vector is at its own place in `vectors`.
    struct Entry {
        let entity: Range<Int>
        let hash: UInt64
        var id: Range<Int>
        var eventTime: Int64
        var offset: Int64
        var partition: Int32
        /// Records of this batch came from another partition too.
        var isInTwoPartitions = false
    }

    /// Values of a record.
    public let features: Int
    /// Records added since ``removeAll()``.
    public private(set) var records = 0
    /// Distinct entities among them.
    public var entities: Int { entries.count }

    private(set) var entries: [Entry] = []
    private(set) var bytes: [UInt8] = []
    /// [entity × feature], in the order of `entries`.
    private(set) var vectors: [Double] = []
    /// Open addressing with linear probing; indexes of `entries`, -1 for a free place; a power of two, at most half full.
    private var table: [Int32] = Array(repeating: -1, count: 64)

    public init(features: Int) { self.features = features }

    /// Forgets the records and keeps the memory.
    public mutating func removeAll() {
        records = 0
        entries.removeAll(keepingCapacity: true)
        bytes.removeAll(keepingCapacity: true)
        vectors.removeAll(keepingCapacity: true)
        for index in table.indices { table[index] = -1 }
    }

    /// Takes the record if it is newer, by (event time, offset), than what the batch has of its entity.
    ///
    /// - Parameters:
    ///   - entity: UTF-8.
    ///   - id: the event's id, UTF-8.
    ///   - eventTime: milliseconds since the epoch.
    ///   - offset: of the event in its partition.
    ///   - partition: where the record came from; all of an entity belong into one.
    ///   - vector: the values, from index `start` on; NaN means missing.
    public mutating func add(
        entity: UnsafeRawBufferPointer, id: UnsafeRawBufferPointer, eventTime: Int64, offset: Int64, partition: Int32 = 0, vector: [Double],
        at start: Int = 0
    ) {
        records += 1
        let hash = Self.hash(entity)
        let place = place(of: entity, hash)
        let known = Int(table[place])
        if known >= 0 {
            let held = entries[known]
            if held.partition != partition { entries[known].isInTwoPartitions = true }
            guard (eventTime, offset) > (held.eventTime, held.offset) else { return }
            entries[known].eventTime = eventTime
            entries[known].offset = offset
            entries[known].partition = partition
            entries[known].id = append(id)
            for index in 0..<features { vectors[known * features + index] = vector[start + index] }
            return
        }
        table[place] = Int32(entries.count)
        entries.append(Entry(entity: append(entity), hash: hash, id: append(id), eventTime: eventTime, offset: offset, partition: partition))
        for index in 0..<features { vectors.append(vector[start + index]) }
        if entries.count * 2 > table.count { grow() }
    }

    /// The same with strings, for callers that are not in a hurry.
    public mutating func add(entity: String, id: String, eventTime: Int64, offset: Int64, partition: Int32 = 0, vector: [Double]) {
        let (entity, id) = (Array(entity.utf8), Array(id.utf8))
        entity.withUnsafeBytes { entity in
            id.withUnsafeBytes { id in add(entity: entity, id: id, eventTime: eventTime, offset: offset, partition: partition, vector: vector) }
        }
    }

    private mutating func append(_ text: UnsafeRawBufferPointer) -> Range<Int> {
        let start = bytes.count
        bytes.append(contentsOf: text)
        return start..<bytes.count
    }

    /// The place in the table that holds the entity, or the free one where it belongs.
    private func place(of entity: UnsafeRawBufferPointer, _ hash: UInt64) -> Int {
        let mask = table.count - 1
        var place = Int(truncatingIfNeeded: hash) & mask
        while table[place] >= 0 {
            let entry = entries[Int(table[place])]
            if entry.hash == hash, bytes[entry.entity].elementsEqual(entity) { break }
            place = (place + 1) & mask
        }
        return place
    }

    private mutating func grow() {
        let mask = table.count * 2 - 1
        table = Array(repeating: -1, count: table.count * 2)
        for (index, entry) in entries.enumerated() {
            var place = Int(truncatingIfNeeded: entry.hash) & mask
            while table[place] >= 0 { place = (place + 1) & mask }
            table[place] = Int32(index)
        }
    }

    /// FNV-1a, its upper half folded in: entities are short, and a batch bounds what a flood of collisions can cost.
    private static func hash(_ text: UnsafeRawBufferPointer) -> UInt64 {
        let hash = FNV1a.hash(text)
        return hash ^ (hash >> 32)
    }
}
