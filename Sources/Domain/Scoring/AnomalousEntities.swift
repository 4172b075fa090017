import Detectors
import Text

/// Which entities of a partition were anomalous when they were scored last, so that it can be said when they no longer are.
///
/// At most `limit` of them: when there are more, the end of those whose anomaly is oldest is not told. What is known depends on the order of
/// records alone, so a replay knows the same. One thread's own.
struct AnomalousEntities {
    /// Offset of the last anomaly by FNV-1a (64 bits) of feature set and entity: no allocation for an event, and two entities with the same
    /// are not met in practice.
    private var members: [UInt64: Int64] = [:]
    /// Those that came, went on or ended since the last snapshot.
    private var changed: Set<UInt64> = []
    /// Whether the next snapshot must replace what was stored.
    private var isNew = true
    private let limit: Int

    init(limit: Int) { self.limit = max(limit, 8) }

    var count: Int { members.count }

    /// - Parameter offset: the record that is anomalous; larger than any before.
    mutating func began(_ set: Int, _ entity: UnsafeRawBufferPointer, offset: Int64) {
        let key = Self.key(set, entity)
        if members.updateValue(offset, forKey: key) == nil, members.count > limit { forgetOldest() }
        note(key)
    }

    /// Whether it was anomalous until now. Costs nothing while nobody is.
    mutating func ended(_ set: Int, _ entity: UnsafeRawBufferPointer) -> Bool {
        guard !members.isEmpty else { return false }
        let key = Self.key(set, entity)
        guard members.removeValue(forKey: key) != nil else { return false }
        note(key)
        return true
    }

    /// While Redis takes no snapshots, changes are not collected for ever: all is written then.
    private mutating func note(_ key: UInt64) {
        guard !isNew else { return }
        changed.insert(key)
        guard changed.count > 2 * limit else { return }
        changed.removeAll()
        isNew = true
    }

    /// An eighth at once, so that it is worth the sorting.
    private mutating func forgetOldest() {
        for (key, _) in members.sorted(by: { $0.value < $1.value }).prefix(max(limit / 8, 1)) {
            members[key] = nil
            note(key)
        }
    }

    private static func key(_ set: Int, _ entity: UnsafeRawBufferPointer) -> UInt64 {
        var hash = FNV1a()
        hash.combine(word: UInt64(truncatingIfNeeded: set))
        hash.combine(entity)
        return hash.value
    }

    // MARK: Snapshots

    /// All, or what changed since the last call. Layout: whether it replaces what was before, then keys and their offsets; -1 for an anomaly
    /// that is over.
    mutating func write(whole: Bool, into writer: inout StateWriter) {
        let replaces = whole || isNew
        let keys = replaces ? Array(members.keys) : Array(changed)
        writer.write(replaces)
        writer.write(keys)
        writer.write(keys.map { members[$0] ?? -1 })
        changed.removeAll(keepingCapacity: true)
        isNew = false
    }

    /// Takes in what `write` wrote.
    mutating func read(from reader: inout StateReader) throws(DetectorError) {
        if try reader.flag() { members.removeAll() }
        let keys = try reader.uint64s()
        let offsets = try reader.int64s()
        guard keys.count == offsets.count else { throw reader.damaged("the anomalous entities are not whole") }
        for (key, offset) in zip(keys, offsets) { members[key] = offset < 0 ? nil : offset }
        changed.removeAll()
        isNew = false
    }
}
