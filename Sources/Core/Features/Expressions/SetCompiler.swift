import Text

/// Compiles the expressions of one feature set: names, types and arguments are checked, cycles refused, code emitted.
///
/// An event set becomes code that runs for each event. Of a window set, what stands inside an aggregate runs for each event, and what
/// stands around the aggregates runs once for each window.
final class SetCompiler {
    private let schema: EventSchema
    private let set: FeatureSetDefinition
    private let zones: ZoneLookup
    /// Shared by all sets of a plan.
    private let event: EventProgramBuilder
    /// For window sets.
    let window: WindowProgramBuilder?

    private enum Progress { case new, open, done(Operand) }
    private var progress: [Progress]
    private var positions: [String: Int] = [:]
    /// The features being compiled, outermost first.
    private var stack: [Int] = []
    private var depth = 0
    /// Features of an event set whose own expression looks at events before the present one, by position.
    private(set) var lookingBack: Set<Int> = []
    /// The register that says whether the set takes an event; -1: it takes all.
    private(set) var condition = -1

    /// Where in a window set an expression stands.
    private enum Level { case event, window, column, condition }

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

    private func fail(_ message: String, _ place: Place) -> FeaturePlanError {
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

    private func builder(_ level: Level) -> CodeBuilder { level == .window ? window?.code ?? event.code : event.code }

    // MARK: Nodes

    private func lower(_ node: Node, _ level: Level) throws(FeaturePlanError) -> Operand {
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

    private func number(_ node: Node, _ level: Level) throws(FeaturePlanError) -> Operand {
        try require(try lower(node, level), .number, node.place)
    }
    private func boolean(_ node: Node, _ level: Level) throws(FeaturePlanError) -> Operand {
        try require(try lower(node, level), .boolean, node.place)
    }
    private func time(_ node: Node, _ level: Level) throws(FeaturePlanError) -> Operand {
        try require(try lower(node, level), .time, node.place)
    }

    private func require(_ operand: Operand, _ type: ValueType, _ place: Place) throws(FeaturePlanError) -> Operand {
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
    private func common(_ operands: [Operand], _ place: Place) throws(FeaturePlanError) -> ValueType {
        guard let first = operands.first(where: { !$0.isMissingLiteral }) else { return .number }
        for operand in operands where operand.type != first.type && !operand.isMissingLiteral {
            throw fail("A \(first.type.rawValue) and a \(operand.type.rawValue) cannot stand together here.", place)
        }
        return first.type
    }

    // MARK: Functions

    private struct Call {
        var name: String
        var arguments: [Node]
        var namePlace: Place
        var place: Place
    }

    private static let unary: [String: Operation] = [
        "abs": .absolute, "log": .logarithm, "log10": .logarithm10, "exp": .exponential, "sqrt": .squareRoot, "floor": .floor,
        "ceil": .ceiling,
        "round": .round, "sign": .sign, "sin": .sine, "cos": .cosine,
    ]
    private static let calendar: [String: Operation] = [
        "hour": .hour, "minute": .minute, "weekday": .weekday, "day": .dayOfMonth, "month": .month, "day_of_year": .dayOfYear,
    ]
    private static let cyclic: [String: (Operation, Operation)] = [
        "hour_sin": (.partOfDay, .sineOfTurn), "hour_cos": (.partOfDay, .cosineOfTurn), "weekday_sin": (.partOfWeek, .sineOfTurn),
        "weekday_cos": (.partOfWeek, .cosineOfTurn), "day_of_year_sin": (.partOfYear, .sineOfTurn),
        "day_of_year_cos": (.partOfYear, .cosineOfTurn),
    ]
    private static let others = [
        "if", "pow", "clamp", "is_missing", "coalesce", "code", "seconds", "previous", "difference", "seconds_since_previous",
    ]
    static let functionNames: [String] =
        Array(unary.keys).sorted() + calendar.keys.sorted() + cyclic.keys.sorted() + others + Aggregate.allCases.map(\.rawValue)

    private func arity(_ call: Call, _ range: ClosedRange<Int>) throws(FeaturePlanError) {
        guard !range.contains(call.arguments.count) else { return }
        let wanted =
            range.lowerBound == range.upperBound
            ? "\(range.lowerBound)" : range.upperBound > 100 ? "at least \(range.lowerBound)" : "\(range.lowerBound) to \(range.upperBound)"
        let noun = range == 1...1 ? "argument" : "arguments"
        throw fail("\(call.name) takes \(wanted) \(noun), not \(call.arguments.count).", call.place)
    }

    private func lowerCall(_ call: Call, _ level: Level) throws(FeaturePlanError) -> Operand {
        let code = builder(level)
        if let kind = Aggregate(rawValue: call.name), isAggregate(kind, call, level) { return try lowerAggregate(kind, call, level) }
        if let operation = Self.unary[call.name] {
            try arity(call, 1...1)
            return code.emit(operation, .number, try number(call.arguments[0], level))
        }
        if let operation = Self.calendar[call.name] { return try lowerCalendar(operation, call, level) }
        if let (part, turn) = Self.cyclic[call.name] { return code.emit(turn, .number, try lowerCalendar(part, call, level)) }
        switch call.name {
        case "min", "max":
            try arity(call, 2...255)
            var operands: [Operand] = []
            for argument in call.arguments { operands.append(try lower(argument, level)) }
            let type = try common(operands, call.place)
            guard type == .number || type == .time else { throw fail("\(call.name) takes numbers or times.", call.place) }
            var result = operands[0]
            for operand in operands.dropFirst() { result = code.emit(call.name == "min" ? .minimum : .maximum, type, result, operand) }
            return result
        case "pow":
            try arity(call, 2...2)
            return code.emit(.power, .number, try number(call.arguments[0], level), try number(call.arguments[1], level))
        case "clamp":
            try arity(call, 3...3)
            return code.emit(
                .clamp, .number, try number(call.arguments[0], level), try number(call.arguments[1], level),
                try number(call.arguments[2], level))
        case "if":
            try arity(call, 3...3)
            let condition = try boolean(call.arguments[0], level)
            let (x, y) = (try lower(call.arguments[1], level), try lower(call.arguments[2], level))
            return code.emit(.select, try common([x, y], call.place), condition, x, y)
        case "is_missing":
            try arity(call, 1...1)
            return code.emit(.isMissing, .boolean, try lower(call.arguments[0], level))
        case "coalesce":
            try arity(call, 2...255)
            var operands: [Operand] = []
            for argument in call.arguments { operands.append(try lower(argument, level)) }
            let type = try common(operands, call.place)
            var result = operands[0]
            for operand in operands.dropFirst() { result = code.emit(.coalesce, type, result, operand) }
            return result
        case "code": return try lowerCode(call, level)
        case "seconds":
            try arity(call, 1...1)
            return code.emit(.epochSeconds, .number, try time(call.arguments[0], level))
        case "previous", "difference", "seconds_since_previous": return try lowerHistory(call, level)
        default:
            let hint = Nearest.sentence(call.name, in: Self.functionNames)
            throw fail("There is no function `\(call.name)`.\(hint)", call.namePlace)
        }
    }

    private func lowerCode(_ call: Call, _ level: Level) throws(FeaturePlanError) -> Operand {
        try arity(call, 2...255)
        let code = builder(level)
        let text = try require(try lower(call.arguments[0], level), .string, call.arguments[0].place)
        var seen: Set<String> = []
        var result = code.constant(.nan, .number)
        for (index, argument) in call.arguments.dropFirst().enumerated().reversed() {
            guard case .text(let category, let place) = argument else {
                throw fail("The categories of code(…) are texts in quotes.", argument.place)
            }
            guard seen.insert(category).inserted else { throw fail("The category \"\(category)\" stands here twice.", place) }
            let isSame = code.emit(.equal, .boolean, text, code.constant(TextHash.number(of: category), .string))
            result = code.emit(.select, .number, isSame, code.constant(Double(index), .number), result)
        }
        return result
    }

    private func lowerCalendar(_ operation: Operation, _ call: Call, _ level: Level) throws(FeaturePlanError) -> Operand {
        try arity(call, 1...2)
        let time = try time(call.arguments[0], level)
        var rules = TimeZoneRules.utc
        if call.arguments.count == 2 {
            guard case .text(let name, let place) = call.arguments[1] else {
                throw fail("The time zone is a text in quotes, such as \"America/New_York\".", call.arguments[1].place)
            }
            guard let found = name == "UTC" ? .utc : zones(name) else { throw fail("There is no time zone \"\(name)\".", place) }
            rules = found
        }
        let code = builder(level)
        return code.emit(operation, .number, time, zone: code.zone(rules))
    }

    private func lowerHistory(_ call: Call, _ level: Level) throws(FeaturePlanError) -> Operand {
        guard level != .condition else { throw conditionLooksBack(call) }
        guard level != .window else {
            throw fail("\(call.name) looks at single events; put it inside an aggregate, as in mean(\(call.name)(…)).", call.place)
        }
        if let feature = stack.last { lookingBack.insert(feature) }
        if call.name == "seconds_since_previous" {
            try arity(call, 0...0)
            let time = Operand(register: schema.timeIndex, type: .time)
            return event.code.emit(.timeDifference, .number, time, event.previous(time))
        }
        try arity(call, 1...1)
        let value = try lower(call.arguments[0], level)
        let previous = event.previous(value)
        if call.name == "previous" { return previous }
        guard value.type == .number || value.type == .time else {
            throw fail("difference takes a number or a time, not a \(value.type.rawValue).", call.arguments[0].place)
        }
        return event.code.emit(value.type == .time ? .timeDifference : .subtract, .number, value, previous)
    }

    private func conditionLooksBack(_ call: Call) -> FeaturePlanError {
        fail("`when` looks at one event alone, so \(call.name)(…) cannot stand in it; use the event's fields.", call.place)
    }

    // MARK: Aggregates

    /// `min` and `max` are also plain functions; an aggregate has one value, and in event sets a span.
    private func isAggregate(_ kind: Aggregate, _ call: Call, _ level: Level) -> Bool {
        guard kind == .min || kind == .max else { return true }
        if case .span = call.arguments.last { return true }
        return call.arguments.count == 1
    }

    private func lowerAggregate(_ kind: Aggregate, _ call: Call, _ level: Level) throws(FeaturePlanError) -> Operand {
        guard level != .condition else { throw conditionLooksBack(call) }
        guard level != .column else { throw fail("An aggregate cannot stand inside another one.", call.place) }
        var arguments = call.arguments
        var span: Span?
        if case .span(let value, let place) = arguments.last {
            guard level == .event else { throw fail("In a window set the window is the span; leave it out here.", place) }
            span = value
            arguments.removeLast()
        } else if level == .event {
            let example = arguments.isEmpty ? "\(call.name)(30s)" : "\(call.name)(…, 30s) or \(call.name)(…, 10 events)"
            throw fail("For each event, \(call.name) needs to know how far back: \(example).", call.place)
        }
        var parameter = 0.5
        if kind == .quantile {
            guard arguments.count == 2 else {
                throw fail("quantile takes a value and a part between 0 and 1, as in quantile(x, 0.95).", call.place)
            }
            guard let q = try number(arguments[1], level).constant, (0...1).contains(q) else {
                throw fail("The second argument of quantile is a constant between 0 and 1.", arguments[1].place)
            }
            parameter = q
        } else if arguments.count > 1 || (arguments.isEmpty && !kind.canCountEvents) {
            throw fail("\(call.name) takes one value\(level == .event ? " and a span" : "").", call.place)
        }
        var column: Int?
        if let argument = arguments.first {
            let value = try lower(argument, .column)
            let isUsable = value.type == .number || value.type == .boolean || (value.type == .string && kind.takesText)
            guard isUsable else { throw fail("\(call.name) takes numbers or booleans, not a \(value.type.rawValue).", argument.place) }
            column = value.register
        }
        if let span {
            if let feature = stack.last { lookingBack.insert(feature) }
            let register = event.rolling(kind, column, parameter, span)
            return Operand(register: register, type: .number)
        }
        guard let window else { throw fail("There is no window here.", call.place) }
        return Operand(register: window.aggregate(kind, column, parameter), type: .number)
    }
}
