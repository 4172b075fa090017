/// Says which sets of a plan take an event, for those who keep books of what must come of it. One thread's own; no allocation per event.
public final class EventKinds {
    private let decoder: EventDecoder
    private let program: EventProgram
    private let conditions: [Int]
    private var registers: [Double]

    /// Nil where every set takes every event.
    public init?(_ plan: FeaturePlan) {
        guard plan.conditions.contains(where: { $0 >= 0 }) else { return nil }
        decoder = EventDecoder(schema: plan.schema)
        program = plan.event
        conditions = plan.conditions
        registers = program.template
    }

    /// - Parameter range: the JSON of one event in `bytes`.
    /// - Returns: a bit per set of the plan, from the lowest on; all where the event is not what the schema asks for, and is refused.
    public func sets(_ bytes: [UInt8], _ range: Range<Int>) -> UInt64 {
        guard decoder.decode(bytes, range) else { return .max }
        let row = decoder.row
        return registers.withUnsafeMutableBufferPointer { registers in
            for i in 0..<program.fieldCount { registers[i] = row[i] }
            // No condition looks back, so nothing else need be known.
            program.early.run(registers, program.zones)
            var sets: UInt64 = .max
            for (set, condition) in conditions.enumerated() where condition >= 0 && registers[condition] != 1 { sets &= ~(1 << UInt64(set)) }
            return sets
        }
    }
}
