import Text

/// Typed reading. Every failure is a sentence at this value's place.
extension YAMLNode {
    /// The text as written, also of `yes` or `1.0` without quotes.
    public func string() throws(YAMLError) -> String {
        guard case .scalar(let scalar) = content, !isNull else { throw error("\(sentenceName) wants a text, but has \(kindName).") }
        return scalar.text
    }

    public func nonEmptyString() throws(YAMLError) -> String {
        let text = try string()
        guard text.contains(where: { !$0.isWhitespace }) else { throw error("\(sentenceName) must not be empty.") }
        return text
    }

    /// Only `true` and `false` without quotes. What YAML 1.1 also takes for one (yes, on, y) is refused with a hint.
    public func bool() throws(YAMLError) -> Bool {
        guard case .scalar(let scalar) = content, !isNull else { throw error("\(sentenceName) wants true or false, but has \(kindName).") }
        if scalar.style == .plain, scalar.text == "true" { return true }
        if scalar.style == .plain, scalar.text == "false" { return false }
        let lower = scalar.text.lowercased()
        if ["true", "yes", "on", "y"].contains(lower) {
            throw error("\(sentenceName) wants true or false; \(quoted(scalar)) is a text here, write true.")
        }
        if ["false", "no", "off", "n"].contains(lower) {
            throw error("\(sentenceName) wants true or false; \(quoted(scalar)) is a text here, write false.")
        }
        throw error("\(sentenceName) wants true or false, but has \(quoted(scalar)).")
    }

    /// A whole number in decimal digits, in `range` where that is given.
    public func integer(_ range: ClosedRange<Int64>? = nil) throws(YAMLError) -> Int64 {
        let text = try number("a whole number")
        let digits = text.drop { $0 == "-" || $0 == "+" }
        guard digits.allSatisfy({ ("0"..."9").contains($0) }) else {
            throw error("\(sentenceName) wants a whole number, but has `\(text)`.")
        }
        guard let value = Int64(text) else { throw error("\(sentenceName) is a number beyond 64 bits: `\(text)`.") }
        if let range, !range.contains(value) {
            throw error(
                "\(sentenceName) must be \(Self.bounds("\(range.lowerBound)", "\(range.upperBound)", range.upperBound == .max)), but is \(value)."
            )
        }
        return value
    }

    public func int(_ range: ClosedRange<Int>? = nil) throws(YAMLError) -> Int {
        Int(try integer(range.map { Int64($0.lowerBound)...Int64($0.upperBound) }))
    }

    /// A finite decimal number, in `range` where that is given.
    public func double(_ range: ClosedRange<Double>? = nil) throws(YAMLError) -> Double {
        let text = try number("a number")
        guard let value = Double(text), value.isFinite else { throw error("\(sentenceName) is too large a number: `\(text)`.") }
        if let range, !range.contains(value) {
            let bounds = Self.bounds(Self.plain(range.lowerBound), Self.plain(range.upperBound), range.upperBound == .infinity)
            throw error("\(sentenceName) must be \(bounds), but is \(text).")
        }
        return value
    }

    /// A duration such as `500ms`, `60s`, `10m`, `1.5h` or `2d`, in milliseconds. A unit is needed, except for 0.
    public func milliseconds(_ range: ClosedRange<Int64>? = nil) throws(YAMLError) -> Int64 {
        let text = try string()
        guard let value = Self.duration(text) else {
            throw error("\(sentenceName) wants a duration such as 500ms, 60s, 10m, 1h or 2d, but has `\(text)`.")
        }
        if let range, !range.contains(value) {
            let bounds = Self.bounds(
                Self.durationText(range.lowerBound), Self.durationText(range.upperBound), range.upperBound == .max)
            throw error("\(sentenceName) must be \(bounds), but is \(text).")
        }
        return value
    }

    public func sequence() throws(YAMLError) -> [YAMLNode] {
        guard case .sequence(let nodes) = content else { throw error("\(sentenceName) wants a list, but has \(kindName).") }
        return nodes
    }

    public func strings() throws(YAMLError) -> [String] {
        var strings: [String] = []
        for node in try sequence() { strings.append(try node.string()) }
        return strings
    }

