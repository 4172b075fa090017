import Text

/// The windows of one set in one partition: panes per entity, and which windows are still to be closed.
///
/// An entity's panes form a list from old to new. Those that lie before the end of the last closed window are closed themselves: no event
/// can reach them any more. A window is what its closed panes merge to, and to get that with a constant number of merges per pane, however
/// long the window is against its slide, the closed panes form a queue of two stacks (Tangwongsan, Hirzel, Schneider, Wu: "General
/// incremental sliding-window aggregation", VLDB 2015): each pane of the front holds the merger of itself and all newer panes of the front,
/// and one extra pane, the back, holds the merger of all closed panes that are newer than the front.
///
/// What is emitted before its window is closed is in `WindowSet+Early.swift`.
struct WindowSet {
    /// Words in the entity's block: its list and its stacks.
    enum Track {
        /// Lower half the newest pane, upper half the oldest.
        static let ends = 0
        /// Lower half the newest closed pane, upper half the back.
        static let closed = 1
        /// Number of the first pane that is newer than the front.
        static let frontEnd = 2
        static let count = 3
    }

    let program: WindowProgram
    /// Position in the plan's sets.
    let set: Int
    /// Where the track lies in an entity's block.
    let offset: Int
    var pool: PanePool
    /// Bit per slot: the entity has panes.
    var active = SlotSet()
    /// Start of the earliest window that is not closed yet; nil before the first event.
    var nextStart: Int64?
    /// What was emitted of windows that are not closed yet.
    var early = EarlyWindows()

    private var registers: [Double]
    /// Keeps reads ahead from being left out by the compiler.
    private var touched: UInt64 = 0
    private var paneStart: Int64 = .max
    private var paneNumber: Int64 = 0

    init(_ program: WindowProgram, set: Int, offset: Int) {
        self.program = program
        self.set = set
        self.offset = offset
        pool = PanePool(PaneLayout(program))
        registers = program.template
    }

    /// End of the next window to close.
    var nextEnd: Int64 { nextStart.map { $0 + program.length } ?? .max }

    /// Start of the earliest window that ends after a time.
    func firstStart(endingAfter time: Int64) -> Int64 {
        (CivilTime.floorDiv(time - program.length, program.slide) + 1) * program.slide
    }

    /// Takes an event that is not late. `block` is the entity's block.
    @inline(__always)
    mutating func add(_ words: inout [UInt64], _ block: Int, _ slot: Int, _ registers: UnsafePointer<Double>, _ time: Int64) {
        if time < paneStart || time - paneStart >= pool.layout.length {
            paneNumber = CivilTime.floorDiv(time, pool.layout.length)
            paneStart = paneNumber * pool.layout.length
        }
        let track = block + offset
        let newest = Int(words[track + Track.ends] & 0xFFFF_FFFF)
        if newest != 0, pool.number(newest) == paneNumber {
            pool.add(newest, registers, time)
        } else {
            let pane = find(&words, track, newest, slot)
            pool.add(pane, registers, time)
        }
        if time < early.end { noteChange(slot, time) }
    }

    /// The entity's pane of the present number, put in its place if there is none.
    private mutating func find(_ words: inout [UInt64], _ track: Int, _ newest: Int, _ slot: Int) -> Int {
        var newer = 0
        var older = newest
        while older != 0, pool.number(older) > paneNumber {
            newer = older
            older = pool.older(older)
        }
        if older != 0, pool.number(older) == paneNumber { return older }
        let pane = pool.take(number: paneNumber)
        pool.link(pane, older: older)
        pool.link(pane, newer: newer)
        if older != 0 { pool.link(older, newer: pane) }
        if newer != 0 { pool.link(newer, older: pane) }
        var (head, tail) = (newest, Int(words[track + Track.ends] >> 32))
        if newer == 0 { head = pane }
        if older == 0 { tail = pane }
        words[track + Track.ends] = UInt64(head) | UInt64(tail) << 32
        active.insert(slot)
        return pane
    }

    // MARK: Closing

