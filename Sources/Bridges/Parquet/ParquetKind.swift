/// How the format stores a value.
enum PhysicalType: Int, Sendable {
    case boolean, int32, int64, int96, float, double, byteArray, fixedBytes
}

/// What a column's values mean.
public enum ParquetKind: Sendable, Equatable {
    public enum Unit: Sendable, Equatable {
        case milliseconds, microseconds, nanoseconds

        public var perSecond: Double {
            switch self {
            case .milliseconds: 1e3
            case .microseconds: 1e6
            case .nanoseconds: 1e9
            }
        }
    }

    case boolean
    /// Up to 64 bits. Unsigned numbers of 64 bits are kept as their bit pattern.
    case integer(signed: Bool)
    /// 16 and 32 bits when read; also written as 32 bits.
    case float
    case double
    case text
    case bytes
    /// Days since 1970-01-01.
    case date
    /// Since midnight.
    case time(Unit)
    /// Since 1970-01-01T00:00:00, of UTC or of a wall clock. Also the 96-bit timestamps of Hive and Spark, in nanoseconds.
    case timestamp(Unit, utc: Bool)
    /// Up to 18 digits as integers without the point, more as the nearest `Double`.
    case decimal(precision: Int, scale: Int)

    /// Where the values of a column are kept.
    enum Storage { case booleans, integers, doubles, bytes }
    var storage: Storage {
        switch self {
        case .boolean: .booleans
        case .integer, .date, .time, .timestamp: .integers
        case .float, .double: .doubles
        case .text, .bytes: .bytes
        case .decimal(let precision, _): precision <= 18 ? .integers : .doubles
        }
    }
}

extension ParquetKind {
    /// From an element of the schema: its logical type (field 10), or the older converted type (field 6).
    init(_ element: ThriftValue, _ physical: PhysicalType) throws {
        let name = element[4]?.text ?? ""
        func checked(_ kind: ParquetKind, _ types: PhysicalType...) throws -> ParquetKind {
            guard types.contains(physical) else { throw ParquetError.damaged("Column `\(name)` has a type that its values cannot have.") }
            return kind
        }
        func decimal(_ precision: Int?, _ scale: Int?) throws -> ParquetKind {
            guard let precision, (1...76).contains(precision), (0...precision).contains(scale ?? 0) else {
                throw ParquetError.damaged("Column `\(name)` has a decimal type without a possible precision.")
            }
            return try checked(.decimal(precision: precision, scale: scale ?? 0), .int32, .int64, .byteArray, .fixedBytes)
        }
        if let logical = element[10] {
            if logical[1] != nil || logical[4] != nil || logical[12] != nil {
                self = try checked(.text, .byteArray)
                return
            }
            if let type = logical[5] {
                self = try decimal(type[2]?.integer, type[1]?.integer)
                return
            }
            if logical[6] != nil {
                self = try checked(.date, .int32)
                return
            }
            if let type = logical[7] ?? logical[8] {
                let unit: Unit = type[2]?[1] != nil ? .milliseconds : type[2]?[2] != nil ? .microseconds : .nanoseconds
                var utc = false
                if case .bool(true)? = type[1] { utc = true }
                self = try checked(logical[7] != nil ? .time(unit) : .timestamp(unit, utc: utc), .int32, .int64)
                return
            }
            if let type = logical[10] {
                var signed = true
                if case .bool(false)? = type[2] { signed = false }
                self = try checked(.integer(signed: signed), .int32, .int64)
                return
            }
            if logical[15] != nil {
                self = try checked(.float, .fixedBytes)
                return
            }
        }
        switch element[6]?.integer {
        case 0, 4, 19: self = try checked(.text, .byteArray)
        case 5: self = try decimal(element[8]?.integer, element[7]?.integer)
        case 6: self = try checked(.date, .int32)
        case 7: self = try checked(.time(.milliseconds), .int32)
        case 8: self = try checked(.time(.microseconds), .int64)
        case 9: self = try checked(.timestamp(.milliseconds, utc: true), .int64)
        case 10: self = try checked(.timestamp(.microseconds, utc: true), .int64)
        case 11, 12, 13, 14: self = try checked(.integer(signed: false), .int32, .int64)
        default:
            switch physical {
            case .boolean: self = .boolean
            case .int32, .int64: self = .integer(signed: true)
            case .int96: self = .timestamp(.nanoseconds, utc: false)
            case .float: self = .float
            case .double: self = .double
            case .byteArray, .fixedBytes: self = .bytes
            }
        }
    }
}
