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
    /// No event older than this is taken into windows, and those that end before it are closed for good: the watermark minus the lateness. Events
    /// move it and nothing else, so what comes in order is never late. `.min` before the first event and where time is not judged.
    var horizon: Int64 = .min
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

    var watermark: Int64 { newest == .min ? .min : newest - plan.time.outOfOrderness }

    mutating func apply(
        _ row: [Double], _ entity: [UInt8], _ time: Int64, _ kafkaTimestamp: Int64, _ emissions: inout Emissions
    ) -> ApplyOutcome {
        if kafkaTimestamp >= 0 {
            if let maximum = plan.time.maximumFuture, time > kafkaTimestamp + maximum {
                counters.future += 1
                return .future(by: time - kafkaTimestamp - maximum)
            }
            if let maximum = plan.time.maximumPast, time < kafkaTimestamp - maximum { return .past(by: kafkaTimestamp - maximum - time) }
        }
        if time < horizon { return applyLate(row, entity, time, &emissions) }
        sequence += 1
        guard remembers else {
            compute(row, 0, 0, time, true)
            emit(entity, time, isLate: false, &emissions)
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
        if !eventSets.isEmpty { emit(entity, time, isLate: false, &emissions) }
        if isInOrder, silence != nil { silence?.note(&table, slot, time, before: before, row, &emissions) }
        if time > newest {
            let isFirst = newest == .min
            newest = time
            if judgesTime { reach(isFirst: isFirst, &emissions) }
        }
        return .applied
    }

    // MARK: One event

    /// An event that came too late for windows still has vectors of its own where a set takes each event: as one without events before it. Nothing
    /// is remembered of it.
    @inline(never)
    private mutating func applyLate(_ row: [Double], _ entity: [UInt8], _ time: Int64, _ emissions: inout Emissions) -> ApplyOutcome {
        counters.late += 1
        computeAlone(row)
        guard eventSets.contains(where: { $0.condition < 0 || registers[$0.condition] == 1 }) else { return .late(by: horizon - time) }
        emit(entity, time, isLate: true, &emissions)
        return .lateForWindows(by: horizon - time)
    }

    private mutating func computeAlone(_ row: [Double]) {
        let program = program
        registers.withUnsafeMutableBufferPointer { registers in
            for i in 0..<program.fieldCount { registers[i] = row[i] }
            for previous in program.previous { registers[previous.loaded] = .nan }
            program.early.run(registers, program.zones)
            for (target, aggregate) in zip(program.rollingTargets, program.rolling) { registers[target] = aggregate.ofSingle(registers) }
            program.late.run(registers, program.zones)
        }
    }

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

    private mutating func emit(_ entity: [UInt8], _ time: Int64, isLate: Bool, _ emissions: inout Emissions) {
        let name = emissions.append(entity: entity)
        registers.withUnsafeMutableBufferPointer { registers in
            for (set, condition, outputs) in eventSets where condition < 0 || registers[condition] == 1 {
                emissions.append(set: set, entity: name, eventTime: time, isLate: isLate, registers: registers, outputs: outputs)
            }
        }
    }

    // MARK: Time

    /// Does what the present newest event asks for.
    private mutating func reach(isFirst: Bool, _ emissions: inout Emissions) {
        raiseHorizon()
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

    mutating func raiseHorizon() {
        if judgesTime, newest != .min { horizon = max(horizon, watermark - lateness) }
    }

    mutating func findNextEnd() { nextEnd = windows.reduce(.max) { min($0, $1.nextEnd) } }

    func isDue(at time: Int64) -> Bool {
        guard newest != .min, time > watermark else { return false }
        return windows.contains { $0.isDue(time - lateness, newest: newest) } || silence?.isDue(at: time) == true
    }

    mutating func advance(to time: Int64, _ emissions: inout Emissions) {
        // Before the first event there is nothing that could be due.
        guard newest != .min, time > watermark, time < CivilTime.end + 2 * FeaturePlan.maximumWindow else { return }
        for i in windows.indices { windows[i].fire(time - lateness, newest: newest, &table, &changed, &emissions) }
        silence?.advance(to: time, &table, &changed, &emissions)
    }

    mutating func finish(_ emissions: inout Emissions) {
        guard newest != .min else { return }
        if judgesTime { horizon = CivilTime.end + 2 * FeaturePlan.maximumWindow }
        for i in windows.indices { windows[i].closeAll(&table, &changed, &emissions) }
        findNextEnd()
    }
}
