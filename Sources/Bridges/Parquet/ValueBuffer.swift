/// The values of a column as they are decoded, without places for rows that have none.
struct ValueBuffer {
    let leaf: Leaf
    let limit: Int
    private(set) var booleans: [Bool] = []
    private(set) var integers: [Int64] = []
    private(set) var doubles: [Double] = []
    private(set) var bytes = ParquetBytes()

    init(_ leaf: Leaf, limit: Int) {
        self.leaf = leaf
        self.limit = limit
    }

    var count: Int {
        switch leaf.physical {
        case .boolean: booleans.count
        case .int32, .int64, .int96: integers.count
        case .float, .double: doubles.count
        case .byteArray, .fixedBytes: bytes.count
        }
    }

    mutating func append(_ encoding: Int, _ reader: inout ByteReader, count: Int) throws {
        let is32 = leaf.physical == .int32
        switch (encoding, leaf.physical) {
        case (0, _): try plain(&reader, count)
        case (3, .boolean):
            let length = Int(try reader.load(UInt32.self))
            var packed = ByteReader(try reader.take(length))
            booleans += try Decoding.hybrid(&packed, width: 1, count: count).map { $0 == 1 }
        case (5, .int32), (5, .int64):
            let values = try Decoding.deltas(&reader, count: count, is32: is32)
            integers += leaf.bitsUnsigned ? values.map { $0 & 0xFFFF_FFFF } : values
        case (6, .byteArray): try Decoding.deltaLengths(&reader, count: count, into: &bytes, limit: limit)
        case (7, .byteArray): try Decoding.deltaBytes(&reader, count: count, into: &bytes, limit: limit)
        case (7, .fixedBytes):
            let first = bytes.count
            try Decoding.deltaBytes(&reader, count: count, into: &bytes, limit: limit)
            guard (first..<bytes.count).allSatisfy({ bytes[$0].count == leaf.length }) else {
                throw ParquetError.damaged("A fixed byte string has another length.")
            }
        case (9, .int32), (9, .int64), (9, .float), (9, .double), (9, .fixedBytes):
            let width = is32 || leaf.physical == .float ? 4 : leaf.physical == .fixedBytes ? leaf.length : 8
            try Decoding.unsplit(reader.rest(), width: width, count: count).withUnsafeBytes { content in
                var values = ByteReader(content)
                try plain(&values, count)
            }
        default: throw ParquetError.unsupported("Column `\(leaf.field.name)` has the encoding \(encoding), which this reader does not know.")
        }
    }

    private mutating func plain(_ reader: inout ByteReader, _ count: Int) throws {
        switch leaf.physical {
        case .boolean:
            let packed = try reader.take((count + 7) / 8)
            booleans.reserveCapacity(booleans.count + count)
            for index in 0..<count { booleans.append(packed[index >> 3] >> UInt8(index & 7) & 1 == 1) }
        case .int32:
            let isUnsigned = leaf.bitsUnsigned
            integers += try Self.load(&reader, count, Int32.self) { isUnsigned ? Int64(UInt32(bitPattern: $0)) : Int64($0) }
        case .int64: integers += try Self.load(&reader, count, Int64.self) { $0 }
        case .float: doubles += try Self.load(&reader, count, UInt32.self) { Double(Float(bitPattern: $0)) }
        case .double: doubles += try Self.load(&reader, count, UInt64.self) { Double(bitPattern: $0) }
        case .int96:
            integers.reserveCapacity(integers.count + min(count, reader.left / 12))
            for _ in 0..<count {
                // Nanoseconds of the day, then the Julian day; 2,440,588 is 1970-01-01.
                let nanoseconds = try reader.load(Int64.self)
                let day = Int64(try reader.load(UInt32.self)) - 2_440_588
                integers.append(day &* 86_400_000_000_000 &+ nanoseconds)
            }
        case .byteArray:
            // One copy of the page; the values point into it.
            var values = ByteReader(reader.rest())
            guard bytes.storage.count + values.bytes.count <= limit else { throw tooLarge }
            let base = bytes.append(storage: values.bytes)
            for _ in 0..<count {
                let length = Int(try values.load(UInt32.self))
                let start = values.position
                _ = try values.take(length)
                bytes.append(view: ParquetBytes.View(start: UInt32(base + start), count: UInt32(length)))
            }
        case .fixedBytes:
            let (size, overflow) = count.multipliedReportingOverflow(by: leaf.length)
            guard !overflow, bytes.storage.count + size <= limit else { throw tooLarge }
            let base = bytes.append(storage: try reader.take(size))
            for index in 0..<count {
                bytes.append(view: ParquetBytes.View(start: UInt32(base + index * leaf.length), count: UInt32(leaf.length)))
            }
        }
    }