    /// Says which windows can still come, given that no accepted event is older than the horizon.
    mutating func open(_ horizon: Int64) {
        if nextStart == nil { nextStart = firstStart(endingAfter: horizon) }
    }

    /// Closes every window that ends at or before the horizon and appends their vectors: window by window, entities in the order of slots.
    mutating func close(_ horizon: Int64, _ table: inout EntityTable, _ changed: inout SlotSet, _ emissions: inout Emissions) {
        guard var start = nextStart else { return }
        while start + program.length <= horizon {
            if active.isEmpty {
                start = max(start, firstStart(endingAfter: horizon))
                break
            }
            let hadPanes = closeWindow(start, &table, &changed, &emissions)
            start += program.slide
            // Nothing there: on to the next window that has anything, but never past one that an event may still reach.
            if !hadPanes { start = max(start, firstStart(endingAfter: min(oldestPane(table), horizon))) }
        }
        nextStart = start
    }

    /// Closes whatever is open.
    mutating func closeAll(_ table: inout EntityTable, _ changed: inout SlotSet, _ emissions: inout Emissions) {
        close(CivilTime.end + 2 * FeaturePlan.maximumWindow, &table, &changed, &emissions)
    }

    /// Start of the oldest pane that any entity still has, less than which no window need begin.
    private func oldestPane(_ table: EntityTable) -> Int64 {
        var least = Int64.max / 2
        active.forEach { slot in
            let oldest = Int(table.words[table.base(slot) + offset + Track.ends] >> 32)
            if oldest != 0 { least = min(least, pool.number(oldest) * pool.layout.length) }
        }
        return least == Int64.max / 2 ? 0 : least
    }

    /// - Returns: whether any entity had panes in it.
    private mutating func closeWindow(
        _ start: Int64, _ table: inout EntityTable, _ changed: inout SlotSet, _ emissions: inout Emissions
    ) -> Bool {
        var hadPanes = false
        let first = start / pool.layout.length
        let end = (start + program.length) / pool.layout.length
        let next = (start + program.slide) / pool.layout.length
        // What stays in the cache need not be fetched ahead.
        let isLarge = active.count > 2000
        for word in 0..<active.words.count {
            var bits = active.words[word]
            if bits != 0, isLarge { touched &+= touch(table, word: word) }
            while bits != 0 {
                let slot = word * 64 + bits.trailingZeroBitCount
                bits &= bits - 1
                changed.insert(slot)
                let track = table.base(slot) + offset
                let pane = gather(&table.words, track, first, end)
                if pane != 0 {
                    hadPanes = true
                    let wasEmitted = start + program.length <= early.end
                    if let revision = wasEmitted ? early.close(slot, start) : 0 { emit(pane, slot, start, revision, &table, &emissions) }
                    discard(pane, table.words, track)
                }
                release(&table.words, track, next)
                if table.words[track + Track.ends] == 0 { active.remove(slot) }
            }
        }
        return hadPanes
    }

    /// Merges the closed panes `first ..< end` of an entity. The pane with the result is the pool's scratch pane, the front's oldest or the
    /// back; 0 when there is none.
    mutating func gather(_ words: inout [UInt64], _ track: Int, _ first: Int64, _ end: Int64) -> Int {
        var tail = Int(words[track + Track.ends] >> 32)
        var closed = Int(words[track + Track.closed] & 0xFFFF_FFFF)
        var back = Int(words[track + Track.closed] >> 32)
        var frontEnd = Int64(bitPattern: words[track + Track.frontEnd])
        // Panes that have closed since join the back.
        var pane = closed == 0 ? tail : pool.newer(closed)
        while pane != 0, pool.number(pane) < end {
            if closed == 0 { frontEnd = pool.number(pane) }
            if back == 0 { back = pool.copy(pane) } else { pool.merge(back, newer: pane) }
            closed = pane
            pane = pool.newer(pane)
        }
        // Panes that no window needs any more leave the front.
        while tail != 0, pool.number(tail) < first, pool.number(tail) < frontEnd { tail = drop(tail, &closed) }
        if tail != 0, closed != 0, pool.number(tail) < first {
            // The front is used up, and the back holds panes that must leave: what remains of it becomes the front.
            while tail != 0, closed != 0, pool.number(tail) < first { tail = drop(tail, &closed) }
            pool.give(back)
            back = 0
            if closed != 0 {
                frontEnd = pool.number(closed) + 1
                var newer = closed
                while newer != tail {
                    let older = pool.older(newer)
                    pool.merge(older, newer: newer)
                    newer = older
                }
            }
        }
        let head = tail == 0 ? 0 : Int(words[track + Track.ends] & 0xFFFF_FFFF)
        words[track + Track.ends] = UInt64(head) | UInt64(tail) << 32
        words[track + Track.closed] = UInt64(closed) | UInt64(back) << 32
        words[track + Track.frontEnd] = UInt64(bitPattern: frontEnd)
        guard closed != 0 else { return 0 }
        let hasFront = pool.number(tail) < frontEnd
        if !hasFront { return back }
        if back == 0 { return tail }
        let scratch = pool.copy(tail)
        pool.merge(scratch, newer: back)
        return scratch
    }

