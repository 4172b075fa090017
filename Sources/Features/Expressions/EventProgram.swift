/// One rolling aggregate: over an entity's last events, or its last seconds, up to and with the present event.
struct RollingAggregate: Hashable, Sendable {
    var kind: Aggregate
    /// The register of its input; -1 to count events.
    var column: Int
    /// Of a quantile.
    var parameter: Double
    var span: Span
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
    /// Register to save after an event, and register to load it into at the entity's next one.
    let previous: [(saved: Int, loaded: Int)]
    let rolling: [RollingAggregate]
    /// Where the rolling aggregates' results belong.
    let rollingTargets: [Int]
    let fieldCount: Int

    init(_ code: CodeBuilder, fieldCount: Int, previous: [(saved: Int, loaded: Int)], rolling: [RollingAggregate], rollingTargets: [Int]) {
        template = code.template
        early = code.early
        late = code.late
        zones = code.zones
        self.fieldCount = fieldCount
        self.previous = previous
        self.rolling = rolling
        self.rollingTargets = rollingTargets
    }
}

final class EventProgramBuilder {
    let code: CodeBuilder
    private let schema: EventSchema
    private var previous: [(saved: Int, loaded: Int)] = []
    private var rolling: [RollingAggregate] = []
    private var rollingTargets: [Int] = []

    init(schema: EventSchema) {
        self.schema = schema
        code = CodeBuilder(inputs: schema.fields.count)
    }

    /// The value that an expression had at the entity's event before.
    func previous(_ value: Operand) -> Operand {
        if let known = previous.first(where: { $0.saved == value.register }) { return Operand(register: known.loaded, type: value.type) }
        let register = code.input()
        previous.append((value.register, register))
        return Operand(register: register, type: value.type)
    }

    func rolling(_ kind: Aggregate, _ column: Int?, _ parameter: Double, _ span: Span) -> Int {
        let aggregate = RollingAggregate(kind: kind, column: column ?? -1, parameter: kind == .quantile ? parameter : 0.5, span: span)
        if let known = rolling.firstIndex(of: aggregate) { return rollingTargets[known] }
        rolling.append(aggregate)
        rollingTargets.append(code.input(isLate: true))
        return rollingTargets[rollingTargets.count - 1]
    }

    func build() -> EventProgram {
        EventProgram(code, fieldCount: schema.fields.count, previous: previous, rolling: rolling, rollingTargets: rollingTargets)
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
