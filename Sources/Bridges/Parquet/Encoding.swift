/// PLAIN: the values one after another.
enum PlainEncoder {
    /// - Parameter chosen: the rows to write; nil means all of `rows`.
    static func append(_ field: ParquetField, _ column: ParquetColumn, _ chosen: [Int]?, _ rows: Range<Int>, to bytes: inout [UInt8]) {
        switch column.values {
        case .booleans(let values):
            var bit = 0
            func add(_ row: Int) {
                if bit & 7 == 0 { bytes.append(0) }
                if values[row] { bytes[bytes.count - 1] |= 1 << UInt8(bit & 7) }
                bit += 1
            }
            if let chosen { chosen.forEach(add) } else { rows.forEach(add) }
        case .integers(let values):
            if field.physical == .int32 {
                numbers(chosen, rows, to: &bytes) { Int32(truncatingIfNeeded: values[$0]) }
            } else {
                numbers(chosen, rows, to: &bytes) { values[$0] }
            }
        case .doubles(let values):
            if field.physical == .float {
                numbers(chosen, rows, to: &bytes) { Float(values[$0]).bitPattern }
            } else {
                numbers(chosen, rows, to: &bytes) { values[$0].bitPattern }
            }
        case .bytes(let values):
            func add(_ row: Int) {
                let value = values[row]
                bytes.append(littleEndian: UInt32(value.count))
                bytes += value
            }
            if let chosen { chosen.forEach(add) } else { rows.forEach(add) }
        }
    }

    private static func numbers<Number: FixedWidthInteger>(_ chosen: [Int]?, _ rows: Range<Int>, to bytes: inout [UInt8], _ value: (Int) -> Number) {
        let count = chosen?.count ?? rows.count
        let numbers = [Number](unsafeUninitializedCapacity: count) { target, filled in
            for index in 0..<count { target[index] = value(chosen?[index] ?? rows.lowerBound + index).littleEndian }
            filled = count
        }
        numbers.withUnsafeBytes { bytes.append(contentsOf: $0) }
    }
}

/// RLE: runs of eight and more equal values as runs, others packed in groups of eight.
enum HybridEncoder {
    static func append(_ values: [UInt32], width: Int, to bytes: inout [UInt8]) {
        guard width > 0 else { return }
        var index = 0
        var packedFrom = 0
        while index < values.count {
            var end = index + 1
            while end < values.count, values[end] == values[index] { end += 1 }
            // A packed run holds whole groups, so a run may begin only where they end.
            let whole = packedFrom + (index - packedFrom + 7) / 8 * 8
            if end - whole >= 8 {
                pack(values, packedFrom..<whole, width, to: &bytes)
                bytes.append(varint: UInt64(end - whole) << 1)
                for place in 0..<(width + 7) / 8 { bytes.append(UInt8(truncatingIfNeeded: values[index] >> UInt32(place * 8))) }
                packedFrom = end
            }
            index = end
        }
        pack(values, packedFrom..<values.count, width, to: &bytes)
    }

    private static func pack(_ values: [UInt32], _ range: Range<Int>, _ width: Int, to bytes: inout [UInt8]) {
        guard !range.isEmpty else { return }
        let groups = (range.count + 7) / 8
        bytes.append(varint: UInt64(groups) << 1 | 1)
        var pending: UInt64 = 0
        var bits = 0
        for index in range.lowerBound..<range.lowerBound + groups * 8 {
            pending |= UInt64(index < range.upperBound ? values[index] : 0) << UInt64(bits)
            bits += width
            while bits >= 8 {
                bytes.append(UInt8(truncatingIfNeeded: pending))
                pending >>= 8
                bits -= 8
            }
        }
    }
}

/// The distinct values of a column and each row's index, where that is smaller than the values.
struct DictionaryEncoder {
    let count: Int
    /// The values, plain.
    let content: [UInt8]
    /// By row; 0 where there is no value.
    let indexes: [UInt32]
    let width: Int

    private static let maximumCount = 1 << 15
    /// After so many rows it shows whether values come back.
    private static let sample = 2_048

    /// - Returns: nil when too few values are equal.
    init?(_ field: ParquetField, _ column: ParquetColumn) {
        let found: (rows: [Int], indexes: [UInt32])?
        switch column.values {
        case .booleans: return nil
        case .integers(let values): found = Self.distinct(column) { values[$0] }
        case .doubles(let values): found = Self.distinct(column) { values[$0].bitPattern }
        case .bytes(let values): found = Self.distinct(column) { values[$0] }
        }
        guard let found, !found.rows.isEmpty else { return nil }
        count = found.rows.count
        indexes = found.indexes
        width = count == 1 ? 1 : Int.bitWidth - (count - 1).leadingZeroBitCount
        var bytes: [UInt8] = []
        PlainEncoder.append(field, column, found.rows, 0..<0, to: &bytes)
        content = bytes
    }