    /// One of a few words.
    public func choice<T>(_ choices: [(String, T)]) throws(YAMLError) -> T {
        let text = try string()
        for (name, value) in choices where name == text { return value }
        let names = choices.map(\.0)
        if let nearest = Nearest.name(to: text, in: names) {
            throw error("\(sentenceName) does not know `\(text)`; did you mean `\(nearest)`?")
        }
        throw error("\(sentenceName) does not know `\(text)`; it is one of \(Self.list(names)).")
    }

    /// The name at the start of a sentence.
    var sentenceName: String { path.isEmpty ? "The file" : name }

    /// The text of a number in YAML's common forms; the traps of YAML 1.1 (octal, sexagesimal, underscores) are refused.
    private func number(_ wanted: String) throws(YAMLError) -> String {
        guard case .scalar(let scalar) = content, !isNull else { throw error("\(sentenceName) wants \(wanted), but has \(kindName).") }
        guard scalar.style == .plain else {
            let hint = Self.isDecimal(scalar.text) ? "; remove the quotes" : ""
            throw error("\(sentenceName) wants \(wanted), but has the text \(quoted(scalar))\(hint).")
        }
        guard Self.isDecimal(scalar.text) else { throw error("\(sentenceName) wants \(wanted), but has `\(scalar.text.prefix(60))`.") }
        let digits = scalar.text.drop { $0 == "-" || $0 == "+" }
        if digits.count > 1, digits.first == "0", digits.dropFirst().first?.isNumber == true {
            throw error("\(sentenceName) is `\(scalar.text)`, which some readers take for octal; write it without the leading zero.")
        }
        return scalar.text
    }

    private func quoted(_ scalar: YAMLScalar) -> String {
        scalar.style == .plain ? "`\(scalar.text.prefix(60))`" : "\"\(scalar.text.prefix(60))\""
    }

    /// Sign, digits, fraction, exponent.
    static func isDecimal(_ text: String) -> Bool {
        var rest = text.utf8[...]
        func digits() -> Int {
            let count = rest.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }.count
            rest = rest.dropFirst(count)
            return count
        }
        if let sign = rest.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") { rest = rest.dropFirst() }
        var count = digits()
        if rest.first == UInt8(ascii: ".") {
            rest = rest.dropFirst()
            count += digits()
        }
        guard count > 0 else { return false }
        if let letter = rest.first, letter | 0x20 == UInt8(ascii: "e") {
            rest = rest.dropFirst()
            if let sign = rest.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") { rest = rest.dropFirst() }
            guard digits() > 0 else { return false }
        }
        return rest.isEmpty
    }

    private static let units: [(String, Double)] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)]

    /// The milliseconds of a duration's text, or nil when it is none.
    public static func duration(_ text: String) -> Int64? {
        if text == "0" { return 0 }
        for (unit, factor) in units where text.hasSuffix(unit) {
            let number = String(text.dropLast(unit.count))
            guard let first = number.first, first.isNumber, isDecimal(number), let value = Double(number) else { continue }
            let milliseconds = (value * factor).rounded()
            guard milliseconds < 9e15 else { return nil }
            return Int64(milliseconds)
        }
        return nil
    }

    /// Milliseconds in the largest unit that needs no fraction.
    public static func durationText(_ milliseconds: Int64) -> String {
        for (unit, factor) in units.reversed() where milliseconds != 0 && milliseconds % Int64(factor) == 0 {
            return "\(milliseconds / Int64(factor))\(unit)"
        }
        return "0"
    }

    static func list(_ names: [String]) -> String {
        guard let last = names.last, names.count > 1 else { return names.first ?? "" }
        return names.dropLast().joined(separator: ", ") + " and " + last
    }

    private static func bounds(_ lower: String, _ upper: String, _ isOpen: Bool) -> String {
        isOpen ? "at least \(lower)" : "between \(lower) and \(upper)"
    }

    private static func plain(_ value: Double) -> String {
        abs(value) < 1e15 && value == value.rounded() ? "\(Int64(value))" : "\(value)"
    }
}
