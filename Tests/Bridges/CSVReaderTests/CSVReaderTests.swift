import CSVReader
import Foundation
import Testing
import Text

@Suite("Reading a CSV file")
struct CSVReaderTests {
    @Test("rows come with their fields, line and byte offset")
    func rows() throws {
        let reader = try CSVReader(bytes: utf8(" a ,b\n1,2\n\n\"x,\"\"y\"\"\nz\",\r\n\"\",\"q\"\r\nlast,é"))
        #expect(reader.columns == ["a", "b"])
        #expect(reader.column("b") == 1)
        #expect(reader.column("c") == nil)
        #expect(reader.hint == nil)
        let rows = try reader.all()
        #expect(rows.map(\.fields) == [["1", "2"], ["x,\"y\"\nz", ""], ["", "q"], ["last", "é"]])
        #expect(rows.map(\.line) == [2, 4, 6, 7])
        #expect(rows.map(\.offset) == [6, 11, 25, 33])
        #expect(rows.allSatisfy { $0.status == .ok })
        #expect(reader.row == 4)
        #expect(try reader.next() == nil)
    }

    @Test("the raw bytes of a row are kept as they stand in the file")
    func raw() throws {
        let reader = try CSVReader(bytes: utf8("a,b\n\"x\"\"y\", z \r\n"))
        #expect(try reader.next() == .ok)
        #expect(String(decoding: reader.bytes[reader.rawBytes], as: UTF8.self) == "\"x\"\"y\", z ")
        #expect(reader.rowTexts == ["x\"y", "z"])
    }

    @Test("what people write against the standard is taken as it is")
    func lenient() throws {
        let rows = try CSVReader(bytes: utf8("a,b\n5\" disk,1\n\"x\"tail,2\n\"p\"\"\"q,3\n")).all()
        #expect(rows.map(\.fields) == [["5\" disk", "1"], ["xtail", "2"], ["p\"q", "3"]])
    }

    @Test("a row with another number of columns is given and marked")
    func columnCount() throws {
        let rows = try CSVReader(bytes: utf8("a,b\n1\n1,2,3\n1,2\n")).all()
        #expect(rows.map(\.status) == [.wrongColumnCount(found: 1, expected: 2), .wrongColumnCount(found: 3, expected: 2), .ok])
        #expect(rows[1].fields == ["1", "2", "3"])
        #expect(rows[0].status.sentence == "The row has 1 columns, the header has 2.")
    }

    @Test("a row of nothing but delimiters is counted, not kept")
    func manyColumns() throws {
        let reader = try CSVReader(bytes: utf8("a,b\n" + String(repeating: ",", count: 100_000) + "\n1,2\n"))
        #expect(try reader.next() == .wrongColumnCount(found: 100_001, expected: 2))
        #expect(reader.fields.count < 20_000)
        #expect(try reader.next() == .ok)
    }

    @Test("a byte-order mark is no part of the first name")
    func byteOrderMark() throws {
        let reader = try CSVReader(bytes: utf8("\u{FEFF}a;b\n1;2\n"), CSVSettings(delimiter: UInt8(ascii: ";")))
        #expect(reader.columns == ["a", "b"])
        #expect(try reader.all().map(\.offset) == [7])
    }

    @Test("without a header the first row says how many columns there are")
    func noHeader() throws {
        let rows = try CSVReader(bytes: utf8("1,2\n3,4\n5\n"), CSVSettings(hasHeader: false)).all()
        #expect(rows.map(\.fields) == [["1", "2"], ["3", "4"], ["5"]])
        #expect(rows.map(\.status) == [.ok, .ok, .wrongColumnCount(found: 1, expected: 2)])
        #expect(rows.map(\.line) == [1, 2, 3])
    }

    @Test(
        "a header of one column in which another delimiter occurs gives a hint",
        arguments: [
            ("a;b;c\n", "Is the delimiter `;`?"), ("a\tb\n", "Is the delimiter a tab?"), ("a|b\n", "Is the delimiter `|`?"), ("a\n", nil),
        ])
    func delimiterHint(text: String, hint: String?) throws {
        #expect(try CSVReader(bytes: utf8(text)).hint == hint)
    }

