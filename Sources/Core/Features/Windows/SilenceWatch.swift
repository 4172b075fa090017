/// Notices entities that fall silent, come and go, or repeat one value.
///
/// Each watched entity stands in a heap with a time before which it cannot be missing. When event time passes it, the entity is looked at:
/// it is missing, or it goes back with its present time. So an event costs nothing here, and a look at most one step per interval.
/// What is found depends on events and their times alone, and comes in the order of (time due, slot).
struct SilenceWatch {
    private enum Word {
        /// The time under which the entity stands in the heap; 0 words belong to an entity that does not.
        static let queued = 0
        /// Moving average of its gaps in milliseconds.
        static let interval = 1
        /// Number of gaps; the top bit: it is missing.
        static let gaps = 2
        static let count = 3
    }

    private static let missingBit: UInt64 = 1 << 63
    private static let neededGaps: UInt64 = 10

    let rules: SilenceRules
    private let fields: [Int]
    /// Where the words lie in an entity's block.
    private let offset: Int
    private var heap: [(due: Int64, slot: Int)] = []

    init(_ rules: SilenceRules, _ schema: EventSchema, offset: Int) {
        self.rules = rules
        self.offset = offset
        fields = rules.stuck.compactMap { schema.index(of: $0.field) }
    }

    /// Words per entity: the above, the times of the last absences, and per stuck rule value, since when, and how often (the top bit: told).
    static func words(_ rules: SilenceRules) -> Int { Word.count + (rules.flappingCount.map { $0 + 1 } ?? 0) + 3 * rules.stuck.count }

    private func timeout(_ words: [UInt64], _ at: Int) -> (interval: Double, due: Double)? {
        switch rules.interval {
        case nil: return nil
        case .declared(let interval): return (Double(interval), Double(interval) * rules.missedIntervals)
        case .learned:
            guard words[at + Word.gaps] & ~Self.missingBit >= Self.neededGaps else { return nil }
            let interval = Double(bitPattern: words[at + Word.interval])
            return (interval, interval * rules.missedIntervals)
        }
    }

    private func due(_ words: [UInt64], _ block: Int) -> Int64? {
        guard let timeout = timeout(words, block + offset) else { return nil }
        let newest = Int64(bitPattern: words[block + EntityTable.Word.newest])
        return newest + Int64(min(timeout.due.rounded(.up), Double(FeaturePlan.maximumWindow) * 4))
    }

    /// Takes an event in time order; `before` is the entity's event before it, nil for its first.
    mutating func note(
        _ table: inout EntityTable, _ slot: Int, _ time: Int64, before: Int64?, _ row: [Double], _ emissions: inout Emissions
    ) {
        let block = table.base(slot)
        let at = block + offset
        if let before {
            let gap = time - before
            if table.words[at + Word.gaps] & Self.missingBit != 0 {
                table.words[at + Word.gaps] &= ~Self.missingBit
                emissions.append(.resumed, slot: slot, table, at: time, start: before, values: [Double(gap) / 1000])
            } else if rules.interval == .learned, gap > 0 {
                let gaps = table.words[at + Word.gaps]
                let mean = Double(bitPattern: table.words[at + Word.interval])
                let next =
                    gaps == 0 ? Double(gap) : gaps < 10 ? mean + (Double(gap) - mean) / Double(gaps + 1) : mean + 0.1 * (Double(gap) - mean)
                table.words[at + Word.interval] = next.bitPattern
                table.words[at + Word.gaps] = gaps + 1
            }
        }
        noteValues(&table, slot, time, row, &emissions)
        queue(&table, slot)
    }

    /// Puts an entity into the heap, unless it stands there early enough.
    private mutating func queue(_ table: inout EntityTable, _ slot: Int) {
        let block = table.base(slot)
        guard let due = due(table.words, block) else { return }
        let queued = table.words[block + offset + Word.queued]
        if queued != 0, Int64(bitPattern: queued) <= due { return }
        table.words[block + offset + Word.queued] = UInt64(bitPattern: due == 0 ? 1 : due)
        push((due == 0 ? 1 : due, slot))
    }

