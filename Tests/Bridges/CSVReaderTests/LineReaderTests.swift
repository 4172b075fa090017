import CSVReader
import Foundation
import Testing

@Suite("Lines of text")
struct LineReaderTests {
    private func lines(_ reader: LineReader) throws -> [String] {
        var result: [String] = []
        while let status = try reader.next() {
            let text = String(decoding: reader.bytes[reader.range].prefix(20), as: UTF8.self)
            result.append("\(reader.line) \(status == .ok ? "" : "\(status) ")\(text)")
        }
        return result
    }

    private func file(_ bytes: [UInt8]) throws -> String {
        let path = NSTemporaryDirectory() + "vyuha-lines-\(UUID().uuidString)"
        try Data(bytes).write(to: URL(filePath: path))
        return path
    }

    @Test("CRLF, a byte-order mark, blank lines and a last line without its end are read as people mean them")
    func ends() throws {
        let reader = LineReader(bytes: [0xEF, 0xBB, 0xBF] + Array("one\r\n\r\n\ntwo\n  three".utf8))
        #expect(try lines(reader) == ["1 one", "4 two", "5   three"])
    }

    @Test("A line beyond the limit is told once, and the next line follows", arguments: [100, 300_000, 2_000_000])
    func long(length: Int) throws {
        let reader = LineReader(
            bytes: Array("a\n".utf8) + Array(repeating: UInt8(ascii: "x"), count: length) + Array("\nb\n".utf8), maximumLineBytes: 64)
        #expect(try lines(reader) == ["1 a", "2 tooLong(limit: 64) " + String(repeating: "x", count: 20), "3 b"])
        #expect(reader.bytes.count < 1 << 20)
    }

    @Test("A line of exactly the limit is read, wherever it lies in the window", arguments: [0, 1, 262_100, 262_143, 262_144, 262_145, 524_288])
    func windows(before: Int) throws {
        let reader = LineReader(
            bytes: Array(repeating: UInt8(ascii: "\n"), count: before) + Array(repeating: UInt8(ascii: "y"), count: 1_000) + Array("\nz".utf8),
            maximumLineBytes: 1_000)
        #expect(try lines(reader) == ["\(before + 1) " + String(repeating: "y", count: 20), "\(before + 2) z"])
    }

    @Test("A line with a NUL byte is no text, and a file of them is no end")
    func binary() throws {
        #expect(try lines(LineReader(bytes: [1, 0, 2, 10, 0x61, 10])).map { $0.prefix(8) } == ["1 binary", "2 a"])
    }

    @Test("A gzip file that is cut off gives what was before, then a sentence")
    func cut() throws {
        let text = (0..<20_000).map { "line \($0 &* 2_654_435_761)" }.joined(separator: "\n")
        let path = try file(Array(text.utf8))
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/gzip")
        process.arguments = [path]
        try process.run()
        process.waitUntilExit()
        let packed = [UInt8](try Data(contentsOf: URL(filePath: path + ".gz")))
        defer { unlink(path + ".gz") }
        let whole = try LineReader(path: path + ".gz")
        var count = 0
        while try whole.next() != nil { count += 1 }
        #expect(count == 20_000)
        let reader = LineReader(bytes: Array(packed.prefix(packed.count / 2)))
        var before = 0
        let error = #expect(throws: CSVError.self) { while try reader.next() != nil { before += 1 } }
        #expect(before > 1_000)
        #expect(error?.message.contains("cut off") == true)
        #expect(try reader.next() == nil)
    }

    @Test("A file that is followed gives a line when its end has come, and what is left when it is finished")
    func follow() throws {
        let path = try file(Array("one\ntw".utf8))
        defer { unlink(path) }
        let reader = try LineReader(path: path, follows: true)
        #expect(try lines(reader) == ["1 one"])
        let handle = try FileHandle(forWritingTo: URL(filePath: path))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data("o\nthr".utf8))
        #expect(try lines(reader) == ["2 two"])
        #expect(try lines(reader) == [])
        #expect(try reader.finish() == .ok)
        #expect(String(decoding: reader.bytes[reader.range], as: UTF8.self) == "thr")
    }

    @Test("A CSV file that is followed gives a row when its line has come")
    func followedCSV() throws {
        let path = try file(Array("a,b\n1,2\n3,".utf8))
        defer { unlink(path) }
        var settings = CSVSettings()
        settings.follows = true
        let reader = try CSVReader(path: path, settings)
        #expect(try reader.next() == .ok)
        #expect(try reader.next() == nil)
        let handle = try FileHandle(forWritingTo: URL(filePath: path))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data("4\n\"5\n".utf8))
        #expect(try reader.next() == .ok)
        #expect(reader.string(1) == "4")
        #expect(try reader.next() == nil)
        try handle.write(contentsOf: Data("6\",7\n".utf8))
        #expect(try reader.next() == .ok)
        #expect(reader.string(0) == "5\n6")
        reader.finish()
        #expect(try reader.next() == nil)
    }
}