    private var tooLarge: ParquetError { ParquetError(.tooLarge, "Column `\(leaf.field.name)` has more than \(limit) bytes in a row group.") }

    private static func load<Raw: FixedWidthInteger & BitwiseCopyable, Value>(
        _ reader: inout ByteReader, _ count: Int, _ type: Raw.Type, _ convert: (Raw) -> Value
    ) throws -> [Value] {
        let size = MemoryLayout<Raw>.size
        let source = try reader.take(count * size)
        return [Value](unsafeUninitializedCapacity: count) { target, filled in
            guard let base = target.baseAddress else { return }
            for index in 0..<count {
                (base + index).initialize(to: convert(Raw(littleEndian: source.loadUnaligned(fromByteOffset: index * size, as: type))))
            }
            filled = count
        }
    }

    /// Values of a dictionary that `adopt` has taken in; `base` is what that returned.
    mutating func append(_ dictionary: ValueBuffer, base: Int, _ indexes: [UInt32]) throws {
        let size = dictionary.count
        guard indexes.allSatisfy({ $0 < size }) else {
            throw ParquetError.damaged("Column `\(leaf.field.name)` has an index beyond its dictionary of \(size) values.")
        }
        switch leaf.physical {
        case .boolean: booleans += indexes.map { dictionary.booleans[Int($0)] }
        case .int32, .int64, .int96: integers += indexes.map { dictionary.integers[Int($0)] }
        case .float, .double: doubles += indexes.map { dictionary.doubles[Int($0)] }
        case .byteArray, .fixedBytes:
            for index in indexes {
                let view = dictionary.bytes.views[Int(index)]
                bytes.append(view: ParquetBytes.View(start: view.start + UInt32(base), count: view.count))
            }
        }
    }

    /// Puts a dictionary's bytes where the values point to; returns where they begin.
    mutating func adopt(_ dictionary: ValueBuffer) throws -> Int {
        guard bytes.storage.count + dictionary.bytes.storage.count <= limit else { throw tooLarge }
        return dictionary.bytes.storage.withUnsafeBytes { bytes.append(storage: $0) }
    }

    /// One place per row.
    func column(present: [Bool]?) -> ParquetColumn {
        var values = logicalValues
        if let present, present.contains(false) {
            switch values {
            case .booleans(let dense): values = .booleans(present.spread(dense, false))
            case .integers(let dense): values = .integers(present.spread(dense, 0))
            case .doubles(let dense): values = .doubles(present.spread(dense, .nan))
            case .bytes(var dense):
                dense.spread(present)
                values = .bytes(dense)
            }
        }
        return ParquetColumn(leaf.field.kind, values, present: present)
    }

    private var logicalValues: ParquetColumn.Values {
        switch leaf.physical {
        case .boolean: .booleans(booleans)
        case .float, .double: .doubles(doubles)
        case .int32, .int64, .int96:
            if case .decimal(_, let scale) = leaf.field.kind, leaf.field.kind.storage == .doubles {
                .doubles(integers.map { Double($0) / powerOfTen(scale) })
            } else {
                .integers(integers)
            }
        case .byteArray, .fixedBytes:
            if leaf.isHalfFloat {
                .doubles((0..<bytes.count).map { Self.half(bytes[$0]) })
            } else if case .decimal(let precision, let scale) = leaf.field.kind {
                precision <= 18
                    ? .integers((0..<bytes.count).map { bytes[$0].reduce(Self.sign(bytes[$0])) { $0 << 8 | Int64($1) } })
                    : .doubles((0..<bytes.count).map { Self.wide(bytes[$0]) / powerOfTen(scale) })
            } else {
                .bytes(bytes)
            }
        }
    }

    private static func sign(_ bytes: ArraySlice<UInt8>) -> Int64 { (bytes.first ?? 0) & 0x80 == 0 ? 0 : -1 }

    /// A big-endian two's complement number of any length.
    private static func wide(_ bytes: ArraySlice<UInt8>) -> Double {
        let isNegative = sign(bytes) < 0
        let size = bytes.reduce(0.0) { $0 * 256 + Double(isNegative ? ~$1 : $1) }
        return isNegative ? -size - 1 : size
    }

    /// IEEE 754 binary16, computed, since `Float16` is not on every machine.
    private static func half(_ bytes: ArraySlice<UInt8>) -> Double {
        let bits = bytes.reversed().reduce(0) { $0 << 8 | Int($1) }
        let exponent = bits >> 10 & 0x1F
        let fraction = Double(bits & 0x3FF)
        var size = exponent == 0 ? fraction * 0x1p-24 : (1024 + fraction) * Double(sign: .plus, exponent: exponent - 25, significand: 1)
        if exponent == 31 { size = fraction == 0 ? .infinity : .nan }
        return bits & 0x8000 == 0 ? size : -size
    }
}
