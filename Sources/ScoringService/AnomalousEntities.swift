/// Which entities were anomalous when they were scored last, so that it can be said when they no longer are.
///
/// In memory only: a scorer that restarts forgets, and whoever waits for the end of an anomaly learns of it from silence. At most `limit`
/// entities; of further ones no end is told. One thread; a batch that is handled again is told the same again.
struct AnomalousEntities {
    private static let limit = 100_000

    /// FNV-1a (64 bits) of feature set and entity: no allocation for an event, and two entities with the same are not met in practice.
    private var members: Set<UInt64> = []
    /// What the batch at hand has changed: members that it added or, if not, removed.
    private var changes: [(key: UInt64, isNew: Bool)] = []

    /// Before a batch: what an attempt at it has changed already is taken back.
    mutating func begin() {
        for change in changes.reversed() {
            if change.isNew { members.remove(change.key) } else { members.insert(change.key) }
        }
        changes.removeAll(keepingCapacity: true)
    }

    /// The batch's effects are durable.
    mutating func keep() { changes.removeAll(keepingCapacity: true) }

    mutating func began(_ set: Int, _ entity: UnsafeRawBufferPointer) {
        let key = Self.key(set, entity)
        if members.count < Self.limit, members.insert(key).inserted { changes.append((key, true)) }
    }

    /// Whether it was anomalous until now. Costs nothing while nobody is.
    mutating func ended(_ set: Int, _ entity: UnsafeRawBufferPointer) -> Bool {
        guard !members.isEmpty else { return false }
        let key = Self.key(set, entity)
        guard members.remove(key) != nil else { return false }
        changes.append((key, false))
        return true
    }

    private static func key(_ set: Int, _ entity: UnsafeRawBufferPointer) -> UInt64 {
        var hash = (0xCBF2_9CE4_8422_2325 ^ UInt64(truncatingIfNeeded: set)) &* 0x100_0000_01B3
        for byte in entity { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return hash
    }
}
