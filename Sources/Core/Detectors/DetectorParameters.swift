import Text

/// One parameter's value as a file or a flag gives it.
public enum ParameterValue: Sendable, Equatable, CustomStringConvertible {
    case integer(Int)
    case number(Double)
    case text(String)
    case flag(Bool)
    case list([String])

    public var description: String {
        switch self {
        case .integer(let value): "\(value)"
        case .number(let value): "\(value)"
        case .text(let value): value
        case .flag(let value): value ? "true" : "false"
        case .list(let values): values.joined(separator: ", ")
        }
    }
}

/// What a parameter accepts.
public enum ParameterType: Sendable, Equatable, CustomStringConvertible {
    case integer(ClosedRange<Int>)
    case number(ClosedRange<Double>)
    case choice([String])
    case flag
    /// Some of these names, each at most once.
    case list([String])

    public var description: String {
        switch self {
        case .integer(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .number(let range): "a number from \(range.lowerBound) to \(range.upperBound)"
        case .choice(let names): "one of \(names.joined(separator: ", "))"
        case .flag: "true or false"
        case .list(let names): "a list of some of \(names.joined(separator: ", "))"
        }
    }
}

/// One parameter of a detector: the documentation and the check are the same table.
public struct ParameterSpec: Sendable, Equatable {
    public let name: String
    public let type: ParameterType
    /// The value where none is given.
    public let fallback: ParameterValue
    /// One line for `--help` and the use-case reference.
    public let help: String

    public init(_ name: String, _ type: ParameterType, default fallback: ParameterValue, _ help: String) {
        self.name = name
        self.type = type
        self.fallback = fallback
        self.help = help
    }

    /// The value in the parameter's own type, or nil where it does not fit. A whole number is accepted where a number is wanted.
    func accept(_ value: ParameterValue) -> ParameterValue? {
        switch (type, value) {
        case (.integer(let range), .integer(let number)): range.contains(number) ? value : nil
        case (.integer(let range), .number(let number)):
            Int(exactly: number).flatMap { range.contains($0) ? .integer($0) : nil }
        case (.number(let range), .number(let number)): range.contains(number) ? value : nil
        case (.number(let range), .integer(let number)): range.contains(Double(number)) ? .number(Double(number)) : nil
        case (.choice(let names), .text(let name)): names.contains(name) ? value : nil
        case (.flag, .flag): value
        case (.list(let names), .list(let chosen)):
            !chosen.isEmpty && Set(chosen).count == chosen.count && chosen.allSatisfy(names.contains) ? value : nil
        default: nil
        }
    }
}

/// A detector's parameters, complete and checked: every name of its specification has a value of the right type and range.
public struct DetectorParameters: Sendable, Equatable {
    /// Whose parameters they are.
    public let kind: DetectorKind
    private let entries: [String: ParameterValue]

    /// The defaults, overwritten by `given`.
    ///
    /// Throws `.parameter` for an unknown name (with the nearest known one), a wrong type or a value out of range.
    public init(for kind: DetectorKind, given: [String: ParameterValue] = [:]) throws(DetectorError) {
        let specs = kind.parameterSpecs
        var entries = Dictionary(uniqueKeysWithValues: specs.map { ($0.name, $0.fallback) })
        for (name, value) in given.sorted(by: { $0.key < $1.key }) {
            guard let spec = specs.first(where: { $0.name == name }) else {
                let names = specs.map(\.name)
                let hint = Nearest.name(to: name, in: names).map { ", did you mean `\($0)`?" } ?? "; it has \(names.joined(separator: ", "))."
                throw DetectorError(.parameter, "The detector \(kind.rawValue) has no parameter `\(name)`\(hint)")
            }
            guard let accepted = spec.accept(value) else {
                throw DetectorError(.parameter, "The parameter `\(name)` of \(kind.rawValue) must be \(spec.type), not `\(value)`.")
            }
            entries[name] = accepted
        }
        self.kind = kind
        self.entries = entries
    }

    /// The defaults of a kind.
    public init(defaultsOf kind: DetectorKind) {
        self.kind = kind
        entries = Dictionary(uniqueKeysWithValues: kind.parameterSpecs.map { ($0.name, $0.fallback) })
    }

    /// All values in the order of the specification.
    public var values: [(name: String, value: ParameterValue)] {
        kind.parameterSpecs.map { ($0.name, entries[$0.name] ?? $0.fallback) }
    }

    /// A whole-number parameter; asking for one that is not specified is a bug of the detector.
    public func integer(_ name: String) -> Int {
        guard case .integer(let value)? = entries[name] else { preconditionFailure("\(kind.rawValue) has no integer `\(name)`") }
        return value
    }

    /// A number parameter.
    public func number(_ name: String) -> Double {
        guard case .number(let value)? = entries[name] else { preconditionFailure("\(kind.rawValue) has no number `\(name)`") }
        return value
    }

    /// A choice.
    public func text(_ name: String) -> String {
        guard case .text(let value)? = entries[name] else { preconditionFailure("\(kind.rawValue) has no choice `\(name)`") }
        return value
    }

    /// A switch.
    public func flag(_ name: String) -> Bool {
        guard case .flag(let value)? = entries[name] else { preconditionFailure("\(kind.rawValue) has no flag `\(name)`") }
        return value
    }

    /// A list of names.
    public func list(_ name: String) -> [String] {
        guard case .list(let value)? = entries[name] else { preconditionFailure("\(kind.rawValue) has no list `\(name)`") }
        return value
    }
}
