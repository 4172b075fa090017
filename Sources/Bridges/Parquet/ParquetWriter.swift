import Compression

/// Writes a Parquet file: row groups of given columns, pages of at most 20,000 rows, dictionaries where they make a column smaller, statistics, and the
/// page index by which readers skip pages ([PageIndex.md](https://github.com/apache/parquet-format/blob/master/PageIndex.md)). Pages are of version 1,
/// which every reader knows.
///
/// Memory: one encoded row group. One thread.
public struct ParquetWriter {
    public let fields: [ParquetField]
    /// What has gone to the sink.
    public private(set) var byteCount = 0
    public private(set) var rowCount = 0

    private let keyValues: [(key: String, value: String)]
    private let codec: BlockCodec?
    private let sink: ([UInt8]) throws -> Void
    private var groups: [(rows: Int, chunks: [ColumnChunkWriter.Chunk])] = []

    /// - Parameters:
    ///   - keyValues: go into the footer, for whoever wants to know where the file is from.
    ///   - codec: of the pages; nil leaves them as they are.
    ///   - sink: is given the file's bytes in order.
    public init(
        _ fields: [ParquetField], keyValues: [(key: String, value: String)] = [], codec: BlockCodec? = .zstd,
        sink: @escaping ([UInt8]) throws -> Void
    ) throws {
        for field in fields {
            if case .decimal(let precision, let scale) = field.kind, !(1...18).contains(precision) || !(0...precision).contains(scale) {
                throw ParquetError(.mismatch, "Column `\(field.name)`: decimals of 1 to 18 digits are written, not of \(precision).")
            }
        }
        self.fields = fields
        self.keyValues = keyValues
        self.codec = codec
        self.sink = sink
        try write(Array("PAR1".utf8))
    }

    /// One row group; 100,000 to 1,000,000 rows read best.
    /// - Parameter columns: one per field, in its order and of its kind, all of the same length.
    public mutating func append(_ columns: [ParquetColumn]) throws {
        guard columns.count == fields.count else { throw ParquetError(.mismatch, "\(columns.count) columns for \(fields.count) fields.") }
        let rows = columns.first?.count ?? 0
        for (field, column) in zip(fields, columns) {
            guard column.kind == field.kind, column.hasStorage(of: field.kind) else {
                throw ParquetError(.mismatch, "Column `\(field.name)` is not of its field's kind.")
            }
            guard column.count == rows else { throw ParquetError(.mismatch, "Column `\(field.name)` has \(column.count) rows instead of \(rows).") }
            guard column.present.map({ $0.count == rows && field.isOptional }) ?? true else {
                throw ParquetError(.mismatch, "Column `\(field.name)` has rows without a value but is not optional.")
            }
        }
        guard rows > 0 else { return }
        var chunks: [ColumnChunkWriter.Chunk] = []
        for (field, column) in zip(fields, columns) {
            var writer = ColumnChunkWriter(field, column, codec, offset: byteCount)
            let chunk = writer.encode()
            try write(writer.output)
            chunks.append(chunk)
        }
        groups.append((rows, chunks))
        rowCount += rows
    }

    /// The page index and the footer: without them it is no file.
    public mutating func finish() throws {
        var indexes: [[ThriftField]] = []
        // All column indexes, then all offset indexes, as the format wants.
        var index: [UInt8] = []
        let base = byteCount
        var places: [(column: (Int, Int)?, offset: (Int, Int))] = []
        for chunk in groups.flatMap(\.chunks) {
            let start = index.count
            if let columnIndex = chunk.columnIndex {
                columnIndex.write(to: &index)
                places.append(((base + start, index.count - start), (0, 0)))
            } else {
                places.append((nil, (0, 0)))
            }
        }
        for (number, chunk) in groups.flatMap(\.chunks).enumerated() {
            let start = index.count
            chunk.offsetIndex.write(to: &index)
            places[number].offset = (base + start, index.count - start)
        }
        for place in places {
            var fields = [ThriftField(4, .int64(place.offset.0)), ThriftField(5, .int32(place.offset.1))]
            if let column = place.column { fields += [ThriftField(6, .int64(column.0)), ThriftField(7, .int32(column.1))] }
            indexes.append(fields)
        }
        try write(index)
        var footer: [UInt8] = []
        metadata(indexes).write(to: &footer)
        let length = UInt32(footer.count)
        footer.append(littleEndian: length)
        footer += Array("PAR1".utf8)
        try write(footer)
    }