    private static func distinct<Key: Hashable>(_ column: ParquetColumn, _ key: (Int) -> Key) -> ([Int], [UInt32])? {
        var known: [Key: UInt32] = [:]
        var rows: [Int] = []
        var indexes = [UInt32](repeating: 0, count: column.count)
        for row in 0..<column.count {
            if let present = column.present, !present[row] { continue }
            let value = key(row)
            if let index = known[value] {
                indexes[row] = index
                continue
            }
            guard rows.count < maximumCount, row < sample || rows.count < row / 2 else { return nil }
            indexes[row] = UInt32(rows.count)
            known[value] = UInt32(rows.count)
            rows.append(row)
        }
        return rows.count <= column.count / 2 + 1 ? (rows, indexes) : nil
    }
}

/// The least and the greatest value of some rows, as a file's statistics hold them.
struct Bounds {
    var minimum: [UInt8] = []
    var maximum: [UInt8] = []
    private(set) var isExact = true

    private static let maximumBytes = 64

    /// - Returns: nil when no row has a value, or none that can be ordered.
    init?(_ field: ParquetField, _ column: ParquetColumn, _ rows: Range<Int>) {
        let present = column.present
        func isThere(_ row: Int) -> Bool { present?[row] ?? true }
        switch column.values {
        case .booleans(let values):
            let found = rows.filter(isThere).map { values[$0] }
            guard !found.isEmpty else { return nil }
            minimum = [found.contains(false) ? 0 : 1]
            maximum = [found.contains(true) ? 1 : 0]
        case .integers(let values):
            // Flipping the sign bit makes unsigned numbers compare as signed ones.
            let flip = field.kind == .integer(signed: false) ? Int64.min : 0
            var least = Int64.max
            var most = Int64.min
            var some = false
            for row in rows where isThere(row) {
                some = true
                least = min(least, values[row] ^ flip)
                most = max(most, values[row] ^ flip)
            }
            guard some else { return nil }
            for (number, path) in [(least ^ flip, \Bounds.minimum), (most ^ flip, \Bounds.maximum)] {
                if field.physical == .int32 {
                    self[keyPath: path].append(littleEndian: Int32(truncatingIfNeeded: number))
                } else {
                    self[keyPath: path].append(littleEndian: number)
                }
            }
        case .doubles(let values):
            var least = Double.infinity
            var most = -Double.infinity
            var some = false
            for row in rows where isThere(row) && !values[row].isNaN {
                some = true
                least = min(least, values[row])
                most = max(most, values[row])
            }
            guard some else { return nil }
            // Either zero may be among the values (parquet.thrift, "TypeDefinedOrder").
            if least == 0 { least = -0.0 }
            if most == 0 { most = 0.0 }
            for (number, path) in [(least, \Bounds.minimum), (most, \Bounds.maximum)] {
                if field.physical == .float {
                    self[keyPath: path].append(littleEndian: Float(number).bitPattern)
                } else {
                    self[keyPath: path].append(littleEndian: number.bitPattern)
                }
            }
        case .bytes(let values):
            var least: ArraySlice<UInt8>?
            var most: ArraySlice<UInt8>?
            for row in rows where isThere(row) {
                let value = values[row]
                if least.map({ value.lexicographicallyPrecedes($0) }) ?? true { least = value }
                if most.map({ $0.lexicographicallyPrecedes(value) }) ?? true { most = value }
            }
            guard let least, let most else { return nil }
            isExact = least.count <= Self.maximumBytes && most.count <= Self.maximumBytes
            minimum = Self.prefix(least, isText: field.kind == .text)
            guard most.count > Self.maximumBytes else {
                maximum = Array(most)
                return
            }
            // The next greater of the same length is above all values with this prefix; in text an ASCII letter is raised, so that it stays text.
            maximum = Self.prefix(most, isText: field.kind == .text)
            let last: UInt8 = field.kind == .text ? 0x7F : 0xFF
            while let byte = maximum.last, byte >= last { maximum.removeLast() }
            guard let byte = maximum.popLast() else { return nil }
            maximum.append(byte + 1)
        }
    }

    private static func prefix(_ bytes: ArraySlice<UInt8>, isText: Bool) -> [UInt8] {
        var short = Array(bytes.prefix(maximumBytes))
        guard isText, bytes.count > maximumBytes else { return short }
        // Not within a character.
        if bytes[bytes.startIndex + maximumBytes] & 0xC0 == 0x80 {
            while let byte = short.last, byte & 0xC0 == 0x80 { short.removeLast() }
            short.removeLast(min(1, short.count))
        }
        return short
    }
}
