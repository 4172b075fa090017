/// One rolling aggregate: over an entity's last events, or its last seconds, up to and with the present event.
struct RollingAggregate: Hashable, Sendable {
    var kind: Aggregate
    /// The register of its input; -1 to count events.
    var column: Int
    /// Of a quantile.
    var parameter: Double
    var span: Span
    /// Whose events it sees: a position in the program's conditions plus 1, or 0 for all events.
    var group = 0
}

/// The code of all sets of a plan that runs for each event.
///
/// Registers: first the row, then what the code needs. Per entity it keeps the values of the event before.
final class EventProgram: Sendable {
    let template: [Double]
    /// Before the rolling aggregates are known, and after.
    let early: [Instruction]
    let late: [Instruction]
    let zones: [TimeZoneRules]
    /// Registers that say whether sets take an event, each of a group of sets that take the same events.
    let conditions: [Int]
    /// Register to save after an event, and register to load it into at the entity's next one of that group.
    let previous: [(saved: Int, loaded: Int, group: Int)]
    let rolling: [RollingAggregate]
    /// Where the rolling aggregates' results belong.
    let rollingTargets: [Int]
    let fieldCount: Int

    init(
        _ code: CodeBuilder, fieldCount: Int, conditions: [Int], previous: [(saved: Int, loaded: Int, group: Int)], rolling: [RollingAggregate],
        rollingTargets: [Int]
    ) {
        template = code.template
        early = code.early
        late = code.late
        zones = code.zones
        self.fieldCount = fieldCount
        self.conditions = conditions
        self.previous = previous
        self.rolling = rolling
        self.rollingTargets = rollingTargets
    }

    /// Whether the events of a group hold this one, whose early code has run.
    @inline(__always)
    func takes(_ group: Int, _ registers: UnsafeMutableBufferPointer<Double>) -> Bool { group == 0 || registers[conditions[group - 1]] == 1 }
}

final class EventProgramBuilder {
    let code: CodeBuilder
    private let schema: EventSchema
    private var conditions: [Int] = []
    /// Of the set that is being compiled.
    private var group = 0
    private var previous: [(saved: Int, loaded: Int, group: Int)] = []
    private var rolling: [RollingAggregate] = []
    private var rollingTargets: [Int] = []

    init(schema: EventSchema) {
        self.schema = schema
        code = CodeBuilder(inputs: schema.fields.count)
    }

    /// How many conditions there are so far.
    var conditionCount: Int { conditions.count }

    /// What is compiled from now on sees only events for which that register is true; -1: all events.
    func begin(condition: Int) {
        guard condition >= 0 else { return group = 0 }
        if !conditions.contains(condition) { conditions.append(condition) }
        group = (conditions.firstIndex(of: condition) ?? -1) + 1
    }

    /// The value that an expression had at the entity's event before.
    func previous(_ value: Operand) -> Operand {
        if let known = previous.first(where: { $0.saved == value.register && $0.group == group }) {
            return Operand(register: known.loaded, type: value.type)
        }
        let register = code.input()
        previous.append((value.register, register, group))
        return Operand(register: register, type: value.type)
    }

    func rolling(_ kind: Aggregate, _ column: Int?, _ parameter: Double, _ span: Span) -> Int {
        let aggregate = RollingAggregate(kind: kind, column: column ?? -1, parameter: kind == .quantile ? parameter : 0.5, span: span, group: group)
        if let known = rolling.firstIndex(of: aggregate) { return rollingTargets[known] }
        rolling.append(aggregate)
        rollingTargets.append(code.input(isLate: true))
        return rollingTargets[rollingTargets.count - 1]
    }

    func build() -> EventProgram {
        EventProgram(
            code, fieldCount: schema.fields.count, conditions: conditions, previous: previous, rolling: rolling, rollingTargets: rollingTargets)
    }
}

extension RollingAggregate {
    /// Its value over the present event alone.
    func ofSingle(_ registers: UnsafeMutableBufferPointer<Double>) -> Double {
        let value = column < 0 ? 1 : registers[column]
        let isMissing = value.isNaN
        switch kind {
        case .count: return isMissing ? 0 : 1
        case .distinct: return isMissing ? 0 : 1
        case .sum, .mean, .min, .max, .first, .last, .quantile, .median: return value
        case .std, .range: return isMissing ? .nan : 0
        case .slope: return .nan
        case .rate:
            guard case .time(let milliseconds) = span else { return .nan }
            return value / (Double(milliseconds) / 1000)
        }
    }
}
