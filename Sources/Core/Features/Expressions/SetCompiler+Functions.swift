import Text

/// Calls of functions.
extension SetCompiler {
    struct Call {
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

    func lowerCall(_ call: Call, _ level: Level) throws(FeaturePlanError) -> Operand {
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

    func conditionLooksBack(_ call: Call) -> FeaturePlanError {
        fail("`when` looks at one event alone, so \(call.name)(…) cannot stand in it; use the event's fields.", call.place)
    }
}
