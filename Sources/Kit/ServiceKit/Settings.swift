import Text
@preconcurrency import Glibc

/// A setting that is missing, unknown, of the wrong type or out of range; one sentence per mistake.
public struct SettingsError: Error, CustomStringConvertible {
    public let problems: [String]
    public var description: String { problems.joined(separator: "\n") }
}

/// Reads settings from flags and environment variables, and remembers each definition, so that the code which reads a setting is also its
/// documentation (`--help`) and its report (`--print-config`).
///
/// A setting named `VYUHA_BATCH_SIZE` is also the flag `--batch-size`; a flag wins over the variable. A name that starts with `--` is a
/// flag only. Mistakes are collected and thrown together by `finish()`, so that one start shows all of them.
public struct SettingsReader {
    /// One setting as it was defined and found.
    public struct Definition {
        let variable: String?
        let flag: String
        let help: String
        let fallback: String?
        let shown: String
        let takesValue: Bool
    }

    private let environment: [String: String]
    private var flags: [(name: String, value: String?)] = []
    private var positionals: [String] = []
    private var positionalHelp: [(name: String, help: String)] = []
    private var used: Set<Int> = []
    private var problems: [String] = []
    public private(set) var definitions: [Definition] = []

    /// - Parameters:
    ///   - arguments: without the program's name. `--flag value`, `--flag=value`, and `--flag` alone for switches.
    ///   - switches: flags that never take a value.
    public init(arguments: [String], environment: [String: String], switches: Set<String> = []) {
        self.environment = environment
        var index = 0
        while index < arguments.count {
            let argument = arguments[index]
            index += 1
            guard argument.hasPrefix("--"), argument.count > 2 else {
                positionals.append(argument)
                continue
            }
            if let equals = argument.firstIndex(of: "=") {
                flags.append((String(argument[..<equals]), String(argument[argument.index(after: equals)...])))
            } else if !switches.contains(argument), index < arguments.count, !arguments[index].hasPrefix("--") {
                flags.append((argument, arguments[index]))
                index += 1
            } else {
                flags.append((argument, nil))
            }
        }
    }

    /// A secret as a file (Docker, Kubernetes): `REDIS_URL_FILE=/run/secrets/redis_url` stands for `REDIS_URL` with the file's content without
    /// its last line break. Nil where no such variable is set; to give both is a mistake.
    private mutating func secretFile(_ name: String) -> String? {
        let variable = name + "_FILE"
        guard let path = environment[variable], !path.isEmpty else { return nil }
        guard environment[name, default: ""].isEmpty else {
            problems.append("\(name) and \(variable) are both set; give one of them.")
            return nil
        }
        guard let text = Self.contents(of: path) else {
            problems.append("\(variable): the file \(path) cannot be read.")
            return nil
        }
        guard text.contains(where: { !$0.isWhitespace }) else {
            problems.append("\(variable): the file \(path) is empty; write the value of \(name) into it, or unset \(variable).")
            return nil
        }
        return text
    }