    @Test("a row that is too long is skipped and reported, and the reader goes on")
    func tooLong() throws {
        for size in [101, 1000, 300_000, 700_000] {
            let long = String(repeating: "x", count: size)
            let reader = try CSVReader(bytes: utf8("a\n1\n\(long)\n2\n\(long)"), CSVSettings(maximumRecordBytes: 100))
            let rows = try reader.all()
            #expect(rows.map(\.status) == [.ok, .tooLong(limit: 100), .ok, .tooLong(limit: 100)])
            #expect(rows.map(\.line) == [2, 3, 4, 5])
            #expect(rows.map(\.offset) == [2, 4, Int64(size) + 5, Int64(size) + 7])
            #expect(rows[1].fields.isEmpty)
            #expect(reader.row == 4)
        }
        let reader = try CSVReader(
            bytes: utf8("a\n" + String(repeating: "y", count: 50_000) + "\n"), CSVSettings(maximumRecordBytes: 10_000))
        _ = try reader.next()
        #expect(reader.rawBytes == 0..<4096)
    }

    @Test("a quote that never closes costs its line, not the rest of the file")
    func unterminatedQuote() throws {
        let rows = try CSVReader(bytes: utf8("a,b\n1,2\n\"x,y\n3,4\n5,6\n")).all()
        #expect(rows.map(\.status) == [.ok, .unterminatedQuote, .ok, .ok])
        #expect(rows.map(\.line) == [2, 3, 4, 5])
        let many = try CSVReader(
            bytes: utf8("a,b\n\"x,y\n" + String(repeating: "3,4\n", count: 200_000)), CSVSettings(maximumRecordBytes: 1000)
        ).all()
        #expect(many.count == 200_001)
        #expect(many.dropFirst().allSatisfy { $0.status == .ok })
        #expect(many[0].status == .unterminatedQuote)
    }

    @Test("a NUL byte marks its row")
    func binary() throws {
        let rows = try CSVReader(bytes: utf8("a,b\n1,\0\0x\n\"\0\",2\n3,4\n5\0")).all()
        #expect(rows.map(\.status) == [.binary, .binary, .ok, .binary])
        #expect(rows[0].fields == ["1", "\0\0x"])
    }

    @Test(
        "what is no CSV file is refused with a sentence",
        arguments: [
            ([], "f: The file is empty; its first line must name the columns."),
            (utf8("a,b,a\n"), "f:1: The header names the column `a` twice."),
            (utf8("a,\"b\n"), "f:1: A quote opens in the header and is never closed."),
            (utf8("a\0b\n"), "f:1: The first line has a NUL byte, so this is not a text file."),
            ([0xFF, 0xFE, 0x61, 0], "f: This is UTF-16 text, not a CSV file in UTF-8; say `encoding: utf-16`."),
            ([0x50, 0x4B, 3, 4, 5], "f: This is a zip or Excel file, not a CSV file in UTF-8."),
        ] as [([UInt8], String)])
    func refused(bytes: [UInt8], message: String) {
        let error = #expect(throws: CSVError.self) { try CSVReader(bytes: bytes, name: "f") }
        #expect(error?.description == message)
    }

    @Test("a file that is not there is named with the reason")
    func missingFile() {
        let error = #expect(throws: CSVError.self) { try CSVReader(path: "/nonexistent.csv") }
        #expect(error?.description == "/nonexistent.csv: The file cannot be opened: No such file or directory.")
        #expect(throws: CSVError.self) { try CSVReader(path: "/tmp") }
    }

    @Test("reading goes on from a line, and again from the start")
    func resuming() throws {
        let reader = try CSVReader(bytes: utf8("a\n1\n\"2\nx\"\n\n3\n4\n"))
        try reader.skip(toLine: 4)
        #expect(try reader.next() == .ok)
        #expect(reader.rowTexts == ["3"])
        #expect(reader.line == 6)
        #expect(reader.row == 3)
        try reader.rewind()
        #expect(try reader.all().map(\.fields) == [["1"], ["2\nx"], ["3"], ["4"]])
        try reader.rewind()
        try reader.skip(toLine: 100)
        #expect(try reader.next() == nil)
    }

