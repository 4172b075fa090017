import Features
import Foundation
import ServiceKit
import Simulation
import Testing
import Text

@testable import Producer

@Suite("Pace")
struct PacerTests {
    @Test("At a rate, events are due on an absolute schedule: a late one does not move the rest", arguments: [0.5, 500, 10_000])
    func rate(rate: Double) {
        var pacer = Pacer(.rate(rate))
        let start: UInt64 = 5_000_000_000
        #expect(pacer.wait(eventTime: 0, now: start) == 0)
        for _ in 0..<1_000 { pacer.sent() }
        let due = 1_000 / rate * 1e9
        #expect(abs(Double(pacer.wait(eventTime: 0, now: start)) - due) < 2)
        // Asked late, it is overdue by just as much.
        #expect(abs(Double(pacer.wait(eventTime: 0, now: start + UInt64(due) + 7_000_000)) + 7_000_000) < 2)
    }

    @Test("At a speed of 60 a minute of event time takes a second")
    func speed() {
        var pacer = Pacer(.speed(60))
        #expect(pacer.wait(eventTime: 1_000_000, now: 1) == 0)
        #expect(pacer.wait(eventTime: 1_060_000, now: 1) == 1_000_000_000)
        #expect(pacer.wait(eventTime: 940_000, now: 1) == -1_000_000_000)
    }

    @Test("Without a pace every event is due")
    func unlimited() {
        var pacer = Pacer(.unlimited)
        #expect(pacer.wait(eventTime: 0, now: 1) == 0)
        #expect(pacer.wait(eventTime: .max, now: 1) == 0)
    }
}

@Suite("Times as text")
struct TimeTextTests {
    @Test(
        "ISO 8601 has milliseconds only where there are some, and reads back as the same time",
        arguments: [0, 1, -1, 951_782_400_000, 1_546_300_800_000, 1_709_164_799_999, 4_102_444_800_000, -2_208_988_800_000] as [Int64])
    func iso(time: Int64) {
        var bytes: [UInt8] = []
        TimeText.append(time, .iso8601, to: &bytes)
        let full = ISO8601.format(time)
        #expect(String(decoding: bytes, as: UTF8.self) == (full.hasSuffix(".000Z") ? full.dropLast(5) + "Z" : full))
        #expect(ISO8601.parse(bytes, 0..<bytes.count) == time)
    }

    @Test("Epoch times keep their milliseconds")
    func epoch() {
        var bytes: [UInt8] = []
        TimeText.append(1_700_000_000_050, .epochSeconds, to: &bytes)
        bytes.append(UInt8(ascii: " "))
        TimeText.append(1_700_000_000_050, .epochMilliseconds, to: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == "1700000000.05 1700000000050")
    }
}

@Suite("Position")
struct PositionTests {
    @Test("What is stored is what is read")
    func roundTrip() {
        let position = SourcePosition(events: 1_234_567, pass: 3, line: 99, start: 1_700_000_000_000)
        #expect(PositionStore.decode(PositionStore.encode(position, source: "trips.csv")) == position)
    }

    @Test("What is no position is refused", arguments: ["", "7", "{}", #"{"events":-1,"pass":1,"line":0,"start":0}"#])
    func rubbish(text: String) {
        #expect(PositionStore.decode(Array(text.utf8)) == nil)
    }
}

@Suite("Progress")
struct ProgressTests {
    @Test("The bar shows share, rate and what is left")
    func bar() {
        let bar = Progress.bar(count: 450, rate: 1_234.4, fraction: 0.45, remaining: 12)
        #expect(bar == "[#########···········]  45 %  1,234 events/s  00:12 left")
    }

    @Test("Without an end it shows count and rate")
    func endless() {
        #expect(Progress.bar(count: 1_000_000, rate: 99, fraction: nil, remaining: nil) == "1,000,000 events  99 events/s")
    }

    @Test("Hours are shown from one on", arguments: [(0, "00:00"), (65, "01:05"), (3_599, "59:59"), (7_265, "2:01:05")])
    func clock(seconds: Double, text: String) {
        #expect(Progress.clock(seconds) == text)
    }
}

@Suite("Export to a file")
struct FileExportTests {
    @Test("Every row is written with its truth, quoted where needed; until it is whole the file has another name")
    func export() throws {
        let folder = try Folder()
        let path = try folder.write(Sample.trips, as: "trips.csv")
        let source = try FileSource(path: path, csv: Sample.truth, schema: Sample.schema(), strict: true, loops: false)
        let target = folder.path + "/out.csv"
        let file = try FileExport(path: target, schema: Sample.schema(), columns: source.columns)
        while let row = try source.next() { if row == .event { try file.add(source) } }
        #expect(!FileManager.default.fileExists(atPath: target))
        try file.finish()
        let text = try String(contentsOfFile: target, encoding: .utf8)
        #expect(
            text == """
                at,zone,fare,note,label,ignore,anomaly_type
                2019-01-01T00:00:00Z,132,10.5,,0,0,
                2019-01-01T00:00:10Z,007,20,"a ""b"", c",1,0,overcharge
                2019-01-01T00:00:40Z,5,30,,0,1,

                """)
    }

    @Test("A file that was given up leaves nothing behind")
    func abandoned() throws {
        let folder = try Folder()
        let target = folder.path + "/out.csv"
        var file: FileExport? = try FileExport(path: target, schema: Sample.schema(), columns: [0, 1, 2, 3])
        #expect(file != nil)
        file = nil
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
    }

    @Test("A folder that is not there is named in the error")
    func noFolder() throws {
        let error = #expect(throws: SourceError.self) {
            try FileExport(path: "/nowhere/at/all.csv", schema: Sample.schema(), columns: [0, 1, 2, 3])
        }
        #expect(error?.description.contains("/nowhere/at/all.csv") == true)
    }
}
