import Foundation
import Parquet
import Testing

@Suite struct ParquetFileTests {
    @Test("files of pyarrow, DuckDB and Polars read as pyarrow reads them", arguments: [Folder.golden, Folder.judge].compactMap { $0 })
    func othersFiles(folder: URL) throws {
        let files = try Folder.files(folder)
        #expect(files.count >= 12)
        for file in files {
            let expected = try String(contentsOf: file.deletingPathExtension().appendingPathExtension("txt"), encoding: .utf8)
            let found = try Dump.text(ParquetFile(ParquetFileSource(path: file.path)))
            if found != expected {
                let difference = zip(found.split(separator: "\n"), expected.split(separator: "\n")).enumerated().first { $1.0 != $1.1 }
                Issue.record("\(file.lastPathComponent): \(difference.map { "line \($0 + 1): \($1)" } ?? "another number of lines")")
            }
        }
    }

    @Test("lists are named, refused with a sentence, and do not hide the columns beside them")
    func lists() throws {
        let file = try ParquetFile(ParquetFileSource(path: Folder.golden.appendingPathComponent("refused/list.parquet").path))
        #expect(file.fields.count == 2)
        #expect(throws: ParquetError.self) { try file.read(column: 1, rowGroup: 0) }
        #expect(try file.read(column: 0, rowGroup: 0).values == .integers([1, 2, 3]))
    }

    @Test("an unknown codec is refused by its name")
    func brotli() throws {
        let file = try ParquetFile(ParquetFileSource(path: Folder.golden.appendingPathComponent("refused/brotli.parquet").path))
        do {
            _ = try file.read(column: 0, rowGroup: 0)
            Issue.record("Brotli was read")
        } catch let error as ParquetError {
            #expect(error.kind == .unsupported)
            #expect(error.message.contains("Brotli"))
        }
    }

    @Test(
        "what is no Parquet file is refused with a sentence",
        arguments: [
            ("", "does not begin with PAR1"), ("PAR1", "does not begin"), ("id,value\n1,2\n3,4\n5,6\n", "does not begin with PAR1"),
            ("PAR1....................", "does not end with PAR1"), ("PAR1....\u{7F}\u{7F}\u{7F}\u{7F}PAR1", "larger than the file"),
            ("PAR1....\0\0\0\0PARE", "encrypted"),
        ])
    func noFile(content: String, sentence: String) {
        do {
            _ = try ParquetFile(Array(content.utf8))
            Issue.record("It was read")
        } catch let error as ParquetError {
            #expect(error.message.contains(sentence))
        } catch { Issue.record("\(error)") }
    }

    @Test("a missing file and a folder are refused with the system's reason")
    func unreadable() {
        #expect(throws: ParquetError.self) { try ParquetFileSource(path: "/nonexistent.parquet") }
        #expect(throws: ParquetError(.unreadable, "`/tmp` is not a file.")) { try ParquetFileSource(path: "/tmp") }
    }
}
