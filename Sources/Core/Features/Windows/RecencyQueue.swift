/// Finds the least recently seen entity without touching anything when one is seen.
///
/// A heap of entities by the sequence number at which each was known to be seen last. The number may be outdated; then the entity was seen
/// since and goes back with its present one. So the answer is exact, and each sighting costs at most one such step, and only once the table
/// is full.
struct RecencyQueue {
    private var heap: [(seen: UInt64, slot: Int)] = []

    /// The slot that was seen least recently; it stays in the queue for its next owner.
    mutating func leastRecent(in table: EntityTable) -> Int {
        if heap.count != table.count {
            heap = (0..<table.count).map { (Self.seen($0, table), $0) }
            for root in stride(from: heap.count / 2, through: 0, by: -1) { sink(root) }
        }
        while true {
            let top = heap[0]
            let now = Self.seen(top.slot, table)
            if now == top.seen { return top.slot }
            heap[0].seen = now
            sink(0)
        }
    }

    private static func seen(_ slot: Int, _ table: EntityTable) -> UInt64 { table.words[table.base(slot) + EntityTable.Word.lastSeen] }

    private mutating func sink(_ root: Int) {
        var at = root
        while true {
            var least = at
            for child in [2 * at + 1, 2 * at + 2] where child < heap.count && heap[child].seen < heap[least].seen { least = child }
            if least == at { return }
            heap.swapAt(at, least)
            at = least
        }
    }
}