    /// A file of at most 64 KiB as text without its last line break, or nil.
    private static func contents(of path: String) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4_096)
        while bytes.count < 1 << 16 {
            let count = read(file, &buffer, buffer.count)
            guard count >= 0 else { return nil }
            if count == 0 { break }
            bytes.append(contentsOf: buffer.prefix(count))
        }
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The environment of this process.
    public static func processEnvironment() -> [String: String] {
        var result: [String: String] = [:]
        var entry = environ
        while let pointer = entry.pointee {
            let text = String(cString: pointer)
            if let equals = text.firstIndex(of: "=") {
                result[String(text[..<equals])] = String(text[text.index(after: equals)...])
            }
            entry += 1
        }
        return result
    }

    // MARK: Kinds of settings

    /// A value converted by `convert`, whose thrown error becomes the message.
    public mutating func value<T>(
        _ name: String, default fallback: String?, secret: Bool = false, _ help: String, convert: (String) throws -> T
    ) -> T? {
        let flag = Self.flag(of: name)
        let variable = name.hasPrefix("--") ? nil : name
        var found = take(flag) ?? variable.flatMap { environment[$0] }.flatMap { $0.isEmpty ? nil : $0 }
        if secret, let variable {
            let file = secretFile(variable)
            found = found ?? file
        }
        let text = found ?? fallback
        let shown = text.map { secret ? "<secret>" : $0 } ?? "(not set)"
        definitions.append(Definition(variable: variable, flag: flag, help: help, fallback: fallback, shown: shown, takesValue: true))
        guard let text else { return nil }
        do { return try convert(text) } catch {
            problems.append("\(variable ?? flag): \(error)")
            return nil
        }
    }

    public mutating func string(_ name: String, default fallback: String, secret: Bool = false, _ help: String) -> String {
        value(name, default: fallback, secret: secret, help) { $0 } ?? fallback
    }

    public mutating func optionalString(_ name: String, secret: Bool = false, _ help: String) -> String? {
        value(name, default: nil, secret: secret, help) { $0 }
    }

    public mutating func integer(_ name: String, default fallback: Int, in range: ClosedRange<Int>, unit: String = "", _ help: String) -> Int {
        optionalInteger(name, default: fallback, in: range, unit: unit, help) ?? fallback
    }

    public mutating func optionalInteger(
        _ name: String, default fallback: Int? = nil, in range: ClosedRange<Int>, unit: String = "", _ help: String
    ) -> Int? {
        let bounds = "\(range.lowerBound) to \(range.upperBound)" + (unit.isEmpty ? "" : " " + unit)
        return value(name, default: fallback.map(String.init), help + " (\(bounds))") { text in
            guard let number = Int(text), range.contains(number) else {
                throw Mistake("\"\(text)\" is not a whole number from \(bounds).")
            }
            return number
        }
    }

    public mutating func number(_ name: String, default fallback: Double?, in range: ClosedRange<Double>, _ help: String) -> Double? {
        value(name, default: fallback.map { "\($0)" }, help) { text in
            guard let number = Double(text), range.contains(number) else {
                throw Mistake("\"\(text)\" is not a number from \(range.lowerBound) to \(range.upperBound).")
            }
            return number
        }
    }

    /// A duration such as `500ms`, `60s`, `10m`, `1h`; milliseconds come out.
    public mutating func duration(_ name: String, default fallback: String?, in range: ClosedRange<Int> = 0...Int.max, _ help: String) -> Int? {
        value(name, default: fallback, help) { text in
            guard let milliseconds = Self.milliseconds(text), range.contains(milliseconds) else {
                throw Mistake("\"\(text)\" is not a duration such as 500ms, 60s, 10m or 1h in the allowed range.")
            }
            return milliseconds
        }
    }

    /// A duration, or `never`.
    /// - Returns: `.some(nil)` for `never`; nil where the value is a mistake, which is noted.
    public mutating func durationOrNever(_ name: String, default fallback: String, in range: ClosedRange<Int>, _ help: String) -> Int?? {
        value(name, default: fallback, help) { text -> Int? in
            if text == "never" { return nil }
            guard let milliseconds = Self.milliseconds(text), range.contains(milliseconds) else {
                throw Mistake("\"\(text)\" is neither a duration such as 500ms, 60s, 10m or 1h in the allowed range nor `never`.")
            }
            return milliseconds
        }
    }

    public mutating func choice(_ name: String, default fallback: String, of choices: [String], _ help: String) -> String {
        value(name, default: fallback, help + " (\(choices.joined(separator: " | ")))") { text in
            guard choices.contains(text) else { throw Mistake("\"\(text)\" is not one of \(choices.joined(separator: ", ")).") }
            return text
        } ?? fallback
    }

    /// True where the flag is given. A switch has no environment variable.
    public mutating func toggle(_ flag: String, _ help: String) -> Bool {
        definitions.append(Definition(variable: nil, flag: flag, help: help, fallback: nil, shown: "", takesValue: false))
        var given = false
        for (index, entry) in flags.enumerated() where entry.name == flag {
            used.insert(index)
            given = true
            if entry.value != nil { problems.append("\(flag): takes no value.") }
        }
        return given
    }

    /// The next argument that is not a flag.
    public mutating func positional(_ name: String, _ help: String) -> String? {
        positionalHelp.append((name, help))
        return positionals.isEmpty ? nil : positionals.removeFirst()
    }

    /// All variables that start with `prefix`; shown in the report by name only, since a value may be a secret. One whose name ends in `_FILE`
    /// stands for the variable without that ending, see `secretFile`.
    public mutating func passThrough(prefix: String) -> [(String, String)] {
        var found: [(String, String)] = []
        for (name, value) in environment.filter({ $0.key.hasPrefix(prefix) }).sorted(by: { $0.key < $1.key }) {
            definitions.append(Definition(variable: name, flag: name, help: "", fallback: nil, shown: "<set>", takesValue: true))
            guard name.hasSuffix("_FILE") else {
                found.append((name, value))
                continue
            }
            let setting = String(name.dropLast(5))
            if let text = secretFile(setting) { found.append((setting, text)) }
        }
        return found
    }

    /// Adds a mistake that only the caller can see, such as two settings that exclude each other.
    public mutating func reject(_ problem: String) { problems.append(problem) }

    // MARK: Ends

    /// Throws all mistakes: those found while reading, flags nobody asked for, and variables that look like a misspelt setting.
    public func finish() throws(SettingsError) {
        var all = problems
        let known = definitions.map(\.flag)
        for (index, flag) in flags.enumerated() where !used.contains(index) {
            let hint = Nearest.name(to: flag.name, in: known).map { " Did you mean \($0)?" } ?? " See --help."
            all.append("Unknown option \(flag.name).\(hint)")
        }
        for extra in positionals { all.append("Unexpected argument \"\(extra)\". See --help.") }
        // Where use cases are looked up is read by the lookup itself, and one letter away from VYUHA_USE_CASE.
        let variables = definitions.compactMap(\.variable) + ["VYUHA_USECASES"]
        for name in environment.keys.sorted() where name.hasPrefix("VYUHA_") && !name.hasPrefix("VYUHA_KAFKA_") && !variables.contains(name) {
            // Variables of other services share an environment file, so only a near miss is a mistake.
            if let near = Nearest.name(to: name, in: variables) { all.append("Unknown variable \(name). Did you mean \(near)?") }
        }
        if !all.isEmpty { throw SettingsError(problems: all) }
    }

    /// One `name = value` line per setting, secrets redacted.
    public var report: String {
        definitions.filter(\.takesValue).map { "\($0.variable ?? $0.flag) = \($0.shown)" }.joined(separator: "\n")
    }

    /// The body of `--help`.
    public var help: String {
        var lines: [String] = []
        for (name, help) in positionalHelp { lines.append("  \(name)\n      \(help)") }
        for definition in definitions {
            var line = "  " + definition.flag + (definition.takesValue ? " VALUE" : "")
            if let variable = definition.variable { line += "   [" + variable + "]" }
            if let fallback = definition.fallback { line += "   default " + (fallback.isEmpty ? "none" : fallback) }
            lines.append(line + "\n      " + definition.help)
        }
        return lines.joined(separator: "\n")
    }

    // MARK: Parts

    private struct Mistake: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    private mutating func take(_ flag: String) -> String? {
        var result: String?
        for (index, entry) in flags.enumerated() where entry.name == flag {
            used.insert(index)
            guard let value = entry.value else {
                problems.append("\(flag): needs a value.")
                continue
            }
            result = value
        }
        return result
    }

    static func flag(of name: String) -> String {
        if name.hasPrefix("--") { return name }
        let stem = name.hasPrefix("VYUHA_") ? String(name.dropFirst(6)) : name
        return "--" + stem.lowercased().map { $0 == "_" ? "-" : String($0) }.joined()
    }

    static func milliseconds(_ text: String) -> Int? {
        for (suffix, factor) in [("ms", 1.0), ("s", 1000.0), ("m", 60_000.0), ("h", 3_600_000.0), ("d", 86_400_000.0)] where text.hasSuffix(suffix) {
            guard let number = Double(text.dropLast(suffix.count)), number >= 0, number * factor < 1e15 else { return nil }
            return Int((number * factor).rounded())
        }
        return nil
    }
}
