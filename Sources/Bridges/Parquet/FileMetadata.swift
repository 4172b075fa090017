/// The footer: what is in the file and where.
struct FileMetadata {
    struct Chunk {
        let type: Int
        let codec: Int
        let values: Int
        /// Of the first page, be it a dictionary or data.
        let offset: Int
        let compressedSize: Int
        let statistics: ParquetStatistics?
    }

    struct RowGroup {
        let rows: Int
        let chunks: [Chunk]
    }

    let leaves: [Leaf]
    let rows: Int
    let rowGroups: [RowGroup]
    let keyValues: [(key: String, value: String)]
    let createdBy: String

    init(_ root: ThriftValue) throws {
        leaves = try SchemaTree.leaves(root[2]?.items ?? [])
        createdBy = root[6]?.text ?? ""
        keyValues = (root[5]?.items ?? []).compactMap { pair in pair[1]?.text.map { ($0, pair[2]?.text ?? "") } }
        guard let total = root[3]?.integer, total >= 0 else { throw ParquetError.damaged("The footer has no number of rows.") }
        rows = total
        let fields = leaves
        rowGroups = try (root[4]?.items ?? []).map { group in
            guard let rows = group[3]?.integer, rows >= 0 else { throw ParquetError.damaged("A row group has no number of rows.") }
            let columns = group[1]?.items ?? []
            guard columns.count == fields.count else {
                throw ParquetError.damaged("A row group has \(columns.count) columns, the schema \(fields.count).")
            }
            return RowGroup(rows: rows, chunks: try zip(columns, fields).map { try Self.chunk($0, $1) })
        }
        guard rowGroups.reduce(0, { $0 &+ $1.rows }) == rows else { throw ParquetError.damaged("The row groups do not add up to \(rows) rows.") }
    }

    private static func chunk(_ column: ThriftValue, _ leaf: Leaf) throws -> Chunk {
        guard column[1] == nil else { throw ParquetError.unsupported("Column `\(leaf.field.name)` is kept in another file.") }
        guard let data = column[3], let type = data[1]?.integer, let codec = data[4]?.integer, let values = data[5]?.integer,
            let size = data[7]?.integer, let first = data[9]?.integer, values >= 0, size >= 0, first >= 0
        else { throw ParquetError.damaged("Column `\(leaf.field.name)` has no complete description.") }
        guard type == leaf.physical.rawValue else { throw ParquetError.damaged("Column `\(leaf.field.name)` has another type than the schema says.") }
        // Some writers leave a dictionary's place at 0 when there is none.
        let dictionary = data[11]?.integer ?? 0
        let offset = dictionary > 0 && dictionary < first ? dictionary : first
        return Chunk(
            type: type, codec: codec, values: values, offset: offset, compressedSize: size, statistics: ParquetStatistics(data[12], leaf))
    }
}

/// What is known of a column's values in a row group without reading them.
public struct ParquetStatistics: Sendable, Equatable {
    public let nullCount: Int?
    /// The least and the greatest number, of columns of integers, times and floating-point numbers: in the column's own unit (decimals without their point).
    public let minimum: Double?
    public let maximum: Double?

    init?(_ value: ThriftValue?, _ leaf: Leaf) {
        guard let value else { return nil }
        nullCount = value[3]?.integer
        minimum = Self.number(value[6]?.bytes, leaf)
        maximum = Self.number(value[5]?.bytes, leaf)
    }

    private static func number(_ bytes: [UInt8]?, _ leaf: Leaf) -> Double? {
        guard let bytes else { return nil }
        let number: Double? = bytes.withUnsafeBytes { content in
            var reader = ByteReader(content)
            switch leaf.physical {
            case .int32:
                return (try? reader.load(Int32.self)).map { leaf.bitsUnsigned ? Double(UInt32(bitPattern: $0)) : Double($0) }
            case .int64:
                return (try? reader.load(Int64.self)).map { leaf.field.kind == .integer(signed: false) ? Double(UInt64(bitPattern: $0)) : Double($0) }
            case .float: return (try? reader.load(UInt32.self)).map { Double(Float(bitPattern: $0)) }
            case .double: return (try? reader.load(UInt64.self)).map { Double(bitPattern: $0) }
            default: return nil
            }
        }
        return number.flatMap { $0.isNaN ? nil : $0 }
    }
}
