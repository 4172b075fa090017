/// Reads forward through bytes; every length is checked against what is left.
struct ByteReader {
    let bytes: UnsafeRawBufferPointer
    private(set) var position = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    var left: Int { bytes.count - position }

    mutating func byte() throws -> UInt8 {
        guard left > 0 else { throw ParquetError.damaged("The data ends early.") }
        defer { position += 1 }
        return bytes[position]
    }

    mutating func take(_ count: Int) throws -> UnsafeRawBufferPointer {
        guard count >= 0, count <= left else { throw ParquetError.damaged("The data ends early: \(count) bytes are announced, \(left) are left.") }
        defer { position += count }
        return UnsafeRawBufferPointer(rebasing: bytes[position..<position + count])
    }

    mutating func rest() -> UnsafeRawBufferPointer {
        defer { position = bytes.count }
        return UnsafeRawBufferPointer(rebasing: bytes[position...])
    }

    /// Little-endian, as everything in the format is.
    mutating func load<Value: FixedWidthInteger & BitwiseCopyable>(_ type: Value.Type) throws -> Value {
        let size = MemoryLayout<Value>.size
        guard size <= left else { throw ParquetError.damaged("The data ends early.") }
        defer { position += size }
        return Value(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: type))
    }

    /// Unsigned LEB128.
    mutating func varint() throws -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let next = try byte()
            guard shift < 63 || next <= 1 else { throw ParquetError.damaged("A number has more than 64 bits.") }
            value |= UInt64(next & 0x7F) << shift
            if next < 0x80 { return value }
            shift += 7
        }
    }

    mutating func zigzag() throws -> Int64 {
        let value = try varint()
        return Int64(bitPattern: (value >> 1) ^ (0 &- (value & 1)))
    }

    /// A varint that counts something.
    mutating func count(limit: Int) throws -> Int {
        let value = try varint()
        guard value <= UInt64(limit) else { throw ParquetError.damaged("A length of \(value) is announced where at most \(limit) can be.") }
        return Int(value)
    }
}

extension UnsafeRawBufferPointer {
    /// `width` bits (0...64) from a bit's position on, least significant first. The caller has checked that they are there.
    @inline(__always) func bits(at bit: Int, width: Int) -> UInt64 {
        let first = bit >> 3
        let shift = UInt64(bit & 7)
        let mask = width == 64 ? UInt64.max : (1 << UInt64(width)) - 1
        if first + 8 <= count, Int(shift) + width <= 64 {
            return (UInt64(littleEndian: loadUnaligned(fromByteOffset: first, as: UInt64.self)) >> shift) & mask
        }
        var value: UInt64 = 0
        var place = 0
        var index = first
        while place < width + Int(shift), index < count {
            let part = UInt64(self[index])
            let position = place - Int(shift)
            value |= position >= 0 ? part << UInt64(position) : part >> UInt64(-position)
            place += 8
            index += 1
        }
        return value & mask
    }
}
