import Compression
import Foundation
import Parquet
import Testing

@Suite struct ParquetWriterTests {
    static let codecs: [BlockCodec?] = [nil, .snappy, .gzip, .zstd, .lz4]

    @Test("what was written is read: every kind, with and without missing values, several pages and row groups", arguments: codecs)
    func roundTrip(codec: BlockCodec?) throws {
        // More than a page once; the pages of the others are made alike.
        let rows = codec == .zstd ? 20_100 : 300
        let groups = [Example.columns(rows: rows, seed: 1), Example.columns(rows: 1, seed: 2), Example.columns(rows: 700, seed: 3)]
        let file = try ParquetFile(Example.file(groups, codec: codec))
        #expect(file.fields == Example.fields)
        #expect(file.rowGroups == [rows, 1, 700])
        #expect(file.keyValues.map(\.value) == ["0123456789abcdef"])
        #expect(try Dump.text(file) == Dump.text(fields: Example.fields) { column in groups.map { $0[column] } })
    }

    @Test("a file without rows is a file")
    func empty() throws {
        let file = try ParquetFile(Example.file([Example.columns(rows: 0, seed: 1)], codec: .zstd))
        #expect(file.rowCount == 0 && file.rowGroups.isEmpty && file.fields.count == Example.fields.count)
    }

    @Test("statistics say the range and the missing values of a row group")
    func statistics() throws {
        var bytes: [UInt8] = []
        var writer = try ParquetWriter([ParquetField("x", .double, isOptional: true)]) { bytes += $0 }
        try writer.append([ParquetColumn(.double, .doubles([3, .nan, -1, .nan]), present: [true, true, true, false])])
        try writer.finish()
        let statistics = try ParquetFile(bytes).statistics(column: 0, rowGroup: 0)
        #expect(statistics?.minimum == -1 && statistics?.maximum == 3 && statistics?.nullCount == 1)
    }

    @Test("repeated values take little room: a dictionary holds each once")
    func dictionary() throws {
        var bytes: [UInt8] = []
        var writer = try ParquetWriter([ParquetField("entity", .text)], codec: nil) { bytes += $0 }
        try writer.append([ParquetColumn(.text, .bytes(ParquetBytes((0..<10_000).map { "sensor-with-a-long-name-\($0 % 4)" })))])
        try writer.finish()
        #expect(bytes.count < 4_000)
    }

    @Test("columns that do not fit the schema are refused")
    func mismatch() throws {
        var writer = try ParquetWriter([ParquetField("a", .double), ParquetField("b", .text)]) { _ in }
        let numbers = ParquetColumn(.double, .doubles([1, 2]))
        #expect(throws: ParquetError.self) { try writer.append([numbers]) }
        #expect(throws: ParquetError.self) { try writer.append([numbers, numbers]) }
        #expect(throws: ParquetError.self) { try writer.append([numbers, ParquetColumn(.text, .bytes(ParquetBytes(["x"])))]) }
        #expect(throws: ParquetError.self) {
            try writer.append([
                ParquetColumn(.double, .doubles([1, .nan]), present: [true, false]), ParquetColumn(.text, .bytes(ParquetBytes(["x", "y"]))),
            ])
        }
        #expect(throws: ParquetError.self) { try ParquetWriter([ParquetField("d", .decimal(precision: 30, scale: 2))]) { _ in } }
    }

    @Test("files for the judges are written", .enabled(if: Folder.judge != nil))
    func forJudges() throws {
        guard let folder = Folder.judge?.appendingPathComponent("written") else { return }
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        for (codec, name) in zip(Self.codecs, ["plain", "snappy", "gzip", "zstd", "lz4"]) {
            let groups = [Example.columns(rows: codec == .zstd ? 20_100 : 500, seed: 4), Example.columns(rows: 3, seed: 5)]
            try Data(Example.file(groups, codec: codec)).write(to: folder.appendingPathComponent("\(name).parquet"))
            try Dump.text(fields: Example.fields) { column in groups.map { $0[column] } }
                .write(to: folder.appendingPathComponent("\(name).txt"), atomically: true, encoding: .utf8)
        }
    }
}
