import Compression

/// Decodes one column of one row group: its dictionary, then its pages.
struct ColumnChunkReader {
    private let leaf: Leaf
    private let codec: BlockCodec?
    private let limits: ParquetLimits
    private let rows: Int
    private var values: ValueBuffer
    private var dictionary: ValueBuffer?
    /// Where the dictionary's bytes begin among those of the values.
    private var dictionaryBase = 0
    private var present: [Bool] = []
    private var read = 0

    init(_ leaf: Leaf, _ chunk: FileMetadata.Chunk, rows: Int, limits: ParquetLimits) throws {
        guard !leaf.isRepeated else {
            throw ParquetError.unsupported(
                "Column `\(leaf.field.name)` is in a list or a map; only columns with at most one value per row can be read.")
        }
        guard rows <= limits.rowGroupRows else { throw ParquetError(.tooLarge, "A row group has \(rows) rows, more than \(limits.rowGroupRows).") }
        guard chunk.values == rows else {
            throw ParquetError.damaged("Column `\(leaf.field.name)` has \(chunk.values) values in a row group of \(rows) rows.")
        }
        switch chunk.codec {
        case 0: codec = nil
        case 1: codec = .snappy
        case 2: codec = .gzip
        case 5: codec = .hadoopLZ4
        case 6: codec = .zstd
        case 7: codec = .lz4
        default:
            let name = chunk.codec == 3 ? "LZO" : chunk.codec == 4 ? "Brotli" : "unknown (\(chunk.codec))"
            throw ParquetError.unsupported("Column `\(leaf.field.name)` is compressed with a codec that this reader does not know: \(name).")
        }
        self.leaf = leaf
        self.limits = limits
        self.rows = rows
        values = ValueBuffer(leaf, limit: limits.chunkBytes)
    }

    mutating func column(_ bytes: UnsafeRawBufferPointer) throws -> ParquetColumn {
        var reader = ByteReader(bytes)
        while read < rows {
            let header = try ThriftValue.structure(&reader)
            guard let type = header[1]?.integer, let expanded = header[2]?.integer, let size = header[3]?.integer, expanded >= 0 else {
                throw damaged("has a page without a complete header")
            }
            guard expanded <= limits.pageBytes else {
                throw ParquetError(.tooLarge, "Column `\(leaf.field.name)` has a page of \(expanded) bytes, more than \(limits.pageBytes).")
            }
            let page = try reader.take(size)
            switch type {
            case 0: try dataPage(header[5], page, expanded)
            case 2: try dictionaryPage(header[7], page, expanded)
            case 3: try dataPageV2(header[8], page, expanded)
            default: continue
            }
        }
        return values.column(present: leaf.maximumDefinition > 0 ? present : nil)
    }

    private func damaged(_ what: String) -> ParquetError { .damaged("Column `\(leaf.field.name)` \(what).") }

    /// Runs `body` on a page's content.
    private mutating func expand(
        _ page: UnsafeRawBufferPointer, _ size: Int, _ body: (inout Self, inout ByteReader) throws -> Void
    ) throws {
        guard let codec else {
            guard page.count == size else { throw damaged("has an uncompressed page of two sizes") }
            var reader = ByteReader(page)
            return try body(&self, &reader)
        }
        guard let content = codec.expand(page, count: size) else { throw damaged("has a damaged compressed page") }
        try content.withUnsafeBytes { bytes in
            var reader = ByteReader(bytes)
            try body(&self, &reader)
        }
    }

    private mutating func dictionaryPage(_ header: ThriftValue?, _ page: UnsafeRawBufferPointer, _ size: Int) throws {
        guard let count = header?[1]?.integer, (0...limits.rowGroupRows).contains(count), dictionary == nil else {
            throw damaged("has a dictionary without a possible number of values, or a second one")
        }
        guard [0, 2].contains(header?[2]?.integer) else { throw damaged("has a dictionary that is not plain") }
        var found = ValueBuffer(leaf, limit: limits.chunkBytes)
        try expand(page, size) { _, reader in
            try found.append(0, &reader, count: count)
        }
        dictionaryBase = try values.adopt(found)
        dictionary = found
    }

    private func checked(_ count: Int?) throws -> Int {
        guard let count, count >= 0, count <= rows - read else { throw damaged("has pages with more values than the row group has rows") }
        return count
    }

    private mutating func dataPage(_ header: ThriftValue?, _ page: UnsafeRawBufferPointer, _ size: Int) throws {
        let count = try checked(header?[1]?.integer)
        guard let header, let encoding = header[2]?.integer else { throw damaged("has a page without an encoding") }
        try expand(page, size) { chunk, reader in
            var there = count
            if chunk.leaf.maximumDefinition > 0 {
                let levels: [UInt32]
                if header[3]?.integer == 4 {
                    levels = try Decoding.packedLevels(&reader, width: chunk.levelWidth, count: count)
                } else {
                    let length = Int(try reader.load(UInt32.self))
                    var part = ByteReader(try reader.take(length))
                    levels = try Decoding.hybrid(&part, width: chunk.levelWidth, count: count)
                }
                there = try chunk.note(levels)
            }
            try chunk.append(encoding, &reader, there)
        }
        read += count
    }

    private mutating func dataPageV2(_ header: ThriftValue?, _ page: UnsafeRawBufferPointer, _ size: Int) throws {
        let count = try checked(header?[1]?.integer)
        guard let header, let encoding = header[4]?.integer, let levelBytes = header[5]?.integer, header[6]?.integer ?? 0 == 0 else {
            throw damaged("has a page without a complete header")
        }
        var reader = ByteReader(page)
        // Levels are not compressed in pages of version 2, and have no length in front.
        var levels = ByteReader(try reader.take(levelBytes))
        let there = leaf.maximumDefinition > 0 ? try note(try Decoding.hybrid(&levels, width: levelWidth, count: count)) : count
        guard size >= levelBytes else { throw damaged("has a page smaller than its levels") }
        if case .bool(false)? = header[7] {
            try append(encoding, &reader, there)
        } else if size > levelBytes || there > 0 {
            try expand(reader.rest(), size - levelBytes) { chunk, reader in try chunk.append(encoding, &reader, there) }
        }
        read += count
    }

    private var levelWidth: Int { Int.bitWidth - leaf.maximumDefinition.leadingZeroBitCount }

    /// - Returns: how many of them have a value.
    private mutating func note(_ levels: [UInt32]) throws -> Int {
        let maximum = UInt32(leaf.maximumDefinition)
        guard levels.allSatisfy({ $0 <= maximum }) else { throw damaged("has a definition level above \(maximum)") }
        let before = present.count
        present += levels.map { $0 == maximum }
        return present[before...].count { $0 }
    }

    private mutating func append(_ encoding: Int, _ reader: inout ByteReader, _ count: Int) throws {
        guard encoding == 2 || encoding == 8 else {
            guard count > 0 else { return }
            return try values.append(encoding, &reader, count: count)
        }
        guard count > 0 else { return }
        guard let dictionary else { throw damaged("has indexes without a dictionary") }
        let width = Int(try reader.byte())
        try values.append(dictionary, base: dictionaryBase, Decoding.hybrid(&reader, width: width, count: count))
    }
}
