import Text

/// The state behind `PartitionState`, as a value: one owner, one access check per event.
struct PartitionCore {
    struct Counters: Equatable {
        var evicted: UInt64 = 0
        var evictedOpen: UInt64 = 0
        var late: UInt64 = 0
        var future: UInt64 = 0
    }

    let plan: FeaturePlan
    let partition: Int32
    /// Milliseconds for which this partition keeps a window open behind the watermark.
    private let lateness: Int64
    let program: EventProgram
    var table: EntityTable
    var windows: [WindowSet]
    /// One per group of sets that take the same events, all events first.
    var rolling: [RollingHistory]
    var silence: SilenceWatch?
    /// Newest event time; `.min` before the first.
    var newest: Int64 = .min
    /// What the watermark is at least, by decision of the caller.
    var decided: Int64 = .min
    /// Counts accepted events: the order in which entities were seen.
    var sequence: UInt64 = 0
    var counters = Counters()
    /// Slots that changed since the last snapshot, and the sequence at which it was taken.
    var changed = SlotSet()
    var snapshotSequence: UInt64 = 0
    var recency = RecencyQueue()

    /// Scratch of `touch`.
    var hashes: [UInt64] = []
    var slots: [Int] = []
    var touched: UInt64 = 0

    private var registers: [Double]
    private let eventSets: [(set: Int, condition: Int, outputs: [Int])]
    /// Per window set the register of its condition, or -1.
    private let windowConditions: [Int]
    /// The groups but the first that remember values of the event before. Behind these values an entity's block has each such group's newest event
    /// time.
    private let orderedGroups: [Int]
    /// Whether anything outlives an event; where nothing does, no entity is remembered.
    private let remembers: Bool
    /// Whether events can be late: where windows close or silence is told.
    private let judgesTime: Bool
    /// End of the next window to close, over all sets.
    private var nextEnd: Int64 = .max

    init(_ plan: FeaturePlan, _ partition: Int32) {
        self.plan = plan
        self.partition = partition
        lateness = plan.time.lateness(in: partition)
        program = plan.event
        registers = program.template
        orderedGroups = Set(program.previous.map(\.group)).subtracting([0]).sorted()
        var words = EntityTable.Word.count + program.previous.count + orderedGroups.count
        var windows: [WindowSet] = []
        for (set, window) in plan.windows.enumerated() {
            guard let window else { continue }
            windows.append(WindowSet(window, set: set, offset: words))
            words += WindowSet.Track.count
        }
        if let rules = plan.silence {
            silence = SilenceWatch(rules, plan.schema, offset: words)
            words += SilenceWatch.words(rules)
        }
        self.windows = windows
        let event = plan.event
        rolling = (0...event.conditions.count).map { RollingHistory(event, group: $0, plan.time) }
        table = EntityTable(extra: words - EntityTable.Word.count)
        eventSets = plan.eventOutputs.enumerated().filter { !$1.isEmpty }.map { ($0, plan.conditions[$0], $1) }
        windowConditions = windows.map { plan.conditions[$0.set] }
        judgesTime = !windows.isEmpty || plan.silence != nil
        remembers = plan.needsHistory
    }

    var watermark: Int64 { max(newest == .min ? .min : newest - plan.time.outOfOrderness, decided) }

    /// No accepted event is older than this.
    private var horizon: Int64 { watermark == .min ? .min : watermark - lateness }

    mutating func apply(
        _ row: [Double], _ entity: [UInt8], _ time: Int64, _ kafkaTimestamp: Int64, _ emissions: inout Emissions
    ) -> ApplyOutcome {
        if kafkaTimestamp >= 0, let maximum = plan.time.maximumFuture, time > kafkaTimestamp + maximum {
            counters.future += 1
            return .future(by: time - kafkaTimestamp - maximum)
        }
        if judgesTime, time < horizon {
            counters.late += 1
            return .late(by: horizon - time)
        }
        sequence += 1
        guard remembers else {
            compute(row, 0, 0, time, true)
            emit(entity, time, &emissions)
            newest = max(newest, time)
            return .applied
        }
        let hash = TextHash.hash(entity, 0..<entity.count)
        var slot = table.find(entity, hash: hash)
        var before: Int64?
        if slot < 0 {
            slot = enter(entity, hash)
        } else {
            before = Int64(bitPattern: table.words[table.base(slot) + EntityTable.Word.newest])
        }
        let block = table.base(slot)
        let isInOrder = before.map { time >= $0 } ?? true
        table.words[block + EntityTable.Word.lastSeen] = sequence
        if isInOrder { table.words[block + EntityTable.Word.newest] = UInt64(bitPattern: time) }
        changed.insert(slot)
        compute(row, slot, block, time, isInOrder)
        if !eventSets.isEmpty { emit(entity, time, &emissions) }
        if isInOrder, silence != nil { silence?.note(&table, slot, time, before: before, row, &emissions) }
        if time > newest {
            let isFirst = newest == .min
            newest = time
            if judgesTime { reach(isFirst: isFirst, &emissions) }
        }
        return .applied
    }

