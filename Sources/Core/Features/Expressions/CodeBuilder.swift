/// The type of an expression.
enum ValueType: String {
    case number, boolean
    case string = "text"
    case time
}

/// The result of an expression while it is compiled: the register that will hold it, and what is known of it.
struct Operand {
    var register: Int
    var type: ValueType
    /// Its value, when it does not depend on the event.
    var constant: Double?
    /// The word `missing`, which goes with every type.
    var isMissingLiteral = false
}

/// Emits instructions over one register file: constants are folded, and what was computed once is not computed again.
final class CodeBuilder {
    /// Largest number of registers of one program.
    static let maximumRegisters = 30_000

    /// The register file before the first event: constants in their places, NaN elsewhere.
    private(set) var template: [Double]
    /// Per register whether it depends on a rolling aggregate.
    private(set) var isLate: [Bool]
    /// To run before the rolling aggregates, and after them.
    private(set) var early: [Instruction] = []
    private(set) var late: [Instruction] = []
    private(set) var zones: [TimeZoneRules] = []

    private var constants: [UInt64: Int] = [:]
    private var known: [Key: Int] = [:]

    private struct Key: Hashable {
        var operation: UInt8
        var x: Int
        var y: Int
        var z: Int
    }

    /// - Parameter inputs: How many registers are filled from outside, from 0 on.
    init(inputs: Int) {
        template = Array(repeating: .nan, count: inputs)
        isLate = Array(repeating: false, count: inputs)
    }

    var isFull: Bool { template.count > Self.maximumRegisters }

    /// A register that is filled from outside.
    func input(isLate: Bool = false) -> Int {
        template.append(.nan)
        self.isLate.append(isLate)
        return template.count - 1
    }

    func constant(_ value: Double, _ type: ValueType, isMissingLiteral: Bool = false) -> Operand {
        let bits = value.isNaN ? Double.nan.bitPattern : value.bitPattern
        let register: Int
        if let known = constants[bits] {
            register = known
        } else {
            register = input()
            template[register] = value
            constants[bits] = register
        }
        return Operand(register: register, type: type, constant: value, isMissingLiteral: isMissingLiteral)
    }

    func zone(_ rules: TimeZoneRules) -> Int {
        if let known = zones.firstIndex(of: rules) { return known }
        zones.append(rules)
        return zones.count - 1
    }

    func emit(_ operation: Operation, _ type: ValueType, _ x: Operand, _ y: Operand? = nil, _ z: Operand? = nil, zone: Int? = nil)
        -> Operand
    {
        let operands = [x, y, z].compactMap(\.self)
        if operands.allSatisfy({ $0.constant != nil }) {
            let value = operation.apply(x.constant ?? .nan, y?.constant ?? 0, z?.constant ?? 0, zones, zone ?? 0)
            return constant(value, type)
        }
        let key = Key(operation: operation.rawValue, x: x.register, y: y?.register ?? 0, z: z?.register ?? zone ?? 0)
        if let register = known[key] { return Operand(register: register, type: type) }
        let isLate = operands.contains { self.isLate[$0.register] }
        let register = input(isLate: isLate)
        known[key] = register
        let instruction = Instruction(
            operation: operation, target: UInt16(truncatingIfNeeded: register), x: UInt16(truncatingIfNeeded: key.x),
            y: UInt16(truncatingIfNeeded: key.y), z: UInt16(truncatingIfNeeded: key.z))
        if isLate { late.append(instruction) } else { early.append(instruction) }
        return Operand(register: register, type: type)
    }
}
