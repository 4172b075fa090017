import Text

/// Compiles the expressions of one feature set: names, types and arguments are checked, cycles refused, code emitted.
///
/// An event set becomes code that runs for each event. Of a window set, what stands inside an aggregate runs for each event, and what
/// stands around the aggregates runs once for each window.
final class SetCompiler {
    let schema: EventSchema
    let set: FeatureSetDefinition
    let zones: ZoneLookup
    /// Shared by all sets of a plan.
    let event: EventProgramBuilder
    /// For window sets.
    let window: WindowProgramBuilder?

    private enum Progress { case new, open, done(Operand) }
    private var progress: [Progress]
    private var positions: [String: Int] = [:]
    /// The features being compiled, outermost first.
    var stack: [Int] = []
    private var depth = 0
    /// Features of an event set whose own expression looks at events before the present one, by position.
    var lookingBack: Set<Int> = []
    /// The register that says whether the set takes an event; -1: it takes all.
    private(set) var condition = -1

    /// Where in a window set an expression stands.
    enum Level { case event, window, column, condition }

    /// Deeper would not fit on the stack of every thread, in a debug build least of all.
    private static let maximumDepth = 250

    init(schema: EventSchema, set: FeatureSetDefinition, zones: @escaping ZoneLookup, event: EventProgramBuilder) throws(FeaturePlanError) {
        self.schema = schema
        self.set = set
        self.zones = zones
        self.event = event
        if case .window(let length, let slide) = set.scope {
            window = WindowProgramBuilder(length: length, slide: slide)
        } else {
            window = nil
        }
        progress = Array(repeating: .new, count: set.features.count)
        for (index, feature) in set.features.enumerated() {
            guard EventSchema.isName(feature.name), !ReservedNames.contains(feature.name) else {
                throw FeaturePlanError(
                    set: set.name, feature: feature.name,
                    error: ExpressionError(
                        "`\(feature.name)` is no usable feature name: use letters, digits and `_`, and no reserved word."))
            }
            guard positions.updateValue(index, forKey: feature.name) == nil else {
                throw FeaturePlanError(
                    set: set.name, feature: feature.name,
                    error: ExpressionError("The feature `\(feature.name)` is defined twice in the set `\(set.name)`."))
            }
        }
    }

    /// The registers of the features, in order: in the event program for an event set, in the window program for a window set.
    func compile() throws(FeaturePlanError) -> [Int] {
        try compileCondition()
        event.begin(condition: condition)
        var registers: [Int] = []
        for index in set.features.indices {
            let operand = try feature(index)
            guard operand.type == .number || operand.type == .boolean else {
                let hint = operand.type == .time ? "use seconds(…) or hour(…) of it" : "use code(…) or a comparison"
                throw FeaturePlanError(
                    set: set.name, feature: set.features[index].name,
                    error: ExpressionError(
                        "A feature is a number or a boolean; this is a \(operand.type.rawValue): \(hint).",
                        Place(offset: 0, length: set.features[index].expression.utf8.count)))
            }
            registers.append(operand.register)
        }
        return registers
    }

    /// What an objection to the condition names instead of a feature.
    static let conditionKey = "when"

    private func compileCondition() throws(FeaturePlanError) {
        guard let text = set.condition else { return }
        let node: Node
        do {
            node = try Parser.parse(text)
        } catch {
            throw FeaturePlanError(set: set.name, feature: Self.conditionKey, error: error)
        }
        condition = try boolean(node, .condition).register
    }

    func fail(_ message: String, _ place: Place) -> FeaturePlanError {
        let name = stack.last.map { set.features[$0].name } ?? Self.conditionKey
        return FeaturePlanError(set: set.name, feature: name, error: ExpressionError(message, place))
    }

    private func feature(_ index: Int, from place: Place = Place(offset: 0, length: 0)) throws(FeaturePlanError) -> Operand {
        switch progress[index] {
        case .done(let operand): return operand
        case .open:
            let cycle = stack.drop { $0 != index } + [index]
            let path = cycle.map { "`\(set.features[$0].name)`" }.joined(separator: " needs ")
            throw fail("Features cannot depend on themselves: \(path).", place)
        case .new: break
        }
        progress[index] = .open
        stack.append(index)
        let node: Node
        do {
            node = try Parser.parse(set.features[index].expression)
        } catch {
            throw FeaturePlanError(set: set.name, feature: set.features[index].name, error: error)
        }
        let operand = try lower(node, window == nil ? .event : .window)
        stack.removeLast()
        progress[index] = .done(operand)
        return operand
    }

    func builder(_ level: Level) -> CodeBuilder { level == .window ? window?.code ?? event.code : event.code }

    // MARK: Nodes

    func lower(_ node: Node, _ level: Level) throws(FeaturePlanError) -> Operand {
        depth += 1
        defer { depth -= 1 }
        let code = builder(level)
        guard depth <= Self.maximumDepth, !code.isFull else {
            throw fail("The features are too large or too deeply nested; make them simpler.", node.place)
        }
        switch node {
        case .number(let value, _): return code.constant(value, .number)
        case .boolean(let value, _): return code.constant(value ? 1 : 0, .boolean)
        case .text(let value, _): return code.constant(TextHash.number(of: value), .string)
        case .missing: return code.constant(.nan, .number, isMissingLiteral: true)
        case .span(_, let place):
            throw fail("A span such as 30s or 10 events can only be the last argument of an aggregate, as in mean(x, 30s).", place)
        case .name(let name, let place): return try lowerName(name, place, level)
        case .unary(let sign, let operand, _):
            if sign == "not" { return code.emit(.not, .boolean, try boolean(operand, level)) }
            return code.emit(.negate, .number, try number(operand, level))
        case .binary(let sign, let left, let right, let place): return try lowerBinary(sign, left, right, place, level)
        case .call(let name, let arguments, let namePlace, let place):
            return try lowerCall(Call(name: name, arguments: arguments, namePlace: namePlace, place: place), level)
        }
    }