    // MARK: One event

    /// The slot for an entity that is not in the table.
    private mutating func enter(_ entity: [UInt8], _ hash: UInt64) -> Int {
        let slot: Int
        if table.count < plan.time.maximumEntities {
            slot = table.insert(entity, hash: hash)
        } else {
            slot = recency.leastRecent(in: table)
            counters.evicted += 1
            var hadPanes = false
            for i in windows.indices where windows[i].forget(&table.words, table.base(slot), slot) { hadPanes = true }
            if hadPanes { counters.evictedOpen += 1 }
            for i in rolling.indices { rolling[i].forget(slot) }
            table.replace(slot, by: entity, hash: hash)
        }
        let at = table.base(slot) + EntityTable.Word.count
        for i in 0..<table.stride - EntityTable.Word.count {
            table.words[at + i] = i < program.previous.count + orderedGroups.count ? Double.nan.bitPattern : 0
        }
        return slot
    }

    /// Runs the event program and takes its values into the windows; an event that is older than the newest one that its group has of the entity
    /// has no previous event and leaves none.
    private mutating func compute(_ row: [Double], _ slot: Int, _ block: Int, _ time: Int64, _ isInOrder: Bool) {
        let program = program
        let previous = block + EntityTable.Word.count
        let inOrder = groupsInOrder(previous, time, isInOrder)
        registers.withUnsafeMutableBufferPointer { registers in
            guard let base = registers.baseAddress else { return }
            row.withUnsafeBufferPointer { row in
                for i in 0..<program.fieldCount { registers[i] = row[i] }
            }
            for i in program.previous.indices {
                let isNext = inOrder & 1 << UInt64(program.previous[i].group) != 0
                registers[program.previous[i].loaded] = isNext ? Double(bitPattern: table.words[previous + i]) : .nan
            }
            program.early.run(registers, program.zones)
            if !program.rolling.isEmpty {
                for group in rolling.indices where rolling[group].isNeeded && program.takes(group, registers) {
                    rolling[group].apply(slot, time, registers)
                }
                program.late.run(registers, program.zones)
            }
            for i in windows.indices where windowConditions[i] < 0 || registers[windowConditions[i]] == 1 {
                windows[i].add(&table.words, block, slot, UnsafePointer(base), time)
            }
            for i in program.previous.indices {
                let group = program.previous[i].group
                guard inOrder & 1 << UInt64(group) != 0, program.takes(group, registers) else { continue }
                table.words[previous + i] = registers[program.previous[i].saved].bitPattern
            }
            for (i, group) in orderedGroups.enumerated() where inOrder & 1 << UInt64(group) != 0 && program.takes(group, registers) {
                table.words[previous + program.previous.count + i] = Double(time).bitPattern
            }
        }
    }

    /// A bit per group for which an event is not older than the group's newest one of the entity.
    private func groupsInOrder(_ previous: Int, _ time: Int64, _ isInOrder: Bool) -> UInt64 {
        var groups: UInt64 = isInOrder ? 1 : 0
        for (place, group) in orderedGroups.enumerated() {
            let newest = Double(bitPattern: table.words[previous + program.previous.count + place])
            if newest.isNaN || Double(time) >= newest { groups |= 1 << UInt64(group) }
        }
        return groups
    }

    private mutating func emit(_ entity: [UInt8], _ time: Int64, _ emissions: inout Emissions) {
        let name = emissions.append(entity: entity)
        registers.withUnsafeMutableBufferPointer { registers in
            for (set, condition, outputs) in eventSets where condition < 0 || registers[condition] == 1 {
                emissions.append(set: set, entity: name, eventTime: time, registers: registers, outputs: outputs)
            }
        }
    }

    // MARK: Time

    /// Does what the present watermark asks for.
    private mutating func reach(isFirst: Bool, _ emissions: inout Emissions) {
        let horizon = horizon
        if isFirst {
            for i in windows.indices { windows[i].open(horizon) }
            findNextEnd()
        }
        if horizon >= nextEnd {
            for i in windows.indices { windows[i].close(horizon, &table, &changed, &emissions) }
            findNextEnd()
        }
        let watermark = watermark
        silence?.advance(to: watermark, &table, &changed, &emissions)
    }

    mutating func findNextEnd() { nextEnd = windows.reduce(.max) { min($0, $1.nextEnd) } }

    mutating func advance(to time: Int64, _ emissions: inout Emissions) {
        // A decision before the first event would open windows of which nothing is known; there is nothing to close yet.
        guard newest != .min, time > watermark, time < CivilTime.end + 2 * FeaturePlan.maximumWindow else { return }
        decided = time
        if judgesTime { reach(isFirst: false, &emissions) }
    }

    mutating func finish(_ emissions: inout Emissions) {
        guard newest != .min else { return }
        decided = CivilTime.end + 2 * FeaturePlan.maximumWindow
        for i in windows.indices { windows[i].closeAll(&table, &changed, &emissions) }
        findNextEnd()
    }
}
