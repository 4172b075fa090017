import Detectors
import Text

/// What a learning model remembers of the entities of one partition, bounded: when there are too many, those that were heard of least
/// recently are forgotten and start anew when they come back. One thread's own.
///
/// What is forgotten depends on the order of records alone, so a replay forgets the same.
final class EntityStates {
    /// By slot.
    var states: [DetectorState] = []
    private var names: [[UInt8]] = []
    /// Offset of the entity's last record; -1 for a free slot.
    private var lastUsed: [Int64] = []
    private var isDirty: [Bool] = []
    private var dirty: [Int] = []
    private var free: [Int] = []
    /// Free only when the batch is over: rows of this batch may still mean the former owner.
    private var freed: [Int] = []
    /// Forgotten since the last snapshot.
    private var forgotten: [[UInt8]] = []
    /// Hash table with linear probing: slot + 1, 0 for an empty place; a power of two, at most half full.
    private var table = [Int32](repeating: 0, count: 64)
    private var count = 0
    /// Whether the next snapshot must replace what was stored.
    private var isNew = true

    private let model: TrainedModel
    private let limit: Int
    private var evictions = 0

    init(_ model: TrainedModel, limit: Int) {
        self.model = model
        self.limit = max(limit, 8)
    }

    var entities: Int { count }

    /// How many were forgotten for want of room since the last call.
    func takeEvictions() -> Int {
        defer { evictions = 0 }
        return evictions
    }

    /// The slot of an entity, a new one where it is unknown.
    /// - Parameter offset: the record that speaks of it; larger than any before.
    func slot(of entity: ArraySlice<UInt8>, offset: Int64) -> Int {
        let name = model.stateScope == .stream ? [] : entity
        if let slot = find(name) {
            use(slot, offset)
            return slot
        }
        if count >= limit { forgetOldest() }
        let slot = add(Array(name), model.makeState())
        use(slot, offset)
        return slot
    }

    private func find(_ name: ArraySlice<UInt8>) -> Int? {
        var place = Self.hash(name) & (table.count - 1)
        while table[place] != 0 {
            let slot = Int(table[place]) - 1
            if names[slot].elementsEqual(name) { return slot }
            place = (place + 1) & (table.count - 1)
        }
        return nil
    }

    /// All rows of the batch are scored.
    func batchIsOver() {
        guard !freed.isEmpty else { return }
        for slot in freed { states[slot] = DetectorState() }
        free += freed
        freed.removeAll(keepingCapacity: true)
    }

    private func use(_ slot: Int, _ offset: Int64) {
        lastUsed[slot] = offset
        guard !isDirty[slot] else { return }
        isDirty[slot] = true
        dirty.append(slot)
    }

    private func add(_ name: [UInt8], _ state: DetectorState) -> Int {
        let slot = free.popLast() ?? states.count
        if slot == states.count {
            states.append(state)
            names.append(name)
            lastUsed.append(-1)
            isDirty.append(false)
        } else {
            (states[slot], names[slot], isDirty[slot]) = (state, name, false)
        }
        count += 1
        if 2 * (count + 1) > table.count { rebuild(size: 2 * table.count) } else { enter(slot) }
        return slot
    }

    private func enter(_ slot: Int) {
        var place = Self.hash(names[slot][...]) & (table.count - 1)
        while table[place] != 0 { place = (place + 1) & (table.count - 1) }
        table[place] = Int32(slot + 1)
    }

    /// The table anew, from the slots in use.
    private func rebuild(size: Int) {
        table = [Int32](repeating: 0, count: size)
        let unused = Set(free + freed)
        for slot in states.indices where !unused.contains(slot) { enter(slot) }
    }

    /// An eighth at once, so that it is worth the sorting.
    private func forgetOldest() {
        let unused = Set(free + freed)
        let oldest = states.indices.filter { !unused.contains($0) }.sorted { lastUsed[$0] < lastUsed[$1] }.prefix(max(limit / 8, 1))
        for slot in oldest { forgotten.append(names[slot]) }
        evictions += oldest.count
        remove(Set(oldest))
    }

    /// Rebuilds the table: many at once cost as much as one.
    private func remove(_ slots: Set<Int>) {
        dirty.removeAll { slots.contains($0) }
        for slot in slots { (lastUsed[slot], isDirty[slot]) = (-1, false) }
        freed += slots
        count -= slots.count
        rebuild(size: table.count)
    }

    /// The upper half is folded in, since the table takes the lowest bits only.
    private static func hash(_ name: ArraySlice<UInt8>) -> Int {
        let hash = FNV1a.hash(name)
        return Int(truncatingIfNeeded: hash ^ hash >> 32)
    }

    // MARK: Snapshots

    /// All entities, or those that changed since the last call. Layout: whether it replaces what was before, names forgotten, then for each
    /// entity its name, last offset, numbers and integers.
    func write(whole: Bool, into writer: inout StateWriter) {
        let unused = Set(free + freed)
        let slots = whole || isNew ? states.indices.filter { !unused.contains($0) } : dirty
        writer.write(whole || isNew)
        writer.write(UInt32(clamping: forgotten.count))
        for name in forgotten { writer.write(name) }
        writer.write(UInt32(clamping: slots.count))
        for slot in slots {
            writer.write(names[slot])
            writer.write(lastUsed[slot])
            writer.write(states[slot].numbers)
            writer.write(states[slot].integers)
        }
        for slot in dirty { isDirty[slot] = false }
        dirty.removeAll(keepingCapacity: true)
        forgotten.removeAll()
        isNew = false
    }

    /// Takes in what `write` wrote.
    func read(from reader: inout StateReader) throws(DetectorError) {
        if try reader.flag() {
            remove(Set(states.indices.filter { lastUsed[$0] >= 0 }))
            batchIsOver()
        }
        // One that was forgotten, came back and was forgotten again is named twice.
        var gone: Set<Int> = []
        for _ in 0..<(try reader.uint32()) {
            if let slot = find(try reader.bytesArray()[...]) { gone.insert(slot) }
        }
        if !gone.isEmpty { remove(gone) }
        batchIsOver()
        for _ in 0..<(try reader.uint32()) {
            let name = try reader.bytesArray()
            let offset = try reader.int64()
            let state = DetectorState(numbers: try reader.doubles(), integers: try reader.int64s())
            guard offset >= 0 else { throw reader.damaged("an entity has no offset") }
            let slot = slot(of: name[...], offset: offset)
            states[slot] = state
        }
        for slot in dirty { isDirty[slot] = false }
        dirty.removeAll(keepingCapacity: true)
        forgotten.removeAll()
        isNew = false
    }
}
