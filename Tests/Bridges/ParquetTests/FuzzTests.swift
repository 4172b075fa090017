import Foundation
import Parquet
import Testing
import Text

/// Truncated and corrupted files; `VYUHA_FUZZ_CASES` makes the run as long as one likes.
@Suite("Whatever is in the file")
struct FuzzTests {
    static let cases = ProcessInfo.processInfo.environment["VYUHA_FUZZ_CASES"].flatMap(Int.init) ?? 500

    /// Reads everything; how many values there were, or nil when something was refused.
    private static func read(_ bytes: [UInt8]) throws -> Bool {
        // Small limits, so that a damaged number does not merely cost time.
        var limits = ParquetLimits()
        limits.pageBytes = 1 << 20
        limits.chunkBytes = 4 << 20
        limits.rowGroupRows = 1 << 16
        do {
            let file = try ParquetFile(bytes, limits: limits)
            var isWhole = true
            for group in file.rowGroups.indices.prefix(8) {
                for column in file.fields.indices.prefix(64) {
                    do {
                        let values = try file.read(column: column, rowGroup: group)
                        #expect(values.count == file.rowGroups[group])
                        _ = values.numbers()
                        if case .bytes(let texts) = values.values { for row in 0..<texts.count { _ = texts[row].count } }
                        _ = file.statistics(column: column, rowGroup: group)
                    } catch is ParquetError { isWhole = false }
                }
            }
            return isWhole
        } catch is ParquetError { return false }
    }

    @Test("truncated and corrupted files are read or refused, and never crash")
    func corrupted() throws {
        let files =
            try Folder.files(Folder.golden).map { [UInt8](try Data(contentsOf: $0)) } + [
                Example.file([Example.columns(rows: 60, seed: 9)], codec: nil), Example.file([Example.columns(rows: 60, seed: 9)], codec: .zstd),
            ]
        var refused = 0
        for number in 0..<Self.cases {
            var random = SplitMix64(seed: 7, stream: UInt64(number))
            var bytes = files[random.below(files.count)]
            switch random.below(4) {
            case 0: bytes.removeLast(1 + random.below(bytes.count - 1))
            case 1:
                // Within, so that the end is still there.
                let start = random.below(bytes.count)
                bytes.removeSubrange(start..<min(bytes.count, start + 1 + random.below(20)))
            default:
                for _ in 0...random.below(4) {
                    let place = random.below(bytes.count)
                    bytes[place] = random.below(2) == 0 ? bytes[place] ^ (1 << UInt8(random.below(8))) : UInt8(truncatingIfNeeded: random.next())
                }
            }
            if try !Self.read(bytes) { refused += 1 }
        }
        // A cut file is always refused, so at least a quarter is; and changes must often have been within reach of the decoders.
        #expect(refused > Self.cases / 4)
        #expect(refused < Self.cases)
    }
}
