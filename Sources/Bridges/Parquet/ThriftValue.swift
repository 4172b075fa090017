/// A value of Thrift's compact protocol ([specification](https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md)), in which a
/// Parquet file keeps its metadata. Unknown fields are kept and ignored, so newer files stay readable.
indirect enum ThriftValue {
    case bool(Bool)
    case byte(Int)
    /// Also 16 bits.
    case int32(Int)
    case int64(Int)
    case double(Double)
    case binary([UInt8])
    case list([ThriftValue])
    case structure([ThriftField])

    var integer: Int? {
        switch self {
        case .byte(let value), .int32(let value), .int64(let value): value
        default: nil
        }
    }
    var bytes: [UInt8]? { if case .binary(let bytes) = self { bytes } else { nil } }
    var text: String? { bytes.map { String(decoding: $0, as: UTF8.self) } }
    var items: [ThriftValue]? { if case .list(let items) = self { items } else { nil } }

    /// The field of a structure.
    subscript(_ id: Int) -> ThriftValue? {
        guard case .structure(let fields) = self else { return nil }
        return fields.first { $0.id == id }?.value
    }

    /// Its number within the compact protocol.
    fileprivate var type: UInt8 {
        switch self {
        case .bool(let value): value ? 1 : 2
        case .byte: 3
        case .int32: 5
        case .int64: 6
        case .double: 7
        case .binary: 8
        case .list: 9
        case .structure: 12
        }
    }
}

struct ThriftField {
    let id: Int
    let value: ThriftValue

    init(_ id: Int, _ value: ThriftValue) {
        self.id = id
        self.value = value
    }
}

extension ThriftValue {
    /// Nested deeper than any metadata of the format.
    private static let maximumDepth = 24

    /// A structure. Memory: a bounded multiple of the bytes read, for each element takes at least one.
    static func structure(_ reader: inout ByteReader, depth: Int = 0) throws -> ThriftValue {
        guard depth < maximumDepth else { throw ParquetError.damaged("The metadata is nested too deep.") }
        var fields: [ThriftField] = []
        var id = 0
        while true {
            let head = try reader.byte()
            let type = head & 0x0F
            if type == 0 { return .structure(fields) }
            if head >> 4 == 0 {
                id = Int(truncatingIfNeeded: try reader.zigzag())
            } else {
                id &+= Int(head >> 4)
            }
            let value = try type == 1 ? .bool(true) : type == 2 ? .bool(false) : value(type, &reader, depth + 1)
            fields.append(ThriftField(id, value))
        }
    }

    private static func value(_ type: UInt8, _ reader: inout ByteReader, _ depth: Int) throws -> ThriftValue {
        switch type {
        case 1, 2: return .bool(try reader.byte() == 1)
        case 3: return .byte(Int(Int8(bitPattern: try reader.byte())))
        case 4, 5: return .int32(Int(try reader.zigzag()))
        case 6: return .int64(Int(try reader.zigzag()))
        case 7: return .double(Double(bitPattern: try reader.load(UInt64.self)))
        case 8: return .binary(Array(try reader.take(reader.count(limit: reader.left))))
        case 9, 10:
            let head = try reader.byte()
            let count = try head >> 4 == 15 ? reader.count(limit: reader.left) : Int(head >> 4)
            guard count <= reader.left, depth < maximumDepth else { throw ParquetError.damaged("The metadata's list is longer than the metadata.") }
            var items: [ThriftValue] = []
            items.reserveCapacity(min(count, 1024))
            for _ in 0..<count { items.append(try value(head & 0x0F, &reader, depth + 1)) }
            return .list(items)
        case 12: return try structure(&reader, depth: depth)
        default: throw ParquetError.damaged("The metadata has a value of the unknown type \(type).")
        }
    }

    /// Appends a structure's bytes.
    func write(to output: inout [UInt8]) {
        switch self {
        case .bool(let value): output.append(value ? 1 : 2)
        case .byte(let value): output.append(UInt8(truncatingIfNeeded: value))
        case .int32(let value), .int64(let value): output.append(varint: UInt64(bitPattern: Int64((value << 1) ^ (value >> 63))))
        case .double(let value): output.append(littleEndian: value.bitPattern)
        case .binary(let bytes):
            output.append(varint: UInt64(bytes.count))
            output += bytes
        case .list(let items):
            // An empty list's type says nothing; a list of booleans has type 1 whatever its first value.
            var type = items.first?.type ?? 12
            if type == 2 { type = 1 }
            if items.count < 15 {
                output.append(UInt8(items.count) << 4 | type)
            } else {
                output.append(0xF0 | type)
                output.append(varint: UInt64(items.count))
            }
            for item in items { item.write(to: &output) }
        case .structure(let fields):
            var last = 0
            for field in fields {
                // Ids rise, and by less than 16, in everything that is written here.
                output.append(UInt8(field.id - last) << 4 | field.value.type)
                last = field.id
                if case .bool = field.value { continue }
                field.value.write(to: &output)
            }
            output.append(0)
        }
    }
}

extension [UInt8] {
    mutating func append(varint value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
        }
        append(UInt8(rest))
    }

    mutating func append<Value: FixedWidthInteger>(littleEndian value: Value) {
        Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
    }
}