    @Test("random tables of any shape are read back, across the window's borders")
    func randomTables() throws {
        var random = SplitMix64(seed: 3)
        let alphabet: [Character] = ["a", "7", ".", ",", "\"", "\n", " ", "é", "-"]
        for lineEnd in ["\n", "\r\n"] {
            var text = utf8("one,two,three" + lineEnd)
            var table: [[String]] = []
            var offsets: [Int64] = []
            while text.count < 700_000 {
                let longest = Int.random(in: 0..<20, using: &random) == 0 ? 3000 : 8
                let row = (0..<3).map { _ in
                    String((0..<Int.random(in: 0..<longest, using: &random)).map { _ in alphabet.randomElement(using: &random) ?? "a" })
                }
                offsets.append(Int64(text.count))
                let quoted = row.map { field in field.contains { ",\"\n".contains($0) } || Bool.random(using: &random) }
                // Blanks around a field are none of it, unless they are in its quotes.
                table.append(zip(row, quoted).map { $1 ? $0 : $0.trimmingCharacters(in: .whitespaces) })
                let fields = zip(row, quoted).map { field, isQuoted in
                    isQuoted ? " \"" + field.replacingOccurrences(of: "\"", with: "\"\"") + "\" " : field
                }
                text += utf8(fields.joined(separator: ",") + lineEnd)
            }
            let plain = try CSVReader(bytes: text).all()
            #expect(plain.map(\.fields) == table)
            #expect(plain.map(\.offset) == offsets)
            #expect(plain.allSatisfy { $0.status == .ok })
            try withFile(text) { path in
                let reader = try CSVReader(path: path)
                #expect(try reader.all().map(\.fields) == table)
                #expect(reader.bytesRead == reader.totalBytes)
            }
            let packed = try gzip(text)
            #expect(try CSVReader(bytes: packed).all().map(\.fields) == table)
            try withFile(packed + packed + [0, 0, 0]) { path in
                let reader = try CSVReader(path: path, CSVSettings(hasHeader: false))
                #expect(try reader.all().count == 2 * table.count + 2)
                try reader.rewind()
                #expect(try reader.all().count == 2 * table.count + 2)
            }
        }
    }

    @Test("a gzip file that is cut off or damaged gives its rows and then an error")
    func damagedGzip() throws {
        let table = utf8("a,b\n" + (0..<100_000).map { "\($0),\($0 &* 7919 % 1013)\n" }.joined())
        let packed = try gzip(table)
        let cut = try CSVReader(bytes: Array(packed.prefix(packed.count / 2)), name: "t.csv.gz")
        var count = 0
        let error = #expect(throws: CSVError.self) {
            while let status = try cut.next() {
                count += 1
                #expect(status == .ok)
            }
        }
        #expect(error?.message == "The gzip file is cut off: it ends before its last block.")
        #expect(count > 30_000)
        #expect(error?.line == count + 2)
        #expect(try cut.next() == nil)

        var broken = packed
        broken[broken.count / 2] ^= 0xFF
        broken[broken.count / 2 + 1] ^= 0xFF
        let damaged = try CSVReader(bytes: broken, name: "t.csv.gz")
        let damage = #expect(throws: CSVError.self) { while try damaged.next() != nil {} }
        #expect(damage?.message.hasPrefix("The gzip file is") == true)
    }

    @Test("a pipe is read as it is filled, and cannot be read twice")
    func pipe() throws {
        let pipe = Pipe()
        let packed = try gzip(utf8("a,b\n1,2\n3,4\n"))
        let writer = pipe.fileHandleForWriting
        writer.write(Data(packed.prefix(1)))
        let thread = Thread {
            writer.write(Data(packed.dropFirst(1)))
            writer.closeFile()
        }
        thread.start()
        let reader = try CSVReader(fileDescriptor: pipe.fileHandleForReading.fileDescriptor, name: "pipe", closing: false)
        #expect(try reader.all().map(\.fields) == [["1", "2"], ["3", "4"]])
        #expect(reader.totalBytes == nil)
        #expect(throws: CSVError.self) { try reader.rewind() }
    }

    @Test("random bytes are read or refused, and every line break starts a new row at its place")
    func fuzz() throws {
        var random = SplitMix64(seed: 9)
        let alphabet = utf8("ab,\"\n\r\0;1é")
        for _ in 0..<5000 {
            let bytes = (0..<Int.random(in: 0..<60, using: &random)).map { _ in alphabet.randomElement(using: &random) ?? 0 }
            guard let reader = try? CSVReader(bytes: bytes, CSVSettings(hasHeader: Bool.random(using: &random), maximumRecordBytes: 20))
            else {
                continue
            }
            while try reader.next() != nil {
                let before = bytes[..<Int(reader.byteOffset)]
                #expect(before.isEmpty || before.last == UInt8(ascii: "\n"))
                #expect(before.filter { $0 == UInt8(ascii: "\n") }.count == reader.line - 1)
                #expect(Array(bytes[Int(reader.byteOffset)...].prefix(reader.rawBytes.count)) == Array(reader.bytes[reader.rawBytes]))
            }
        }
    }
}
