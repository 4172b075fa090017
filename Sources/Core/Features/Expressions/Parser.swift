/// An expression as a tree; every node knows its place in the text.
indirect enum Node {
    case number(Double, Place)
    case text(String, Place)
    case boolean(Bool, Place)
    case missing(Place)
    case span(Span, Place)
    case name(String, Place)
    /// The place of the name, then of the whole call.
    case call(String, [Node], name: Place, Place)
    case unary(String, Node, Place)
    case binary(String, Node, Node, Place)

    var place: Place {
        switch self {
        case .number(_, let place), .text(_, let place), .boolean(_, let place), .missing(let place), .span(_, let place),
            .name(_, let place), .call(_, _, _, let place), .unary(_, _, let place), .binary(_, _, _, let place):
            place
        }
    }
}

/// Operator-precedence (Pratt) parser.
///
/// From loosest to tightest: `or`, `and`, `not`, comparisons (not chainable), `+ -`, `* / %`, unary `-`, `^` (to the right).
struct Parser {
    /// Longest text of an expression in bytes.
    static let maximumLength = 4096
    /// Deepest tree: a chain of operators counts as well as parentheses.
    static let maximumDepth = 200

    private var lexer: Lexer
    private var token: Token
    private var place: Place
    private var depth = 0

    private static let comparisons: Set<String> = ["==", "!=", "<", "<=", ">", ">="]

    static func parse(_ text: String) throws(ExpressionError) -> Node {
        guard text.utf8.count <= maximumLength else {
            throw ExpressionError("An expression has at most \(maximumLength) bytes; split it into several features.")
        }
        var parser = try Parser(text)
        if parser.token == .end { throw ExpressionError("The expression is empty.") }
        let node = try parser.expression(0)
        guard parser.token == .end else { throw parser.unexpected("an operator or the end") }
        return node
    }

    private init(_ text: String) throws(ExpressionError) {
        lexer = Lexer(text)
        (token, place) = try lexer.next()
    }

    private mutating func advance() throws(ExpressionError) { (token, place) = try lexer.next() }

    private func unexpected(_ wanted: String) -> ExpressionError {
        let found: String
        switch token {
        case .end: found = "the end"
        case .number, .span: found = "a number"
        case .text: found = "a text"
        case .name(let name): found = "`\(name)`"
        case .sign(let sign): found = "`\(sign)`"
        }
        return ExpressionError("Here must be \(wanted), not \(found).", place)
    }

    private mutating func expect(_ sign: String) throws(ExpressionError) {
        guard token == .sign(sign) else { throw unexpected("`\(sign)`") }
        try advance()
    }

    private mutating func descend() throws(ExpressionError) {
        depth += 1
        if depth > Self.maximumDepth {
            throw ExpressionError("The expression is nested more than \(Self.maximumDepth) deep; split it into several features.", place)
        }
    }

    /// How tightly the operator at hand binds to what stands left of it, or nil when there is none.
    private var infix: (name: String, power: Int)? {
        switch token {
        case .name("or"): return ("or", 1)
        case .name("and"): return ("and", 2)
        case .sign(let sign):
            if Self.comparisons.contains(sign) { return (sign, 4) }
            switch sign {
            case "+", "-": return (sign, 5)
            case "*", "/", "%": return (sign, 6)
            case "^": return (sign, 8)
            default: return nil
            }
        default: return nil
        }
    }

    private mutating func expression(_ minimum: Int) throws(ExpressionError) -> Node {
        let outer = depth
        defer { depth = outer }
        try descend()
        var left = try operand()
        while let (name, power) = infix, power >= minimum {
            try descend()
            try advance()
            // `^` groups to the right, and its right side may begin with a minus.
            let right = try expression(name == "^" ? 7 : power + 1)
            left = .binary(name, left, right, left.place.upTo(right.place))
            if Self.comparisons.contains(name), let next = infix, Self.comparisons.contains(next.name) {
                throw ExpressionError("Comparisons cannot be chained; write `a < b and b < c`.", place)
            }
        }
        return left
    }

    private mutating func operand() throws(ExpressionError) -> Node {
        let start = place
        switch token {
        case .number(let value):
            try advance()
            return .number(value, start)
        case .text(let value):
            try advance()
            return .text(value, start)
        case .span(let value):
            try advance()
            return .span(value, start)
        case .sign("-"):
            try advance()
            let node = try expression(7)
            return .unary("-", node, start.upTo(node.place))
        case .sign("+"):
            throw ExpressionError("A number needs no `+` in front of it.", start)
        case .sign("("):
            try advance()
            let node = try expression(0)
            try expect(")")
            return node
        case .name("not"):
            try advance()
            let node = try expression(3)
            return .unary("not", node, start.upTo(node.place))
        case .name("true"), .name("false"):
            let value = token == .name("true")
            try advance()
            return .boolean(value, start)
        case .name("missing"):
            try advance()
            return .missing(start)
        case .name("pi"):
            try advance()
            return .number(.pi, start)
        case .name("and"), .name("or"), .end, .sign:
            throw unexpected("a value")
        case .name(let name):
            try advance()
            guard token == .sign("(") else { return .name(name, start) }
            try advance()
            var arguments: [Node] = []
            if token != .sign(")") {
                arguments.append(try expression(0))
                while token == .sign(",") {
                    try advance()
                    guard arguments.count < 256 else { throw ExpressionError("A function takes at most 256 arguments.", place) }
                    arguments.append(try expression(0))
                }
            }
            let close = place
            guard token == .sign(")") else { throw unexpected("`,` or `)`") }
            try advance()
            return .call(name, arguments, name: start, start.upTo(close))
        }
    }
}