    private func lowerName(_ name: String, _ place: Place, _ level: Level) throws(FeaturePlanError) -> Operand {
        if level == .window {
            if name == "window_start" { return Operand(register: WindowProgramBuilder.startRegister, type: .time) }
            if name == "window_end" { return Operand(register: WindowProgramBuilder.endRegister, type: .time) }
            if let index = positions[name] { return try feature(index, from: place) }
            if schema.index(of: name) != nil {
                throw fail("A window has many values of `\(name)`: say which, as in mean(\(name)) or last(\(name)).", place)
            }
        } else {
            if let index = schema.index(of: name) { return Operand(register: index, type: Self.type(of: schema.fields[index].type)) }
            if level == .event, let index = positions[name] { return try feature(index, from: place) }
            if name == "window_start" || name == "window_end" {
                throw fail("`\(name)` is known only around the aggregates of a window.", place)
            }
            if positions[name] != nil, level == .condition {
                throw fail("`when` knows only the event's fields; `\(name)` is a feature of the set.", place)
            }
            if positions[name] != nil {
                throw fail("Inside an aggregate only the event's fields are known; `\(name)` is a feature of the window.", place)
            }
        }
        let known = schema.fields.map(\.name) + (level == .condition ? [] : set.features.map(\.name))
        if Self.functionNames.contains(name) { throw fail("`\(name)` is a function: write \(name)(…).", place) }
        throw fail("There is no field\(level == .condition ? "" : " or feature") `\(name)`.\(Nearest.sentence(name, in: known))", place)
    }

    private static func type(of type: FieldType) -> ValueType {
        switch type {
        case .number, .integer: .number
        case .string: .string
        case .boolean: .boolean
        case .timestamp: .time
        }
    }

    private func lowerBinary(_ sign: String, _ left: Node, _ right: Node, _ place: Place, _ level: Level) throws(FeaturePlanError)
        -> Operand
    {
        let code = builder(level)
        switch sign {
        case "and": return code.emit(.and, .boolean, try boolean(left, level), try boolean(right, level))
        case "or": return code.emit(.or, .boolean, try boolean(left, level), try boolean(right, level))
        case "==", "!=", "<", "<=", ">", ">=":
            let (x, y) = (try lower(left, level), try lower(right, level))
            _ = try common([x, y], place)
            if x.isMissingLiteral || y.isMissingLiteral {
                throw fail("A comparison with `missing` is always missing; use is_missing(…).", place)
            }
            if x.type == .string || x.type == .boolean, sign != "==", sign != "!=" {
                throw fail("A \(x.type.rawValue) can be compared with == and != only.", place)
            }
            switch sign {
            case "==": return code.emit(.equal, .boolean, x, y)
            case "!=": return code.emit(.notEqual, .boolean, x, y)
            case "<": return code.emit(.less, .boolean, x, y)
            case "<=": return code.emit(.lessOrEqual, .boolean, x, y)
            case ">": return code.emit(.less, .boolean, y, x)
            default: return code.emit(.lessOrEqual, .boolean, y, x)
            }
        case "+", "-":
            let (x, y) = (try lower(left, level), try lower(right, level))
            if x.type == .time {
                if sign == "-", y.type == .time { return code.emit(.timeDifference, .number, x, y) }
                if y.type == .number { return code.emit(.timeLater, .time, x, sign == "+" ? y : code.emit(.negate, .number, y)) }
                throw fail("From a time one can subtract a time, and add or subtract seconds.", place)
            }
            return code.emit(
                sign == "+" ? .add : .subtract, .number, try require(x, .number, left.place), try require(y, .number, right.place))
        default:
            let (x, y) = (try number(left, level), try number(right, level))
            let operations: [String: Operation] = ["*": .multiply, "/": .divide, "%": .modulo, "^": .power]
            guard let operation = operations[sign] else { throw fail("`\(sign)` is no operator.", place) }
            return code.emit(operation, .number, x, y)
        }
    }

    // MARK: Types

    func number(_ node: Node, _ level: Level) throws(FeaturePlanError) -> Operand {
        try require(try lower(node, level), .number, node.place)
    }
    func boolean(_ node: Node, _ level: Level) throws(FeaturePlanError) -> Operand {
        try require(try lower(node, level), .boolean, node.place)
    }
    func time(_ node: Node, _ level: Level) throws(FeaturePlanError) -> Operand {
        try require(try lower(node, level), .time, node.place)
    }

    func require(_ operand: Operand, _ type: ValueType, _ place: Place) throws(FeaturePlanError) -> Operand {
        if operand.type == type || operand.isMissingLiteral { return operand }
        let hint =
            switch (operand.type, type) {
            case (.boolean, .number): " Write if(…, 1, 0) to count it."
            case (.number, .boolean): " Compare it, as in x != 0."
            case (.string, .number): " Use code(…) to turn texts into numbers."
            case (.time, .number): " Use seconds(…), or subtract two times."
            default: ""
            }
        throw fail("Here must be a \(type.rawValue); this is a \(operand.type.rawValue).\(hint)", place)
    }

    /// The one type of several operands.
    func common(_ operands: [Operand], _ place: Place) throws(FeaturePlanError) -> ValueType {
        guard let first = operands.first(where: { !$0.isMissingLiteral }) else { return .number }
        for operand in operands where operand.type != first.type && !operand.isMissingLiteral {
            throw fail("A \(first.type.rawValue) and a \(operand.type.rawValue) cannot stand together here.", place)
        }
        return first.type
    }
}
