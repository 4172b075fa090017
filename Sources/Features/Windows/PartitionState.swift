/// What became of an event's time.
public enum ApplyOutcome: Sendable, Equatable {
    case applied
    /// Older than the watermark minus the allowed lateness, by so many milliseconds. Nothing was changed or emitted: dead-letter it.
    case late(by: Int64)
    /// Further ahead of its Kafka timestamp than allowed, by so many milliseconds. Nothing was changed or emitted: dead-letter it.
    case future(by: Int64)
}

/// The whole state of one input partition: its entities, what is remembered of each, and the event time it has reached.
///
/// A function of the calls made: the same events in the same order give the same emissions in the same order. It knows no clock. One
/// thread's own; nothing is allocated for an event of a known entity once buffers have grown.
public final class PartitionState {
    public let plan: FeaturePlan
    private var core: PartitionCore

    public init(plan: FeaturePlan) {
        self.plan = plan
        core = PartitionCore(plan)
    }

    /// Takes the event that a decoder holds, after `decode` returned true.
    public func apply(_ decoder: EventDecoder, kafkaTimestamp: Int64, into emissions: inout Emissions) -> ApplyOutcome {
        core.apply(decoder.row, decoder.entity, decoder.eventTime, kafkaTimestamp, &emissions)
    }

    /// Judges an event's time, takes it into the state, and appends what it causes: first its own vectors, set by set, then the windows that
    /// it closes.
    ///
    /// - Parameters:
    ///   - row: As from `EventDecoder.row`.
    ///   - kafkaTimestamp: Milliseconds; -1 when there is none, and then nothing is too far in the future.
    public func apply(
        row: [Double], entity: [UInt8], eventTime: Int64, kafkaTimestamp: Int64 = -1, into emissions: inout Emissions
    ) -> ApplyOutcome {
        core.apply(row, entity, eventTime, kafkaTimestamp, &emissions)
    }

    /// Entities that are remembered.
    public var entityCount: Int { core.table.count }
    /// Entities that had to leave for new ones.
    public var evictedEntities: UInt64 { core.evicted }
    public var lateEvents: UInt64 { core.lateEvents }
    public var futureEvents: UInt64 { core.futureEvents }
    /// The newest event time minus the out-of-orderness; nil before the first event. Milliseconds.
    public var watermark: Int64? { core.newest == .min ? nil : core.watermark }
}

/// The state behind `PartitionState`, as a value: one owner, one access check per event.
struct PartitionCore {
    let plan: FeaturePlan
    var table: EntityTable
    var newest: Int64 = .min
    var sequence: UInt64 = 0
    var evicted: UInt64 = 0
    var lateEvents: UInt64 = 0
    var futureEvents: UInt64 = 0

    private var registers: [Double]
    private var recency = RecencyQueue()

    init(_ plan: FeaturePlan) {
        self.plan = plan
        registers = plan.event.template
        table = EntityTable(extra: plan.event.previous.count)
    }

    var watermark: Int64 { newest - plan.time.outOfOrderness }

    mutating func apply(_ row: [Double], _ entity: [UInt8], _ time: Int64, _ kafkaTimestamp: Int64, _ emissions: inout Emissions)
        -> ApplyOutcome
    {
        if kafkaTimestamp >= 0, let maximum = plan.time.maximumFuture, time > kafkaTimestamp + maximum {
            futureEvents += 1
            return .future(by: time - kafkaTimestamp - maximum)
        }
        newest = max(newest, time)
        sequence += 1
        let hash = TextHash.hash(entity, 0..<entity.count)
        var slot = table.find(entity, hash: hash)
        var isInOrder = true
        if slot < 0 {
            slot = enter(entity, hash)
            forget(slot)
        } else {
            isInOrder = time >= Int64(bitPattern: table.words[table.base(slot) + EntityTable.Word.newest])
        }
        let at = table.base(slot)
        table.words[at + EntityTable.Word.lastSeen] = sequence
        if isInOrder { table.words[at + EntityTable.Word.newest] = UInt64(bitPattern: time) }
        compute(row, at + EntityTable.Word.count, isInOrder)
        let name = emissions.append(entity: entity)
        registers.withUnsafeMutableBufferPointer { registers in
            for set in plan.eventOutputs.indices where !plan.eventOutputs[set].isEmpty {
                emissions.append(set: set, entity: name, eventTime: time, registers: registers, outputs: plan.eventOutputs[set])
            }
        }
        return .applied
    }

    /// The slot for an entity that is not in the table.
    private mutating func enter(_ entity: [UInt8], _ hash: UInt64) -> Int {
        if table.count < plan.time.maximumEntities { return table.insert(entity, hash: hash) }
        let slot = recency.leastRecent(in: table)
        evicted += 1
        table.replace(slot, by: entity, hash: hash)
        return slot
    }

    private mutating func forget(_ slot: Int) {
        let at = table.base(slot)
        for i in EntityTable.Word.count..<table.stride { table.words[at + i] = Double.nan.bitPattern }
    }

    /// Runs the event program; an event that is older than the entity's newest one has no previous event and leaves none.
    private mutating func compute(_ row: [Double], _ at: Int, _ isInOrder: Bool) {
        let program = plan.event
        registers.withUnsafeMutableBufferPointer { registers in
            for i in 0..<program.fieldCount { registers[i] = row[i] }
            for (i, link) in program.previous.enumerated() {
                registers[link.loaded] = isInOrder ? Double(bitPattern: table.words[at + i]) : .nan
            }
            program.early.run(registers, program.zones)
            for (i, aggregate) in program.rolling.enumerated() {
                registers[program.rollingTargets[i]] = aggregate.ofSingle(registers)
            }
            program.late.run(registers, program.zones)
            guard isInOrder else { return }
            for (i, link) in program.previous.enumerated() { table.words[at + i] = registers[link.saved].bitPattern }
        }
    }
}
