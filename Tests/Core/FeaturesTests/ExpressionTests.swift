import Features
import Testing

@Suite("Feature expressions")
struct ExpressionTests {
    // x = 6, y = 4, n = 3, s = "red", b = true, t = 0, u missing.
    static let values: [(String, Double)] = [
        ("x + y * n", 18), ("(x + y) * n", 30), ("x - y - n", -1), ("2 ^ 3 ^ 2", 512), ("-2 ^ 2", -4), ("2 ^ -1", 0.5), ("--x", 6),
        ("7 % 3", 1), ("-7 % 3", 2), ("7 % -3", -2), ("x / y", 1.5), ("1e3 + .5 + 2.", 1002.5), ("pi > 3.14 and pi < 3.15", 1),
        ("x / 0", .nan), ("0 / 0", .nan), ("x % 0", .nan), ("log(0)", .nan), ("log(-1)", .nan), ("log(exp(2))", 2), ("log10(1000)", 3),
        ("sqrt(-1)", .nan), ("sqrt(x + 3)", 3), ("exp(1000)", .nan), ("1e308 * 10", .nan), ("pow(0, -1)", .nan), ("abs(-x)", 6),
        ("floor(-1.5)", -2), ("ceil(-1.5)", -1), ("round(2.5)", 3), ("round(-2.5)", -3), ("sign(-3)", -1), ("sign(0)", 0),
        ("min(x, y, n)", 3), ("max(x, y, n)", 6), ("clamp(x, 0, 5)", 5), ("clamp(x, 7, 9)", 7), ("clamp(x, 9, 7)", .nan),
        ("x == 6", 1), ("x != 6", 0), ("x > y", 1), ("x >= 6", 1), ("x < y", 0), ("x <= 6", 1), ("not x < y", 1), ("not b", 0),
        ("b and x > 7", 0), ("b or x > 7", 1), ("true or false and false", 1), ("if(x > y, 1, 2)", 1), ("if(b == false, 1, 2)", 2),
        ("s == \"red\"", 1), ("s != 'red'", 0), ("s == \"blue\"", 0), ("code(s, \"blue\", \"red\")", 1), ("code(s, \"blue\")", .nan),
        ("if(s == \"red\", x, y) * 10", 60), ("is_missing(u)", 1), ("is_missing(x)", 0), ("coalesce(missing, x)", 6), ("coalesce(x, y)", 6),
        ("seconds(coalesce(u, t))", 0), ("missing + 1", .nan), ("if(is_missing(u), 1, 0)", 1), ("if(x > 1, missing, 1)", .nan),
        ("seconds(t + 90)", 90), ("(t + 90) - t", 90), ("t - 5 < t", 1), ("hour(t)", 0), ("weekday(t)", 3), ("minute(t + 61)", 1),
        ("day(t - 1)", 31), ("month(t - 1)", 12), ("day_of_year(t - 1)", 365), ("hour_sin(t + 21600)", 1), ("hour_cos(t)", 1),
        ("hour(t, \"America/New_York\")", 19), ("sin(0)", 0), ("cos(0)", 1), ("0 * -1", 0), ("previous(x)", .nan),
        ("is_missing(previous(x))", 1), ("seconds_since_previous()", .nan), ("mean(x, 30s)", 6), ("count(10 events)", 1), ("max(x, 5m)", 6),
        ("distinct(s, 1h)", 1), ("rate(30s) * 30", 1),
    ]

    @Test("have these values", arguments: values)
    func evaluates(_ expression: String, _ expected: Double) throws {
        let value = try evaluate(expression)
        #expect(isSame(value, expected) || abs(value - expected) < 1e-12, "\(expression) = \(value)")
    }

    @Test("have the same value whether they are folded at compile time or computed")
    func foldsLikeItComputes() throws {
        // The fields stand for their values: `6 + 4` is folded, `x + y` is not.
        for (expression, _) in Self.values where !expression.contains("\"") && !expression.contains("'") {
            var folded = ""
            var word = ""
            for character in expression + " " {
                if character.isLetter || character == "_" || character.isNumber || character == "." {
                    word.append(character)
                } else {
                    folded += ["x": "6", "y": "4", "n": "3", "b": "true"][word] ?? word
                    folded.append(character)
                    word = ""
                }
            }
            if expression.contains("mean") || expression.contains("previous") { continue }
            guard try refusal([("f", folded)]) == nil else { continue }
            #expect(isSame(try evaluate(expression), try evaluate(folded)), "\(expression) → \(folded)")
        }
    }

    static let missing = #"{"entity":"a","t":0}"#

    static let logic: [(String, Double)] = [
        ("x > 1", .nan), ("x == x", .nan), ("x > 1 and false", 0), ("x > 1 and true", .nan), ("x > 1 or true", 1), ("x > 1 or false", .nan),
        ("not (x > 1)", .nan), ("if(x > 1, 1, 2)", .nan), ("min(x, 1)", .nan), ("coalesce(x, y, 7)", 7), ("s == \"red\"", .nan),
        ("code(s, \"red\")", .nan), ("clamp(x, 0, 1)", .nan), ("hour(u)", .nan), ("is_missing(b and true)", 1), ("sign(x)", .nan),
        ("count(x, 30s)", 0),
        ("count(30s)", 1), ("sum(x, 30s)", .nan), ("x ^ 0", 1), ("x % 2", .nan), ("round(x)", .nan), ("coalesce(if(b, 1, 2), 5)", 5),
    ]

    @Test("treat missing values by the stated rules", arguments: logic)
    func treatsMissing(_ expression: String, _ expected: Double) throws {
        #expect(isSame(try evaluate(expression, Self.missing), expected), "\(expression)")
    }