    private func noteValues(_ table: inout EntityTable, _ slot: Int, _ time: Int64, _ row: [Double], _ emissions: inout Emissions) {
        let first = table.base(slot) + offset + Word.count + (rules.flappingCount.map { $0 + 1 } ?? 0)
        for (i, rule) in rules.stuck.enumerated() {
            let at = first + 3 * i
            let value = row[fields[i]]
            if value.isNaN { continue }
            let isSame = table.words[at + 2] != 0 && Double(bitPattern: table.words[at]) == value
            guard isSame else {
                table.words[at] = value.bitPattern
                table.words[at + 1] = UInt64(bitPattern: time)
                table.words[at + 2] = 1
                continue
            }
            table.words[at + 2] += 1
            let since = Int64(bitPattern: table.words[at + 1])
            let isTold = table.words[at + 2] & Self.missingBit != 0
            if !isTold, table.words[at + 2] >= UInt64(rule.events), time - since >= rule.after {
                table.words[at + 2] |= Self.missingBit
                emissions.append(
                    .stuck, slot: slot, table, at: time, start: since, values: [Double(fields[i]), value, Double(time - since) / 1000])
            }
        }
    }

    /// Whether `advance` to a point may find anything.
    func isDue(at time: Int64) -> Bool { heap.first.map { $0.due < time } ?? false }

    /// Event time has reached a point: appends a record for each entity that is missing by then.
    mutating func advance(to time: Int64, _ table: inout EntityTable, _ changed: inout SlotSet, _ emissions: inout Emissions) {
        while let top = heap.first, top.due < time {
            pop()
            let block = table.base(top.slot)
            let at = block + offset
            // Another entity's place, or one that went back with another time.
            guard table.words[at + Word.queued] == UInt64(bitPattern: top.due) else { continue }
            table.words[at + Word.queued] = 0
            guard let due = due(table.words, block), let timeout = timeout(table.words, at) else { continue }
            if due > top.due {
                queue(&table, top.slot)
                continue
            }
            table.words[at + Word.gaps] |= Self.missingBit
            changed.insert(top.slot)
            let newest = Int64(bitPattern: table.words[block + EntityTable.Word.newest])
            emissions.append(
                .missing, slot: top.slot, table, at: due, start: newest, values: [timeout.interval / 1000, Double(due - newest) / 1000])
            noteAbsence(&table, top.slot, due, &emissions)
        }
    }

    /// The last absences' times form a ring; flapping is told when the oldest of them lies within the period, and then they are forgotten.
    private func noteAbsence(_ table: inout EntityTable, _ slot: Int, _ time: Int64, _ emissions: inout Emissions) {
        guard let count = rules.flappingCount else { return }
        let at = table.base(slot) + offset + Word.count
        let seen = Int(table.words[at])
        table.words[at + 1 + seen % count] = UInt64(bitPattern: time)
        table.words[at] = UInt64(seen + 1)
        guard seen + 1 >= count else { return }
        let oldest = Int64(bitPattern: table.words[at + 1 + (seen + 1) % count])
        if time - oldest <= rules.flappingPeriod {
            emissions.append(.flapping, slot: slot, table, at: time, start: oldest, values: [Double(count)])
            table.words[at] = 0
        }
    }

    /// Fills the heap from the entities' words, after a snapshot was read.
    mutating func rebuild(_ table: EntityTable) {
        heap = []
        for slot in 0..<table.count {
            let queued = table.words[table.base(slot) + offset + Word.queued]
            if queued != 0 { push((Int64(bitPattern: queued), slot)) }
        }
    }

    private mutating func push(_ entry: (due: Int64, slot: Int)) {
        heap.append(entry)
        var at = heap.count - 1
        while at > 0, heap[at] < heap[(at - 1) / 2] {
            heap.swapAt(at, (at - 1) / 2)
            at = (at - 1) / 2
        }
    }

    private mutating func pop() {
        let last = heap.removeLast()
        if heap.isEmpty { return }
        heap[0] = last
        var at = 0
        while true {
            var least = at
            for child in [2 * at + 1, 2 * at + 2] where child < heap.count && heap[child] < heap[least] { least = child }
            if least == at { return }
            heap.swapAt(at, least)
            at = least
        }
    }
}
