/// Calls of aggregates: over a span of events before the present one, or over a window.
extension SetCompiler {
    /// `min` and `max` are also plain functions; an aggregate has one value, and in event sets a span.
    func isAggregate(_ kind: Aggregate, _ call: Call, _ level: Level) -> Bool {
        guard kind == .min || kind == .max else { return true }
        if case .span = call.arguments.last { return true }
        return call.arguments.count == 1
    }

    func lowerAggregate(_ kind: Aggregate, _ call: Call, _ level: Level) throws(FeaturePlanError) -> Operand {
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
