import Glibc
import Text

/// What one instruction does to its operands: the whole arithmetic of features, in one place.
///
/// Missing is NaN. Missing in, missing out, except where said otherwise. A result that would be infinite is missing.
enum Operation: UInt8 {
    case add, subtract, multiply, divide
    /// Remainder with the sign of the divisor.
    case modulo
    case power, negate
    case equal, notEqual, less, lessOrEqual
    /// Kleene's logic: `false and missing` is false, `true or missing` is true.
    case and, or, not
    /// x ? y : z; missing when x is.
    case select
    case minimum, maximum, absolute, logarithm, logarithm10, exponential, squareRoot
    case floor, ceiling
    /// Halves away from zero.
    case round
    case sign
    /// x brought into y...z; missing when y > z.
    case clamp
    case isMissing
    /// x, or y when x is missing.
    case coalesce
    case sine, cosine
    /// Sine and cosine of a part of a full turn.
    case sineOfTurn, cosineOfTurn
    /// Seconds from time y to time x.
    case timeDifference
    /// Time x, y seconds later.
    case timeLater
    case epochSeconds
    // Parts of the local time in zone z.
    case hour, minute, weekday, dayOfMonth, month, dayOfYear
    /// How much of the local day, week or year has passed, 0 ..< 1.
    case partOfDay, partOfWeek, partOfYear

    /// The names of time zones are resolved at compile time; `zone` is the position of one.
    @inline(__always)
    func apply(_ x: Double, _ y: Double, _ z: Double, _ zones: [TimeZoneRules], _ zone: Int) -> Double {
        switch self {
        case .add: return Self.finite(x + y)
        case .subtract: return Self.finite(x - y)
        case .multiply: return Self.finite(x * y)
        case .divide: return Self.finite(x / y)
        case .modulo:
            let rest = x.truncatingRemainder(dividingBy: y)
            return rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest + 0
        case .power: return Self.finite(pow(x, y))
        case .negate: return 0 - x
        case .equal: return Self.truth(x == y, x, y)
        case .notEqual: return Self.truth(x != y, x, y)
        case .less: return Self.truth(x < y, x, y)
        case .lessOrEqual: return Self.truth(x <= y, x, y)
        case .and: return x == 0 || y == 0 ? 0 : (x.isNaN || y.isNaN ? .nan : 1)
        case .or: return x == 1 || y == 1 ? 1 : (x.isNaN || y.isNaN ? .nan : 0)
        case .not: return 1 - x
        case .select: return x.isNaN ? .nan : (x != 0 ? y : z)
        case .minimum: return x.isNaN || y.isNaN ? .nan : (y < x ? y : x)
        case .maximum: return x.isNaN || y.isNaN ? .nan : (y > x ? y : x)
        case .absolute: return x.magnitude
        case .logarithm: return x > 0 ? log(x) : .nan
        case .logarithm10: return x > 0 ? log10(x) : .nan
        case .exponential: return Self.finite(exp(x))
        case .squareRoot: return x >= 0 ? x.squareRoot() : .nan
        case .floor: return x.rounded(.down) + 0
        case .ceiling: return x.rounded(.up) + 0
        case .round: return x.rounded() + 0
        case .sign: return x > 0 ? 1 : (x < 0 ? -1 : x)
        case .clamp: return x.isNaN || !(y <= z) ? .nan : (x < y ? y : (x > z ? z : x))
        case .isMissing: return x.isNaN ? 1 : 0
        case .coalesce: return x.isNaN ? y : x
        case .sine: return sin(x)
        case .cosine: return cos(x)
        case .sineOfTurn: return sin(x * (2 * .pi))
        case .cosineOfTurn: return cos(x * (2 * .pi))
        case .timeDifference: return Self.finite((x - y) / 1000)
        case .timeLater: return Self.finite((x + y * 1000).rounded())
        case .epochSeconds: return x / 1000
        case .hour, .minute, .weekday, .dayOfMonth, .month, .dayOfYear, .partOfDay, .partOfWeek, .partOfYear:
            return calendar(x, zones[zone])
        }
    }

    @inline(__always)
    private static func finite(_ value: Double) -> Double { value.isFinite ? value : .nan }

    @inline(__always)
    private static func truth(_ value: Bool, _ x: Double, _ y: Double) -> Double { x.isNaN || y.isNaN ? .nan : (value ? 1 : 0) }

    private func calendar(_ time: Double, _ zone: TimeZoneRules) -> Double {
        // Shifted times may leave the usable years; NaN fails both comparisons.
        guard time >= Double(CivilTime.earliest), time < Double(CivilTime.end) else { return .nan }
        let instant = Int64(time)
        let local = instant + zone.offset(atUTC: instant)
        let day = CivilTime.floorDiv(local, CivilTime.millisecondsPerDay)
        let inDay = local - day * CivilTime.millisecondsPerDay
        switch self {
        case .hour: return Double(inDay / 3_600_000)
        case .minute: return Double(inDay / 60_000 % 60)
        case .weekday: return Double(CivilTime.weekday(ofDay: day))
        case .partOfDay: return Double(inDay) / Double(CivilTime.millisecondsPerDay)
        case .partOfWeek:
            let inWeek = Int64(CivilTime.weekday(ofDay: day)) * CivilTime.millisecondsPerDay + inDay
            return Double(inWeek) / Double(7 * CivilTime.millisecondsPerDay)
        default: break
        }
        let (year, month, dayOfMonth) = CivilTime.date(ofDay: day)
        switch self {
        case .dayOfMonth: return Double(dayOfMonth)
        case .month: return Double(month)
        default: break
        }
        let first = CivilTime.days(year: year, month: 1, day: 1)
        if self == .dayOfYear { return Double(day - first + 1) }
        let length = (CivilTime.isLeap(year) ? 366 : 365) * CivilTime.millisecondsPerDay
        return Double((day - first) * CivilTime.millisecondsPerDay + inDay) / Double(length)
    }
}

/// One step of a compiled program: registers in, one register out.
struct Instruction {
    var operation: Operation
    var target: UInt16
    var x: UInt16
    var y: UInt16
    /// A register, or for parts of local time the position of a zone.
    var z: UInt16
}

extension Array where Element == Instruction {
    /// Runs the instructions over a register file. About 1 ns for an arithmetic instruction; no allocation.
    @inline(__always)
    func run(_ registers: UnsafeMutableBufferPointer<Double>, _ zones: [TimeZoneRules]) {
        withUnsafeBufferPointer { instructions in
            for i in instructions {
                let x = registers[Int(i.x)]
                let y = registers[Int(i.y)]
                let z = i.operation == .select || i.operation == .clamp ? registers[Int(i.z)] : 0
                registers[Int(i.target)] = i.operation.apply(x, y, z, zones, Int(i.z))
            }
        }
    }
}
