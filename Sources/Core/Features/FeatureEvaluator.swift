/// Computes the vector of one event set for one event at a time.
///
/// For `POST /predict`. What looks back can be given as it was with the entity's last event; all that is made of it by name is then computed from
/// that and the present event. Where it is not known, `previous` and its kin are missing, and a rolling aggregate sees the present event alone.
/// One thread's own; nothing is allocated once `vector` has its size.
public final class FeatureEvaluator {
    public let plan: FeaturePlan
    /// Position in the plan's sets.
    public let set: Int
    private let program: EventProgram
    private let outputs: [Int]
    /// The register that says whether the set takes the event, or -1.
    private let condition: Int
    private var registers: [Double]
    /// The registers of the features that look back, and the code that leaves them as they are.
    private let given: [Int]
    private let early: [Instruction]
    private let late: [Instruction]

    /// - Parameter set: Position of an event set in `plan.sets`.
    public init(plan: FeaturePlan, set: Int) {
        precondition(plan.windows[set] == nil, "A window set has no vector for a single event.")
        self.plan = plan
        self.set = set
        program = plan.event
        outputs = plan.eventOutputs[set]
        condition = plan.conditions[set]
        registers = program.template
        let given = plan.featuresLookingBack[set].map { plan.eventOutputs[set][$0] }
        self.given = given
        let fixed = Set(given)
        early = program.early.filter { !fixed.contains(Int($0.target)) }
        late = program.late.filter { !fixed.contains(Int($0.target)) }
    }

    /// - Parameters:
    ///   - row: As from `EventDecoder.row`.
    ///   - vector: Gets exactly one value per feature; NaN is missing.
    /// - Returns: whether the set takes such an event; if not, the vector means nothing.
    @discardableResult
    public func compute(_ row: [Double], into vector: inout [Double]) -> Bool {
        run(row[...], program.early, program.late, nil)
        write(&vector)
        return condition < 0 || registers[condition] == 1
    }

    /// The same with known values of the features that look back.
    /// - Parameters:
    ///   - row: one value per field.
    ///   - known: one value per entry of the plan's `featuresLookingBack` of this set, in that order.
    public func compute(_ row: ArraySlice<Double>, known: [Double], into vector: inout [Double]) {
        run(row, early, late, known)
        write(&vector)
    }

    private func run(_ row: ArraySlice<Double>, _ early: [Instruction], _ late: [Instruction], _ known: [Double]?) {
        registers.withUnsafeMutableBufferPointer { registers in
            for i in 0..<program.fieldCount { registers[i] = row[row.startIndex + i] }
            // A feature that is the value before itself was given one with the event before.
            for i in program.previous.indices { registers[program.previous[i].loaded] = .nan }
            if let known { for i in given.indices { registers[given[i]] = known[i] } }
            early.run(registers, program.zones)
            for (i, aggregate) in program.rolling.enumerated() {
                registers[program.rollingTargets[i]] = aggregate.ofSingle(registers)
            }
            if let known { for i in given.indices { registers[given[i]] = known[i] } }
            late.run(registers, program.zones)
        }
    }

    private func write(_ vector: inout [Double]) {
        if vector.count != outputs.count { vector = Array(repeating: .nan, count: outputs.count) }
        for i in outputs.indices { vector[i] = registers[outputs[i]] }
    }

    /// Whether a vector has a missing value.
    public static func isAnyMissing(_ vector: [Double]) -> Bool {
        for value in vector where value.isNaN { return true }
        return false
    }
}
