/// Decoders of the format's encodings ([Encodings.md](https://github.com/apache/parquet-format/blob/master/Encodings.md)). Each gives exactly the
/// asked number of values or throws; the caller has bounded that number.
enum Decoding {
    /// Runs and bit-packed groups, mixed (RLE). Cost: about 1 ns a value.
    static func hybrid(_ reader: inout ByteReader, width: Int, count: Int) throws -> [UInt32] {
        guard (0...32).contains(width) else { throw ParquetError.damaged("Packed values of \(width) bits.") }
        guard width > 0 else { return [UInt32](repeating: 0, count: count) }
        return try [UInt32](unsafeUninitializedCapacity: count) { target, filled in
            while filled < count {
                let head = try reader.varint()
                if head & 1 == 0 {
                    guard head > 0 else { throw ParquetError.damaged("A run of no values.") }
                    let run = Int(min(head >> 1, UInt64(count - filled)))
                    let value = UInt32(truncatingIfNeeded: try reader.take((width + 7) / 8).bits(at: 0, width: width))
                    target[filled..<filled + run].initialize(repeating: value)
                    filled += run
                } else {
                    let groups = head >> 1
                    guard groups > 0, groups <= UInt64(reader.left / width + 1) else {
                        throw ParquetError.damaged("A packed run is longer than the page.")
                    }
                    // Some writers cut the last group's padding off.
                    let packed = try reader.take(min(Int(groups) * width, reader.left))
                    let run = min(Int(groups) * 8, count - filled)
                    guard run * width <= packed.count * 8 else { throw ParquetError.damaged("A packed run is cut off.") }
                    for index in 0..<run {
                        (target.baseAddress.unsafelyUnwrapped + filled + index).initialize(
                            to: UInt32(truncatingIfNeeded: packed.bits(at: index * width, width: width)))
                    }
                    filled += run
                }
            }
        }
    }

    /// The older bit-packed levels: most significant bit first.
    static func packedLevels(_ reader: inout ByteReader, width: Int, count: Int) throws -> [UInt32] {
        let bytes = try reader.take((count * width + 7) / 8)
        return (0..<count).map { index in
            var value: UInt32 = 0
            for bit in index * width..<(index + 1) * width { value = value << 1 | UInt32(bytes[bit >> 3] >> UInt8(7 - bit & 7) & 1) }
            return value
        }
    }

    /// DELTA_BINARY_PACKED. Numbers of 32 bits wrap at 32.
    static func deltas(_ reader: inout ByteReader, count: Int, is32: Bool) throws -> [Int64] {
        let block = try reader.count(limit: 1 << 20)
        let miniblocks = try reader.count(limit: 1 << 12)
        let total = try reader.varint()
        var value = try reader.zigzag()
        guard total == UInt64(count) else { throw ParquetError.damaged("A delta-packed page has \(total) values instead of \(count).") }
        guard miniblocks > 0, block > 0, block % miniblocks == 0, (block / miniblocks) % 8 == 0 else {
            throw ParquetError.damaged("A delta-packed page has blocks of \(block) values in \(miniblocks) parts.")
        }
        let perMiniblock = block / miniblocks
        var result: [Int64] = []
        guard count > 0 else { return result }
        result.reserveCapacity(count)
        result.append(is32 ? Int64(Int32(truncatingIfNeeded: value)) : value)
        while result.count < count {
            let least = try reader.zigzag()
            let widths = try reader.take(miniblocks)
            for width in widths where result.count < count {
                guard width <= 64 else { throw ParquetError.damaged("Packed values of \(width) bits.") }
                let run = min(perMiniblock, count - result.count)
                let packed = try reader.take(min(perMiniblock * Int(width) / 8, reader.left))
                guard run * Int(width) <= packed.count * 8 else { throw ParquetError.damaged("A delta-packed page is cut off.") }
                for index in 0..<run {
                    let delta = width == 0 ? 0 : packed.bits(at: index * Int(width), width: Int(width))
                    value = value &+ least &+ Int64(bitPattern: delta)
                    result.append(is32 ? Int64(Int32(truncatingIfNeeded: value)) : value)
                }
            }
        }
        return result
    }

    /// DELTA_LENGTH_BYTE_ARRAY, into `values`.
    static func deltaLengths(_ reader: inout ByteReader, count: Int, into values: inout ParquetBytes, limit: Int) throws {
        let lengths = try deltas(&reader, count: count, is32: true)
        let bytes = reader.bytes.count
        var start = 0
        var views: [ParquetBytes.View] = []
        views.reserveCapacity(count)
        guard values.storage.count + bytes <= limit else { throw ParquetError(.tooLarge, "A column has more than \(limit) bytes in a row group.") }
        let base = values.append(storage: reader.rest())
        let end = values.storage.count
        for length in lengths {
            guard length >= 0, Int(length) <= end - base - start else { throw ParquetError.damaged("A byte string is longer than its page.") }
            views.append(ParquetBytes.View(start: UInt32(base + start), count: UInt32(length)))
            start += Int(length)
        }
        for view in views { values.append(view: view) }
    }

    /// DELTA_BYTE_ARRAY: each value is a prefix of the one before it and a suffix.
    static func deltaBytes(_ reader: inout ByteReader, count: Int, into values: inout ParquetBytes, limit: Int) throws {
        let prefixes = try deltas(&reader, count: count, is32: true)
        var suffixes = ParquetBytes()
        try deltaLengths(&reader, count: count, into: &suffixes, limit: limit)
        var last: [UInt8] = []
        for index in 0..<count {
            guard prefixes[index] >= 0, prefixes[index] <= last.count else {
                throw ParquetError.damaged("A prefix is longer than the value before it.")
            }
            last.removeLast(last.count - Int(prefixes[index]))
            last += suffixes[index]
            guard values.storage.count + last.count <= limit else {
                throw ParquetError(.tooLarge, "A column has more than \(limit) bytes in a row group.")
            }
            values.append(last)
        }
    }

    /// BYTE_STREAM_SPLIT undone: the first bytes of all values, then the second ones, … become values again.
    static func unsplit(_ bytes: UnsafeRawBufferPointer, width: Int, count: Int) throws -> [UInt8] {
        guard bytes.count == width * count else { throw ParquetError.damaged("A page has \(bytes.count) bytes for \(count) values of \(width).") }
        return [UInt8](unsafeUninitializedCapacity: bytes.count) { target, filled in
            for value in 0..<count {
                for place in 0..<width { target[value * width + place] = bytes[place * count + value] }
            }
            filled = bytes.count
        }
    }
}
