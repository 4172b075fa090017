import Compression

/// Encodes one column of one row group.
struct ColumnChunkWriter {
    struct Chunk {
        let offset: Int
        let size: Int
        let expandedSize: Int
        let metadata: ThriftValue
        /// Nil when a page has values but no bounds, as one of only NaN has.
        let columnIndex: ThriftValue?
        let offsetIndex: ThriftValue
    }

    private static let pageRows = 20_000

    private let field: ParquetField
    private let column: ParquetColumn
    private let codec: BlockCodec?
    private let start: Int
    /// The chunk's bytes, pages with their headers.
    private(set) var output: [UInt8] = []
    private var expandedSize = 0

    init(_ field: ParquetField, _ column: ParquetColumn, _ codec: BlockCodec?, offset: Int) {
        self.field = field
        self.column = column
        self.codec = codec
        start = offset
    }

    mutating func encode() -> Chunk {
        let dictionary = DictionaryEncoder(field, column)
        var dictionaryOffset: Int?
        if let dictionary {
            dictionaryOffset = start
            let header = ThriftField(7, .structure([ThriftField(1, .int32(dictionary.count)), ThriftField(2, .int32(0))]))
            page(type: 2, dictionary.content, header)
        }
        let firstPage = start + output.count
        let encoding = dictionary == nil ? 0 : 8
        var locations: [ThriftValue] = []
        var pages: [(bounds: Bounds?, nulls: Int, rows: Int)] = []
        for first in stride(from: 0, to: column.count, by: Self.pageRows) {
            let rows = first..<min(first + Self.pageRows, column.count)
            let before = output.count
            let header = ThriftField(
                5,
                .structure([
                    ThriftField(1, .int32(rows.count)), ThriftField(2, .int32(encoding)), ThriftField(3, .int32(3)), ThriftField(4, .int32(3)),
                ]))
            page(type: 0, content(rows, dictionary), header)
            locations.append(
                .structure([
                    ThriftField(1, .int64(start + before)), ThriftField(2, .int32(output.count - before)), ThriftField(3, .int64(first)),
                ]))
            let nulls = column.present.map { present in present[rows].count { !$0 } } ?? 0
            pages.append((Bounds(field, column, rows), nulls, rows.count))
        }
        let nulls = pages.reduce(0) { $0 + $1.nulls }
        var metadata: [ThriftField] = [
            ThriftField(1, .int32(field.physical.rawValue)), ThriftField(2, .list((encoding == 8 ? [0, 3, 8] : [0, 3]).map { .int32($0) })),
            ThriftField(3, .list([.binary(Array(field.name.utf8))])), ThriftField(4, .int32(codecNumber)),
            ThriftField(5, .int64(column.count)), ThriftField(6, .int64(expandedSize)), ThriftField(7, .int64(output.count)),
            ThriftField(9, .int64(firstPage)),
        ]
        if let dictionaryOffset { metadata.append(ThriftField(11, .int64(dictionaryOffset))) }
        var statistics = [ThriftField(3, .int64(nulls))]
        if let bounds = Bounds(field, column, 0..<column.count) {
            statistics += [
                ThriftField(5, .binary(bounds.maximum)), ThriftField(6, .binary(bounds.minimum)), ThriftField(7, .bool(bounds.isExact)),
                ThriftField(8, .bool(bounds.isExact)),
            ]
        }
        metadata.append(ThriftField(12, .structure(statistics)))
        return Chunk(
            offset: start, size: output.count, expandedSize: expandedSize, metadata: .structure(metadata), columnIndex: columnIndex(pages),
            offsetIndex: .structure([ThriftField(1, .list(locations))]))
    }

    private func columnIndex(_ pages: [(bounds: Bounds?, nulls: Int, rows: Int)]) -> ThriftValue? {
        guard pages.allSatisfy({ $0.bounds != nil || $0.nulls == $0.rows }) else { return nil }
        return .structure([
            ThriftField(1, .list(pages.map { .bool($0.nulls == $0.rows) })),
            ThriftField(2, .list(pages.map { .binary($0.bounds?.minimum ?? []) })),
            ThriftField(3, .list(pages.map { .binary($0.bounds?.maximum ?? []) })),
            ThriftField(4, .int32(0)),
            ThriftField(5, .list(pages.map { .int64($0.nulls) })),
        ])
    }

    private var codecNumber: Int {
        switch codec {
        case nil: 0
        case .snappy: 1
        case .gzip: 2
        case .zstd: 6
        case .lz4, .hadoopLZ4: 7
        }
    }

    private mutating func page(type: Int, _ content: [UInt8], _ header: ThriftField) {
        let before = output.count
        let body = codec?.compress(content) ?? content
        let head = ThriftValue.structure([
            ThriftField(1, .int32(type)), ThriftField(2, .int32(content.count)), ThriftField(3, .int32(body.count)), header,
        ])
        head.write(to: &output)
        expandedSize += output.count - before + content.count
        output += body
    }

    private func content(_ rows: Range<Int>, _ dictionary: DictionaryEncoder?) -> [UInt8] {
        var bytes: [UInt8] = []
        if field.isOptional {
            var levels: [UInt8] = []
            HybridEncoder.append(rows.map { column.present?[$0] ?? true ? 1 : 0 }, width: 1, to: &levels)
            bytes.append(littleEndian: UInt32(levels.count))
            bytes += levels
        }
        if let dictionary {
            bytes.append(UInt8(dictionary.width))
            let indexes = column.present.map { present in rows.filter { present[$0] }.map { dictionary.indexes[$0] } }
            HybridEncoder.append(indexes ?? Array(dictionary.indexes[rows]), width: dictionary.width, to: &bytes)
        } else {
            PlainEncoder.append(field, column, column.present.map { present in rows.filter { present[$0] } }, rows, to: &bytes)
        }
        return bytes
    }
}
