import Compression
import Foundation
import Parquet
import Text

/// A file's values as text, in the form that `services/scripts/parquet/judge.py` makes of the same file with pyarrow: per column a line `# name`, then a line
/// a row: `-` for none, whole numbers in decimal, floating-point numbers as the hexadecimal bits of a double, text and bytes in hexadecimal.
enum Dump {
    static func text(_ file: ParquetFile) throws -> String {
        try text(fields: file.fields) { column in try file.rowGroups.indices.map { try file.read(column: column, rowGroup: $0) } }
    }

    static func text(fields: [ParquetField], _ groups: (Int) throws -> [ParquetColumn]) rethrows -> String {
        var lines: [String] = []
        for (number, field) in fields.enumerated() {
            lines.append("# \(field.name)")
            for column in try groups(number) { for row in 0..<column.count { lines.append(value(column, row)) } }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func value(_ column: ParquetColumn, _ row: Int) -> String {
        if let present = column.present, !present[row] { return "-" }
        switch column.values {
        case .booleans(let values): return values[row] ? "1" : "0"
        case .integers(let values): return column.kind == .integer(signed: false) ? "\(UInt64(bitPattern: values[row]))" : "\(values[row])"
        case .doubles(let values):
            if case .decimal = column.kind { return String(format: "%.11e", values[row]) }
            return values[row].isNaN ? "nan" : Hexadecimal.text(values[row].bitPattern)
        case .bytes(let values): return "x" + Hexadecimal.text(values[row])
        }
    }
}

enum Folder {
    static let golden = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Golden")
    /// Where `judge.py` has put files to be read, and takes from `written` what the writer makes.
    static let judge = ProcessInfo.processInfo.environment["VYUHA_PARQUET_FOLDER"].map { URL(fileURLWithPath: $0) }

    static func files(_ folder: URL) throws -> [URL] {
        try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil).filter { $0.pathExtension == "parquet" }
            .sorted { $0.path < $1.path }
    }
}

/// Columns of every kind that can be written, with and without missing values, that compress well, badly and not at all.
enum Example {
    static let fields: [ParquetField] = [
        ParquetField("flag", .boolean), ParquetField("maybe_flag", .boolean, isOptional: true), ParquetField("count", .integer(signed: true)),
        ParquetField("unsigned", .integer(signed: false), isOptional: true), ParquetField("float", .float, isOptional: true),
        ParquetField("double", .double, isOptional: true), ParquetField("level", .double), ParquetField("text", .text, isOptional: true),
        ParquetField("long", .text), ParquetField("bytes", .bytes), ParquetField("day", .date), ParquetField("clock", .time(.milliseconds)),
        ParquetField("clock_us", .time(.microseconds), isOptional: true), ParquetField("at_ms", .timestamp(.milliseconds, utc: true)),
        ParquetField("at_us", .timestamp(.microseconds, utc: false)), ParquetField("at_ns", .timestamp(.nanoseconds, utc: true), isOptional: true),
        ParquetField("price", .decimal(precision: 12, scale: 2), isOptional: true), ParquetField("none", .double, isOptional: true),
    ]

    static func columns(rows: Int, seed: UInt64) -> [ParquetColumn] {
        var random = SplitMix64(seed: seed)
        return fields.map { field in
            let some = field.isOptional ? (0..<rows).map { _ in field.name != "none" && random.below(5) > 0 } : nil
            var values: ParquetColumn.Values
            switch field.kind {
            case .boolean: values = .booleans((0..<rows).map { _ in random.below(3) == 0 })
            case .float: values = .doubles((0..<rows).map { _ in Double(Float(random.unit() * 100 - 50)) })
            case .double where field.name == "level": values = .doubles((0..<rows).map { _ in Double(random.below(40)) / 8 - 2 })
            case .double: values = .doubles((0..<rows).map { $0 % 97 == 5 ? .nan : $0 % 89 == 3 ? -.infinity : random.unit() - 0.5 })
            case .text where field.name == "long":
                values = .bytes(ParquetBytes((0..<rows).map { _ in String(repeating: "é漢z", count: 10 + random.below(30)) + "\(random.next())" }))
            case .text: values = .bytes(ParquetBytes((0..<rows).map { _ in ["", "sensor-1", "größe", "a"][random.below(4)] }))
            case .bytes:
                var bytes = ParquetBytes()
                for _ in 0..<rows { bytes.append((0..<random.below(9)).map { _ in UInt8(truncatingIfNeeded: random.next()) }) }
                values = .bytes(bytes)
            case .date: values = .integers((0..<rows).map { Int64($0 / 50) - 300 })
            case .time(.milliseconds): values = .integers((0..<rows).map { _ in Int64(random.below(86_400_000)) })
            case .time: values = .integers((0..<rows).map { _ in Int64(random.below(86_400_000_000)) })
            case .timestamp: values = .integers((0..<rows).map { _ in 1_700_000_000_000 + Int64(random.below(1_000_000_000)) })
            case .decimal: values = .integers((0..<rows).map { _ in Int64(random.below(2_000_000)) - 1_000_000 })
            case .integer(signed: false): values = .integers((0..<rows).map { _ in Int64(bitPattern: random.next()) })
            case .integer:
                values = .integers((0..<rows).map { _ in random.below(4) == 0 ? Int64(bitPattern: random.next()) : Int64(random.below(9)) })
            }
            // What has no value has the place of one, as the reader gives it.
            if let some {
                switch values {
                case .booleans(let all): values = .booleans(zip(all, some).map { $1 ? $0 : false })
                case .integers(let all): values = .integers(zip(all, some).map { $1 ? $0 : 0 })
                case .doubles(let all): values = .doubles(zip(all, some).map { $1 ? $0 : .nan })
                case .bytes(let all):
                    var kept = ParquetBytes()
                    for row in 0..<rows { kept.append(some[row] ? all[row] : []) }
                    values = .bytes(kept)
                }
            }
            return ParquetColumn(field.kind, values, present: some)
        }
    }

    static func file(_ groups: [[ParquetColumn]], codec: BlockCodec?) throws -> [UInt8] {
        let sink = Sink()
        var writer = try ParquetWriter(fields, keyValues: [("vyuha.fingerprint", "0123456789abcdef")], codec: codec) { sink.bytes += $0 }
        for group in groups { try writer.append(group) }
        try writer.finish()
        return sink.bytes
    }

    private final class Sink { var bytes: [UInt8] = [] }
}
