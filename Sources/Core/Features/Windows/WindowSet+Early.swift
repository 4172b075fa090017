/// Early firing: while no events come, a clock may say that a window is probably whole. It is emitted then, and its panes are kept: only events
/// close a window for good. A window that changes afterwards is emitted again, whole, with a revision one higher.
///
/// Needs no constant cost, since it happens only while a partition is idle: an entity's panes are copied, and the copy goes through the very
/// merges that will close these windows. So what is emitted early equals, to the bit, what the window's closing would emit.
extension WindowSet {
    /// An event has come into windows of which some were emitted.
    @inline(never)
    mutating func noteChange(_ slot: Int, _ time: Int64) {
        guard let nextStart else { return }
        var start = min(CivilTime.floorDiv(time, program.slide) * program.slide, early.end - program.length)
        while start > time - program.length, start >= nextStart {
            early.change(slot, start)
            start -= program.slide
        }
    }

    /// Start of the last window to emit at a limit; no later one has anything.
    private func lastStart(_ limit: Int64, _ newest: Int64) -> Int64 {
        CivilTime.floorDiv(min(newest, limit - program.length), program.slide) * program.slide
    }

    /// Whether a window that ends at or before the limit may have something that was not emitted.
    /// - Parameter newest: newest event time of the partition.
    func isDue(_ limit: Int64, newest: Int64) -> Bool {
        guard let nextStart, !active.isEmpty else { return false }
        let last = lastStart(limit, newest)
        return last >= nextStart && (early.changedFrom <= last || last + program.length > early.end)
    }

    /// Emits every window that ends at or before the limit and has something that was not emitted: entities in the order of slots, the windows
    /// of each in theirs. Closes nothing.
    mutating func fire(
        _ limit: Int64, newest: Int64, _ table: inout EntityTable, _ changed: inout SlotSet, _ emissions: inout Emissions
    ) {
        guard isDue(limit, newest: newest), let first = nextStart else { return }
        let last = lastStart(limit, newest)
        // The first window that no firing has reached.
        let unfired = early.end == .min ? first : max(first, early.end - program.length + program.slide)
        early.changedFrom = .max
        for word in 0..<active.words.count {
            var bits = active.words[word]
            while bits != 0 {
                let slot = word * 64 + bits.trailingZeroBitCount
                bits &= bits - 1
                let newestPane = Int(table.words[table.base(slot) + offset + Track.ends] & 0xFFFF_FFFF)
                let isReached = unfired <= last && pool.number(newestPane) * pool.layout.length >= unfired
                if isReached || early.hasChange(slot, upTo: last) {
                    changed.insert(slot)
                    fire(slot, first...last, &table, &emissions)
                }
                early.noteChangesLeft(slot)
            }
        }
        early.end = max(early.end, last + program.length)
    }

    private mutating func fire(_ slot: Int, _ starts: ClosedRange<Int64>, _ table: inout EntityTable, _ emissions: inout Emissions) {
        var copy = copyTrack(table.words, table.base(slot) + offset)
        let oldest = pool.number(Int(copy[Track.ends] >> 32)) * pool.layout.length
        var start = max(starts.lowerBound, firstStart(endingAfter: oldest))
        while start <= starts.upperBound, copy[Track.ends] != 0 {
            let pane = gather(&copy, 0, start / pool.layout.length, (start + program.length) / pool.layout.length)
            if pane != 0 {
                if let revision = early.fire(slot, start) { emit(pane, slot, start, revision, &table, &emissions) }
                discard(pane, copy, 0)
            }
            release(&copy, 0, (start + program.slide) / pool.layout.length)
            start += program.slide
        }
        _ = giveBack(&copy, 0)
    }

    /// Copies all panes of a track.
    private mutating func copyTrack(_ words: [UInt64], _ track: Int) -> [UInt64] {
        let (closed, back) = (Int(words[track + Track.closed] & 0xFFFF_FFFF), Int(words[track + Track.closed] >> 32))
        var (head, tail, newClosed) = (0, 0, 0)
        var pane = Int(words[track + Track.ends] >> 32)
        while pane != 0 {
            let copy = pool.copy(pane)
            pool.link(copy, older: head)
            if head != 0 { pool.link(head, newer: copy) } else { tail = copy }
            if pane == closed { newClosed = copy }
            head = copy
            pane = pool.newer(pane)
        }
        let newBack = back == 0 ? 0 : pool.copy(back)
        return [UInt64(head) | UInt64(tail) << 32, UInt64(newClosed) | UInt64(newBack) << 32, words[track + Track.frontEnd]]
    }
}

