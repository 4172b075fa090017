/// Computes the vector of one event set for one event at a time, without history.
///
/// For `POST /predict` with a single event: what looks back (`previous` and its kin) is missing, and a rolling aggregate sees the present
/// event alone. One thread's own; nothing is allocated once `vector` has its size.
public final class FeatureEvaluator {
    public let plan: FeaturePlan
    /// Position in the plan's sets.
    public let set: Int
    private let program: EventProgram
    private let outputs: [Int]
    private var registers: [Double]

    /// - Parameter set: Position of an event set in `plan.sets`.
    public init(plan: FeaturePlan, set: Int) {
        precondition(plan.windows[set] == nil, "A window set has no vector for a single event.")
        self.plan = plan
        self.set = set
        program = plan.event
        outputs = plan.eventOutputs[set]
        registers = program.template
    }

    /// - Parameters:
    ///   - row: As from `EventDecoder.row`.
    ///   - vector: Gets exactly one value per feature; NaN is missing.
    public func compute(_ row: [Double], into vector: inout [Double]) {
        let outputs = outputs
        if vector.count != outputs.count { vector = Array(repeating: .nan, count: outputs.count) }
        registers.withUnsafeMutableBufferPointer { registers in
            for i in 0..<program.fieldCount { registers[i] = row[i] }
            program.early.run(registers, program.zones)
            for (i, aggregate) in program.rolling.enumerated() {
                registers[program.rollingTargets[i]] = aggregate.ofSingle(registers)
            }
            program.late.run(registers, program.zones)
            vector.withUnsafeMutableBufferPointer { vector in
                for i in outputs.indices { vector[i] = registers[outputs[i]] }
            }
        }
    }

    /// Whether a vector has a missing value.
    public static func isAnyMissing(_ vector: [Double]) -> Bool {
        for value in vector where value.isNaN { return true }
        return false
    }
}