    /// Gives back the oldest pane of a list and returns the one after it.
    private mutating func drop(_ pane: Int, _ closed: inout Int) -> Int {
        let newer = pool.newer(pane)
        if newer != 0 { pool.link(newer, older: 0) }
        if pane == closed { closed = 0 }
        pool.give(pane)
        return newer
    }

    mutating func emit(
        _ pane: Int, _ slot: Int, _ start: Int64, _ revision: UInt32, _ table: inout EntityTable, _ emissions: inout Emissions
    ) {
        let program = program
        let end = start + program.length
        registers.withUnsafeMutableBufferPointer { registers in
            registers[WindowProgramBuilder.startRegister] = Double(start)
            registers[WindowProgramBuilder.endRegister] = Double(end)
            pool.results(pane, program, registers)
            program.code.run(registers, program.zones)
            emissions.append(
                set: set, slot: slot, &table, start: start, end: end, revision: revision, registers: registers, outputs: program.outputs)
        }
    }

    /// Gives back what `gather` returned, if it is the scratch pane: that is in no list, neither of a track's panes nor its back.
    mutating func discard(_ pane: Int, _ words: [UInt64], _ track: Int) {
        let isKept = pane == Int(words[track + Track.ends] >> 32) || pane == Int(words[track + Track.closed] >> 32)
        if !isKept { pool.give(pane) }
    }

    /// Gives back all closed panes once none of them is needed for the next window.
    mutating func release(_ words: inout [UInt64], _ track: Int, _ next: Int64) {
        let closed = Int(words[track + Track.closed] & 0xFFFF_FFFF)
        guard closed != 0, pool.number(closed) < next else { return }
        var pane = Int(words[track + Track.ends] >> 32)
        let after = pool.newer(closed)
        while pane != after {
            let newer = pool.newer(pane)
            pool.give(pane)
            pane = newer
        }
        if after != 0 { pool.link(after, older: 0) }
        let back = Int(words[track + Track.closed] >> 32)
        if back != 0 { pool.give(back) }
        let head = after == 0 ? 0 : Int(words[track + Track.ends] & 0xFFFF_FFFF)
        words[track + Track.ends] = UInt64(head) | UInt64(after) << 32
        words[track + Track.closed] = 0
    }

    /// Gives back everything that an entity has. True when there was something.
    mutating func forget(_ words: inout [UInt64], _ block: Int, _ slot: Int) -> Bool {
        let hadPanes = giveBack(&words, block + offset)
        active.remove(slot)
        early.forget(slot)
        return hadPanes
    }

    /// Gives back all panes of a track. True when there were any.
    mutating func giveBack(_ words: inout [UInt64], _ track: Int) -> Bool {
        var pane = Int(words[track + Track.ends] >> 32)
        let hadPanes = pane != 0
        while pane != 0 {
            let newer = pool.newer(pane)
            pool.give(pane)
            pane = newer
        }
        let back = Int(words[track + Track.closed] >> 32)
        if back != 0 { pool.give(back) }
        for i in 0..<Track.count { words[track + i] = 0 }
        return hadPanes
    }
}