    static let mistakes: [(String, offset: Int, length: Int, says: String)] = [
        ("", 0, 0, "empty"), ("x +", 3, 0, "must be a value, not the end"), ("x y", 2, 1, "an operator or the end"),
        ("(x", 2, 0, "must be `)`"),
        ("1 + fared", 4, 5, "no field or feature `fared`"), ("xx", 0, 2, "Did you mean `x`?"),
        ("x + flor(y)", 4, 4, "Did you mean `floor`?"),
        ("x && y", 2, 2, "Write `and`"), ("x = y", 2, 1, "Write `==`"), ("!b", 0, 1, "Write `not`"), ("x ** 2", 2, 2, "Write `^`"),
        ("1 < x < 3", 6, 1, "cannot be chained"), ("x + s", 4, 1, "must be a number; this is a text"), ("x + b", 4, 1, "if(…, 1, 0)"),
        ("if(x, 1, 2)", 3, 1, "x != 0"), ("if(b, 1, s)", 0, 11, "cannot stand together"), ("s < \"a\"", 0, 7, "== and != only"),
        ("log(x, y)", 0, 9, "takes 1 argument, not 2"), ("clamp(x)", 0, 8, "takes 3 arguments"), ("min()", 0, 5, "at least 2"),
        ("floor", 0, 5, "write floor(…)"), ("s", 0, 1, "use code(…)"), ("t", 0, 1, "use seconds(…)"), ("t + t", 0, 5, "subtract a time"),
        ("hour(x)", 5, 1, "must be a time"), ("hour(t, \"Mars/Base\")", 8, 11, "no time zone"), ("hour(t, s)", 8, 1, "text in quotes"),
        ("code(s, \"a\", \"a\")", 8, 3, "twice"), ("code(s, x)", 8, 1, "texts in quotes"), ("mean(x)", 0, 7, "how far back"),
        ("mean(mean(x, 3s), 3s)", 5, 11, "inside another"), ("x + 30s", 4, 3, "last argument of an aggregate"),
        ("mean(s, 3s)", 5, 1, "numbers or booleans"),
        ("quantile(x, 2, 3s)", 12, 1, "between 0 and 1"), ("30y", 0, 3, "no unit of time"),
        ("mean(x, 0 events)", 8, 8, "between 1 and 10000"),
        ("\"abc", 0, 4, "no closing quote"), ("x # y", 2, 1, "no meaning"), ("1e999", 0, 5, "too large"),
        ("x == missing", 0, 12, "is_missing"),
        ("window_start", 0, 12, "around the aggregates"), ("+x", 0, 1, "needs no `+`"), ("previous()", 0, 10, "takes 1 argument"),
    ]

    @Test("with a mistake are refused at its place", arguments: mistakes)
    func refuses(_ expression: String, _ offset: Int, _ length: Int, _ says: String) throws {
        let error = try #require(try refusal([("f", expression)]), "accepted \(expression)")
        #expect(error.error.message.contains(says), "\(expression): \(error.error.message)")
        #expect(error.error.offset == offset, "\(expression)")
        #expect(error.error.length == length, "\(expression)")
        #expect(error.feature == "f")
    }

    @Test("refer to one another in any order, but not in a circle")
    func resolvesReferences() throws {
        #expect(try refusal([("a", "c + 1"), ("c", "x * 2")]) == nil)
        let error = try #require(try refusal([("a", "d + 1"), ("d", "c"), ("c", "2 * a")]))
        #expect(error.error.message == "Features cannot depend on themselves: `a` needs `d` needs `c` needs `a`.")
        #expect(error.feature == "c")
        #expect(error.error.offset == 4)
        // A field wins over a feature of its name.
        #expect(try refusal([("x", "x / 10")]) == nil)
        #expect(try refusal([("a", "1"), ("a", "2")])?.error.message.contains("twice") == true)
        #expect(try refusal([("and", "1")]) != nil)
    }

    @Test("nested without end are refused, not run into the ground")
    func limitsDepth() throws {
        for text in [
            String(repeating: "(", count: 4000), String(repeating: "-", count: 4000) + "x", "x" + String(repeating: "+x", count: 2000),
            String(repeating: "abs(", count: 1000) + "x" + String(repeating: ")", count: 1000), String(repeating: "2^", count: 2000) + "x",
            String(repeating: "not ", count: 1000) + "b", String(repeating: "x ", count: 4000),
        ] { #expect(try refusal([("f", text)]) != nil) }
        let chain = (0..<500).map { ("f\($0)", $0 == 499 ? "x" : "f\($0 + 1) + 1") }
        #expect(try refusal(chain)?.error.message.contains("too deeply") == true)
        #expect(try refusal(chain.reversed()) == nil)
    }

    @Test("of windows keep events and windows apart")
    func checksWindows() throws {
        let window = FeatureScope.window(length: 60_000, slide: 10_000)
        #expect(
            try refusal(
                [("a", "mean(x) / max(std(x), 1)"), ("b", "a * (window_end - window_start)"), ("c", "count() + rate()")], scope: window)
                == nil)
        for (text, says) in [
            ("x", "A window has many values"), ("mean(x, 3s)", "window is the span"), ("mean(max(x, 1)) + y", "many values"),
            ("previous(x)", "inside an aggregate"), ("mean(a)", "no field or feature"), ("mean(f)", "is a feature of the window"),
            ("window_end", "seconds"),
        ] {
            let error = try #require(try refusal([("f", text)], scope: window), "accepted \(text)")
            #expect(error.error.message.contains(says), "\(text): \(error.error.message)")
        }
        #expect(try refusal([("f", "count()")], scope: .window(length: 10, slide: 20)) != nil)
        #expect(try refusal([("f", "count()")], scope: .window(length: 10, slide: 0)) != nil)
    }
}