    private mutating func write(_ bytes: [UInt8]) throws {
        try sink(bytes)
        byteCount += bytes.count
    }

    private func metadata(_ indexes: [[ThriftField]]) -> ThriftValue {
        let root = ThriftValue.structure([ThriftField(4, .binary(Array("schema".utf8))), ThriftField(5, .int32(fields.count))])
        var next = 0
        let rowGroups = groups.enumerated().map { number, group in
            let columns = group.chunks.map { chunk in
                defer { next += 1 }
                return ThriftValue.structure([ThriftField(2, .int64(0)), ThriftField(3, chunk.metadata)] + indexes[next])
            }
            return ThriftValue.structure([
                ThriftField(1, .list(columns)), ThriftField(2, .int64(group.chunks.reduce(0) { $0 + $1.expandedSize })),
                ThriftField(3, .int64(group.rows)), ThriftField(5, .int64(group.chunks.first?.offset ?? 4)),
                ThriftField(6, .int64(group.chunks.reduce(0) { $0 + $1.size })), ThriftField(7, .int32(min(number, Int(Int16.max)))),
            ])
        }
        var entries: [ThriftField] = [
            ThriftField(1, .int32(2)), ThriftField(2, .list([root] + fields.map(\.schemaElement))), ThriftField(3, .int64(rowCount)),
            ThriftField(4, .list(rowGroups)),
        ]
        if !keyValues.isEmpty {
            entries.append(
                ThriftField(
                    5,
                    .list(
                        keyValues.map { pair in
                            .structure([ThriftField(1, .binary(Array(pair.key.utf8))), ThriftField(2, .binary(Array(pair.value.utf8)))])
                        })))
        }
        entries.append(ThriftField(6, .binary(Array("vyuha".utf8))))
        // Bounds are ordered as the types say (TypeDefinedOrder): without this, readers must not use them.
        entries.append(ThriftField(7, .list(fields.map { _ in .structure([ThriftField(1, .structure([]))]) })))
        return .structure(entries)
    }
}

extension ParquetColumn {
    func hasStorage(of kind: ParquetKind) -> Bool {
        switch (values, kind.storage) {
        case (.booleans, .booleans), (.integers, .integers), (.doubles, .doubles), (.bytes, .bytes): true
        default: false
        }
    }
}

extension ParquetField {
    /// How the writer stores it.
    var physical: PhysicalType {
        switch kind {
        case .boolean: .boolean
        case .float: .float
        case .double: .double
        case .text, .bytes: .byteArray
        case .date, .time(.milliseconds): .int32
        default: .int64
        }
    }

    var schemaElement: ThriftValue {
        var fields = [
            ThriftField(1, .int32(physical.rawValue)), ThriftField(3, .int32(isOptional ? 1 : 0)), ThriftField(4, .binary(Array(name.utf8))),
        ]
        if let converted = convertedType { fields.append(ThriftField(6, .int32(converted))) }
        if case .decimal(let precision, let scale) = kind { fields += [ThriftField(7, .int32(scale)), ThriftField(8, .int32(precision))] }
        if let logical = logicalType { fields.append(ThriftField(10, .structure([logical]))) }
        return .structure(fields)
    }

    /// For readers older than logical types.
    private var convertedType: Int? {
        switch kind {
        case .text: 0
        case .decimal: 5
        case .date: 6
        case .time(.milliseconds): 7
        case .time(.microseconds): 8
        case .timestamp(.milliseconds, true): 9
        case .timestamp(.microseconds, true): 10
        case .integer(signed: false): 14
        default: nil
        }
    }

    private var logicalType: ThriftField? {
        func unit(_ unit: ParquetKind.Unit, utc: Bool) -> ThriftValue {
            let number = unit == .milliseconds ? 1 : unit == .microseconds ? 2 : 3
            return .structure([ThriftField(1, .bool(utc)), ThriftField(2, .structure([ThriftField(number, .structure([]))]))])
        }
        switch kind {
        case .text: return ThriftField(1, .structure([]))
        case .decimal(let precision, let scale):
            return ThriftField(5, .structure([ThriftField(1, .int32(scale)), ThriftField(2, .int32(precision))]))
        case .date: return ThriftField(6, .structure([]))
        case .time(let step): return ThriftField(7, unit(step, utc: false))
        case .timestamp(let step, let utc): return ThriftField(8, unit(step, utc: utc))
        case .integer(signed: false): return ThriftField(10, .structure([ThriftField(1, .byte(64)), ThriftField(2, .bool(false))]))
        default: return nil
        }
    }
}
