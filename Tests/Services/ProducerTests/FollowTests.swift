import Contracts
import Features
import Foundation
import TestSupport
import Testing
import UseCases

@testable import Producer

/// Files that grow, are written anew, or come in a folder.
@Suite("Files that change")
struct FollowTests {
    private static func line(_ fare: Int, _ note: String = "") -> String { #"{"at":"2026-11-01T10:00:00Z","zone":1,"fare":\#(fare)\#(note)}"# + "\n" }
    private static func lines(_ fares: Range<Int>, _ note: String = "") -> String { fares.map { line($0, note) }.joined() }

    private func source(_ path: String, follow: Bool = true) throws -> RowSource<JSONRows> {
        var format = FileFormat(file: path)
        format.kind = .jsonLines
        format.follow = follow
        return try RowSource(path: path, csv: format, schema: Sample.schema(), strict: true, loops: false)
    }

    /// The fares that come until there are so many, or none for a while.
    private func take<Rows>(_ source: RowSource<Rows>, _ count: Int, within seconds: Double = 10) throws -> [Int] {
        var fares: [Int] = []
        _ = try withDeadline(seconds) {
            while fares.count < count {
                switch try source.next() {
                case .event:
                    let json = try source.json(Sample.schema())
                    fares.append(Int(json.split(separator: ":").last?.dropLast() ?? "") ?? -1)
                case .unmappable(_, let sentence):
                    Issue.record("\(sentence)")
                    fares.append(-1)
                case .idle, nil: return false
                }
            }
            return true
        }
        return fares
    }

    private func append(_ text: String, to path: String, emptied: Bool = false) throws {
        let handle = try FileHandle(forWritingTo: URL(filePath: path))
        if emptied { try handle.truncate(atOffset: 0) }
        try handle.seekToEnd()
        try handle.write(contentsOf: Data(text.utf8))
        try handle.close()
    }

    @Test(
        "a file that is written anew is read from its beginning, whether it is then longer, shorter, or begins as before",
        arguments: [(100..<200, ""), (100..<103, ""), (100..<200, #","note":"longer than it was""#), (0..<50, #","note":"same length of work""#)])
    func rewritten(fares: Range<Int>, note: String) throws {
        let folder = try Folder()
        let path = try folder.write(Self.lines(0..<10), as: "live.jsonl")
        let source = try source(path)
        #expect(try take(source, 10) == Array(0..<10))
        #expect(try take(source, 1, within: 0.1).isEmpty)
        var ids: Set<String> = [source.idText]
        try append(Self.lines(fares, note), to: path, emptied: true)
        for fare in fares {
            let isNext = try withDeadline(10) { try source.next() == .event }
            #expect(isNext)
            #expect(try source.json(Sample.schema()).contains(#""fare":\#(fare)"#))
            #expect(ids.insert(source.idText).inserted)
        }
        // And it goes on.
        try append(Self.line(777), to: path)
        #expect(try take(source, 1) == [777])
        #expect(try take(source, 1, within: 0.1).isEmpty)
    }

    @Test("a file that only grows is never taken for another, nor one that is emptied and written again with the same first line")
    func grows() throws {
        let folder = try Folder()
        let path = try folder.write(Self.line(0), as: "live.jsonl")
        let source = try source(path)
        var seen = try take(source, 1)
        for fare in 1..<200 {
            try append(Self.line(fare), to: path)
            if fare % 7 == 0 { seen += try take(source, fare + 1 - seen.count) }
        }
        seen += try take(source, 200 - seen.count)
        #expect(seen == Array(0..<200))
        try append(Self.line(0) + Self.line(500), to: path, emptied: true)
        #expect(try take(source, 2) == [0, 500])
    }

    @Test("the files of a folder are read in the order of the numbers in their names, also those that come later")
    func numbers() throws {
        let folder = try Folder()
        for part in [2, 9, 10, 1, 11] { _ = try folder.write(Self.line(part), as: "part-\(part).jsonl") }
        let source = try source(folder.path)
        #expect(try take(source, 5) == [1, 2, 9, 10, 11])
        let position = source.position
        for part in [100, 99] { _ = try folder.write(Self.line(part), as: "part-\(part).jsonl") }
        #expect(try take(source, 2) == [99, 100])
        let again = try self.source(folder.path)
        try again.resume(at: position)
        #expect(try take(again, 2) == [99, 100])
    }

    @Test(
        "names are ordered by numbers, then by signs",
        arguments: [
            ("part-9", "part-10"), ("a1b2", "a1b10"), ("part-09", "part-10"), ("2026-1-9.csv", "2026-1-10.csv"), ("a", "b"), ("a", "a1"), ("01", "1"),
            ("x99999999999999999999998", "x99999999999999999999999"),
        ])
    func order(first: String, second: String) {
        #expect(NaturalOrder.isBefore(first, second))
        #expect(!NaturalOrder.isBefore(second, first))
    }

    @Test("a file that comes behind the one that is read is named, while it runs and after a restart")
    func missed() throws {
        let folder = try Folder()
        for part in [5, 6] { _ = try folder.write(Self.line(part), as: "part-\(part).jsonl") }
        var walk = try FileWalk(path: folder.path, follows: true, lines: 1)
        let steps = [walk.step(), walk.step()]
        #expect(steps == [.lastLook, .next])
        let listedAt = walk.listedAt
        #expect(withDeadline(5) { Int64(Date().timeIntervalSince1970 * 1_000) > listedAt + 50 })
        _ = try folder.write(Self.line(3), as: "part-3.jsonl")
        let isNamed = withDeadline(5) { walk.step() == .stay && walk.missed == ["part-3.jsonl"] }
        #expect(isNamed)
        let missed = walk.takeMissed()
        #expect(missed == ["part-3.jsonl"])
        #expect(walk.missed.isEmpty)
        var later = try FileWalk(path: folder.path, follows: true, lines: 1)
        let isThere = later.resume(at: "part-6.jsonl", listedAt: listedAt)
        #expect(isThere)
        #expect(later.missed == ["part-3.jsonl"])
    }

    @Test("a row that is not UTF-8 is a dead letter with line and byte; with its encoding named it is read")
    func encoding() throws {
        let folder = try Folder()
        let bytes = Array("at,zone,fare,note\n2026-11-01T10:00:00Z,1,5,gut\n2026-11-01T10:00:01Z,1,6,Pr".utf8) + [0xFC] + Array("fung\n".utf8)
        let path = folder.path + "/a.csv"
        try Data(bytes).write(to: URL(filePath: path))
        func rows(_ encoding: String?) throws -> [String] {
            var format = FileFormat(file: path)
            if let encoding { format.encoding = try #require(.init(named: encoding)) }
            let source = try FileSource(path: path, csv: format, schema: Sample.schema(), strict: true, loops: false)
            var found: [String] = []
            while let row = try source.next() {
                switch row {
                case .event: found.append(try source.json(Sample.schema()))
                case .unmappable(let reason, let sentence): found.append("\(reason.rawValue): \(sentence)")
                case .idle: break
                }
            }
            return found
        }
        let first = #"{"at":"2026-11-01T10:00:00Z","zone":1,"fare":5,"note":"gut"}"#
        let second = #"{"at":"2026-11-01T10:00:01Z","zone":1,"fare":6,"note":"Prüfung"}"#
        #expect(
            try rows(nil) == [
                first,
                "malformed: Line 3: Byte 28 of the row is not UTF-8. Is the file of another encoding, such as `encoding: windows-1252`?",
            ])
        #expect(try rows("windows-1252") == [first, second])
        let text = String(decoding: bytes.map { UInt16($0) }, as: UTF16.self)
        let wide: [UInt8] = text.utf16.reduce(into: [0xFE, 0xFF]) { $0 += [UInt8($1 >> 8), UInt8($1 & 0xFF)] }
        try Data(wide).write(to: URL(filePath: path))
        #expect(try rows("utf-16") == [first, second])
        let error = #expect(throws: (any Error).self) { try rows(nil) }
        #expect(error.map { "\($0)".contains("encoding: utf-16") } == true)
    }

    @Test("blanks around the values of a CSV file are none of them, as those around its names; blanks in quotes stay")
    func blanks() throws {
        let folder = try Folder()
        let path = try folder.write("at, zone , fare,note\n2026-11-01T10:00:00Z, 1,\t5 , \" a, b \" \n", as: "a.csv")
        let source = try FileSource(path: path, csv: FileFormat(file: path), schema: Sample.schema(), strict: true, loops: false)
        #expect(try source.next() == .event)
        #expect(try source.json(Sample.schema()) == #"{"at":"2026-11-01T10:00:00Z","zone":1,"fare":5,"note":" a, b "}"#)
    }
}