/// What was emitted of the windows of one set that are not closed yet: a row for each window of an entity that was emitted, or that changed after
/// windows of its end were. A row leaves with its window, so there is at most one for each window that has panes.
struct EarlyWindows {
    struct Row: Equatable {
        var start: Int64
        /// How often it was emitted; the revision of the next time.
        var emitted: UInt32
        /// Whether it has changed since.
        var isChanged: Bool
    }

    /// End of the last window that was emitted early: an event before it comes into windows that were emitted.
    var end: Int64 = .min
    /// No changed window starts before this.
    var changedFrom: Int64 = .max
    /// No window was emitted more often than this.
    private(set) var most: UInt32 = 0
    /// How often a changed window without a row counts as emitted: 0, but where state is rebuilt and only `most` is known.
    private var assumed: UInt32 = 0
    /// By slot, each in the order of starts.
    private(set) var rows: [[Row]] = []

    subscript(_ slot: Int) -> [Row] { slot < rows.count ? rows[slot] : [] }

    private func place(_ slot: Int, _ start: Int64) -> (index: Int, isThere: Bool) {
        // Almost always one of the last few.
        var index = rows[slot].count
        while index > 0, rows[slot][index - 1].start >= start { index -= 1 }
        return (index, index < rows[slot].count && rows[slot][index].start == start)
    }

    private mutating func reach(_ slot: Int) {
        while slot >= rows.count { rows.append([]) }
    }

    mutating func change(_ slot: Int, _ start: Int64) {
        reach(slot)
        changedFrom = min(changedFrom, start)
        let (index, isThere) = place(slot, start)
        guard !isThere else {
            rows[slot][index].isChanged = true
            return
        }
        rows[slot].insert(Row(start: start, emitted: assumed, isChanged: true), at: index)
    }

    func hasChange(_ slot: Int, upTo last: Int64) -> Bool {
        slot < rows.count && rows[slot].contains { $0.isChanged && $0.start <= last }
    }

    mutating func noteChangesLeft(_ slot: Int) {
        guard slot < rows.count else { return }
        for row in rows[slot] where row.isChanged { changedFrom = min(changedFrom, row.start) }
    }

    /// The window is about to be emitted although it is open.
    /// - Returns: its revision; nil where it has not changed since the last time.
    mutating func fire(_ slot: Int, _ start: Int64) -> UInt32? {
        reach(slot)
        let (index, isThere) = place(slot, start)
        guard isThere else {
            rows[slot].insert(Row(start: start, emitted: 1, isChanged: false), at: index)
            most = max(most, 1)
            return 0
        }
        guard rows[slot][index].isChanged else { return nil }
        rows[slot][index].isChanged = false
        rows[slot][index].emitted += 1
        most = max(most, rows[slot][index].emitted)
        return rows[slot][index].emitted - 1
    }

    /// The window is closed.
    /// - Returns: the revision under which to emit it; nil where that was done and it has not changed since.
    mutating func close(_ slot: Int, _ start: Int64) -> UInt32? {
        guard slot < rows.count else { return 0 }
        let (index, isThere) = place(slot, start)
        guard isThere else { return 0 }
        let row = rows[slot].remove(at: index)
        return row.isChanged ? row.emitted : nil
    }

    mutating func forget(_ slot: Int) {
        if slot < rows.count { rows[slot] = [] }
    }

    /// What is known of former emissions where state is rebuilt.
    mutating func assume(end: Int64, emitted: UInt32) { (self.end, most, assumed) = (end, emitted, emitted) }

    /// False when the rows are not in order.
    mutating func restore(_ slot: Int, _ restored: [Row]) -> Bool {
        guard zip(restored, restored.dropFirst()).allSatisfy({ $0.start < $1.start }) else { return false }
        if restored.isEmpty { return true }
        reach(slot)
        rows[slot] = restored
        most = restored.reduce(most) { max($0, $1.emitted) }
        noteChangesLeft(slot)
        return true
    }
}
