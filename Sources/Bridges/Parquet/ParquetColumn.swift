/// Byte strings, many of which may share their bytes, as equal values of a dictionary do.
public struct ParquetBytes: Sendable, Equatable {
    private(set) var storage: [UInt8] = []
    private(set) var views: [View] = []

    struct View: Sendable, Equatable {
        let start: UInt32
        let count: UInt32
        static let empty = View(start: 0, count: 0)
    }

    public init() {}

    public init(_ texts: some Sequence<String>) {
        for text in texts { append(text.utf8) }
    }

    public var count: Int { views.count }

    public subscript(_ index: Int) -> ArraySlice<UInt8> {
        let view = views[index]
        return storage[Int(view.start)..<Int(view.start) + Int(view.count)]
    }

    /// - Precondition: less than 4 GiB altogether; the reader's limits and the writer's row groups are far below.
    public mutating func append(_ bytes: some Collection<UInt8>) {
        views.append(View(start: UInt32(storage.count), count: UInt32(bytes.count)))
        storage.append(contentsOf: bytes)
    }

    mutating func append(storage bytes: UnsafeRawBufferPointer) -> Int {
        defer { storage.append(contentsOf: bytes) }
        return storage.count
    }

    mutating func append(view: View) { views.append(view) }

    mutating func spread(_ present: [Bool]) { views = present.spread(views, .empty) }

    public static func == (one: Self, other: Self) -> Bool {
        one.count == other.count && one.views.indices.allSatisfy { one[$0] == other[$0] }
    }
}

/// The values of one column, one place per row. A row without a value has `false`, 0, NaN or no bytes in its place.
public struct ParquetColumn: Sendable, Equatable {
    public enum Values: Sendable, Equatable {
        case booleans([Bool])
        case integers([Int64])
        case doubles([Double])
        case bytes(ParquetBytes)
    }

    public let kind: ParquetKind
    public internal(set) var values: Values
    /// Which rows have a value; nil when all have.
    public internal(set) var present: [Bool]?

    /// - Precondition: `present`, if any, has a place per value.
    public init(_ kind: ParquetKind, _ values: Values, present: [Bool]? = nil) {
        self.kind = kind
        self.values = values
        self.present = present.flatMap { $0.allSatisfy { $0 } ? nil : $0 }
    }

    public var count: Int {
        switch values {
        case .booleans(let values): values.count
        case .integers(let values): values.count
        case .doubles(let values): values.count
        case .bytes(let values): values.count
        }
    }

    /// Each value as a number, NaN where there is none: booleans as 0 and 1, decimals with their point, times in seconds, dates in seconds too. Nil for
    /// text and bytes.
    public func numbers() -> [Double]? {
        let numbers: [Double]
        switch (values, kind) {
        case (.booleans(let values), _): numbers = values.map { $0 ? 1 : 0 }
        case (.doubles(let values), _): return values
        case (.integers(let values), .time(let unit)), (.integers(let values), .timestamp(let unit, _)):
            numbers = values.map { Double($0) / unit.perSecond }
        case (.integers(let values), .date): numbers = values.map { Double($0) * 86_400 }
        case (.integers(let values), .decimal(_, let scale)):
            let divisor = powerOfTen(scale)
            numbers = values.map { Double($0) / divisor }
        case (.integers(let values), .integer(signed: false)): numbers = values.map { Double(UInt64(bitPattern: $0)) }
        case (.integers(let values), _): numbers = values.map(Double.init)
        case (.bytes, _): return nil
        }
        guard let present else { return numbers }
        return zip(numbers, present).map { $1 ? $0 : .nan }
    }
}

/// Exact up to 10^22, as doubles are.
func powerOfTen(_ exponent: Int) -> Double { (0..<exponent).reduce(1.0) { power, _ in power * 10 } }

extension [Bool] {
    /// Values of the present rows, moved to their rows; the others get `absent`.
    func spread<Value>(_ values: [Value], _ absent: Value) -> [Value] {
        var next = 0
        return map { present in
            guard present else { return absent }
            defer { next += 1 }
            return values[next]
        }
    }
}
