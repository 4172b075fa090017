import Contracts
import Features
import Foundation
import Simulation
import Testing
import UseCases

@testable import Producer

@Suite("A CSV file as a source")
struct FileSourceTests {
    private func source(_ folder: Folder, loops: Bool = false, text: String = Sample.trips) throws -> FileSource {
        let path = try folder.write(text, as: "trips.csv")
        return try FileSource(path: path, csv: Sample.truth, schema: Sample.schema(), strict: true, loops: loops)
    }

    @Test("A row becomes an event with the schema's fields only, and an id from file and line")
    func event() throws {
        let folder = try Folder()
        let source = try source(folder)
        #expect(try source.next() == .event)
        #expect(try source.json(Sample.schema()) == #"{"at":"2019-01-01T00:00:00Z","zone":132,"fare":10.5}"#)
        #expect(source.idText == "trips.csv:2")
        #expect(source.entityText == "132")
        #expect(source.eventTime == 1_546_300_800_000)
        #expect(source.truth == Truth())
        #expect(try source.next() == .event)
        #expect(try source.json(Sample.schema()) == #"{"at":"2019-01-01T00:00:10Z","zone":7,"fare":20,"note":"a \"b\", c"}"#)
        #expect(source.entityText == "7")
        #expect(source.truth == Truth(isAnomaly: true, kind: "overcharge"))
    }

    @Test("A row with too few columns is given as it is, with its reason, and the next row follows")
    func tooFewColumns() throws {
        let folder = try Folder()
        let source = try source(folder)
        _ = try source.next()
        _ = try source.next()
        guard case .unmappable(.columnCount, let detail)? = try source.next() else {
            Issue.record("the row must be unmappable")
            return
        }
        #expect(!detail.isEmpty)
        #expect(String(decoding: source.raw, as: UTF8.self) == "2019-01-01T00:00:10Z,5")
        #expect(source.idText == "trips.csv:4")
        #expect(source.entity.isEmpty)
        #expect(try source.next() == .event)
        #expect(source.truth == Truth(ignore: true))
        #expect(try source.next() == nil)
        #expect(source.position.events == 4)
    }

    @Test("In the hour that the end of summer time repeats, an entity's order tells which of the two a row is of")
    func repeatedHour() throws {
        let rules = try TimeZoneRules(name: "Europe/Paris", tzif: [UInt8](Data(contentsOf: URL(filePath: "/usr/share/zoneinfo/Europe/Paris"))))
        let schema = try EventSchema(
            fields: [
                EventField("at", .timestamp, format: .pattern(try TimestampPattern("%d/%m/%Y %H:%M:%S"), zone: rules)), EventField("zone", .string),
            ], entity: "zone", time: "at")
        // a is there in both hours; b comes late into the first, and again when a is past it.
        let rows = [
            ("a", "01:50"), ("a", "02:10"), ("a", "02:50"), ("b", "02:20"), ("a", "02:10"), ("a", "02:30"), ("b", "02:40"), ("a", "03:10"),
            ("b", "02:30"),
            ("b", "03:00"),
        ]
        let text = "at,zone\n" + rows.map { "25/10/2026 \($0.1):00,\($0.0)\n" }.joined()
        let folder = try Folder()
        let source = try FileSource(
            path: try folder.write(text, as: "hour.csv"), csv: FileFormat(file: ""), schema: schema, strict: false, loops: false)
        var times: [String] = []
        let decoder = EventDecoder(schema: schema)
        while try source.next() == .event {
            times.append("\(source.entityText) \(ISO8601.format(source.eventTime).dropFirst(11).prefix(5))")
            let json = Array(try source.json(schema).utf8)
            #expect(decoder.decode(json, 0..<json.count) && decoder.eventTime == source.eventTime, "what is sent says the same")
        }
        #expect(
            times == [
                "a 23:50", "a 00:10", "a 00:50", "b 00:20", "a 01:10", "a 01:30", "b 00:40", "a 02:10", "b 01:30", "b 02:00",
            ])
    }

    @Test("A label is read as people write it; one that is neither yes nor no leaves its row unjudged and says where it stands")
    func truths() throws {
        let cells = [("False", "0.0"), ("0.0", "no"), ("True", ""), ("yes", "FALSE"), ("1.0", "1"), ("maybe", "0"), ("0", "2")]
        let rows = cells.enumerated().map { "2019-01-01T00:00:0\($0)Z,1,2,,\($1.0),\($1.1),k\n" }.joined()
        let folder = try Folder()
        let path = try folder.write("at,zone,fare,note,label,ignore,kind\n" + rows, as: "trips.csv")
        let source = try FileSource(path: path, csv: Sample.truth, schema: Sample.schema(), strict: true, loops: false)
        var truths: [Truth] = []
        while try source.next() == .event { truths.append(source.truth) }
        #expect(truths.map(\.isAnomaly) == [false, false, true, true, true, false, false])
        #expect(truths.map(\.ignore) == [false, false, false, false, true, true, true])
        #expect(truths.prefix(5).allSatisfy { $0.problem == nil })
        #expect(truths[5].problem?.hasPrefix("trips.csv:7: \"maybe\" in the column `label`") == true)
        #expect(truths[6].problem?.hasPrefix("trips.csv:8: \"2\" in the column `ignore`") == true)
    }

    @Test("With --loop each pass follows at the span of the file plus one median gap, under ids of its own")
    func loop() throws {
        let folder = try Folder()
        let source = try source(folder, loops: true)
        var ids: [String] = []
        var times: [Int64] = []
        for _ in 0..<12 where try source.next() == .event {
            ids.append(source.idText)
            times.append((source.eventTime - 1_546_300_800_000) / 1_000)
        }
        // The gaps are 10 s and 30 s; the median of two is the larger here.
        #expect(times == [0, 10, 40, 70, 80, 110, 140, 150, 180])
        #expect(ids.prefix(4) == ["trips.csv:2", "trips.csv:3", "trips.csv:5", "trips.csv:2:2"])
        #expect(Set(ids).count == ids.count)
        #expect(try source.json(Sample.schema()).hasPrefix(#"{"at":"2019-01-01T00:03:00Z","zone":5"#))
    }

    @Test("A source that goes on from a position gives exactly what was left", arguments: [0, 1, 3, 4, 9])
    func resume(taken: Int) throws {
        let folder = try Folder()
        let whole = try source(folder, loops: true)
        var all: [String] = []
        var position = SourcePosition()
        for count in 1...16 {
            _ = try whole.next()
            all.append("\(whole.idText) \(whole.eventTime)")
            if count == taken { position = whole.position }
        }
        let rest = try source(folder, loops: true)
        try rest.resume(at: position)
        var given: [String] = []
        for _ in taken..<16 {
            _ = try rest.next()
            given.append("\(rest.idText) \(rest.eventTime)")
        }
        // A row without a time shows that of the row before it, which a new reader has not seen.
        let isComparable = { (text: String) in !text.hasPrefix("trips.csv:4") }
        #expect(given.filter(isComparable) == all[taken...].filter(isComparable))
        #expect(rest.position.events == 16)
    }

    @Test("A wrong time does not stop an event: it goes out as it stands, keyed by its entity")
    func wrongTime() throws {
        let folder = try Folder()
        let source = try source(folder, text: "at,zone,fare,note,label,ignore,kind\nyesterday,132,1,,0,0,\n")
        #expect(try source.next() == .event)
        #expect(try source.json(Sample.schema()) == #"{"at":"yesterday","zone":132,"fare":1}"#)
        #expect(source.entityText == "132")
    }

    @Test(
        "A file that does not fit the use case is refused with its name and the column",
        arguments: [("at,zone,note\n", "fare"), ("at,zone,fare,kind,ignore\n", "label")])
    func misfit(text: String, column: String) throws {
        let folder = try Folder()
        let error = #expect(throws: SourceError.self) { try source(folder, text: text) }
        #expect(error?.description.contains("`\(column)`") == true)
        #expect(error?.description.contains("trips.csv") == true)
    }

    @Test("A file without a usable time cannot be looped, and says so")
    func nothingToLoop() throws {
        let folder = try Folder()
        #expect(throws: SourceError.self) { try source(folder, loops: true, text: "at,zone,fare,note,label,ignore,kind\n") }
    }
}

@Suite("A simulator as a source")
struct SimulatorSourceTests {
    private func source(start: Int64 = 1_700_000_000_000) throws -> any EventSource {
        var settings = Sample.simulator
        settings.start = start
        func wrap(_ simulator: some Simulator) throws -> any EventSource {
            try SimulatorSource(simulator, schema: Sample.battlefield())
        }
        return try wrap(Simulators.make(settings))
    }

    @Test("An event has the schema's fields, its id is simulator, seed, entity and sequence")
    func event() throws {
        let source = try source()
        for _ in 0..<143 { _ = try source.next() }
        let json = try source.json(Sample.battlefield())
        #expect(json.hasPrefix(#"{"soldier_id":43,"heart_rate":"#))
        #expect(json.hasSuffix(#","timestamp":1700000001.42}"#))
        #expect(source.idText == "battlefield:7:43:1")
        #expect(source.entityText == "43")
        #expect(source.eventTime == 1_700_000_001_420)
    }

    @Test("A later run goes on with the same events at the earlier run's times")
    func resume() throws {
        let first = try source()
        for _ in 0..<500 { _ = try first.next() }
        let position = first.position
        _ = try first.next()
        let second = try source(start: 1_800_000_000_000)
        try second.resume(at: position)
        _ = try second.next()
        #expect(second.idText == first.idText)
        #expect(try second.json(Sample.battlefield()) == first.json(Sample.battlefield()))
        #expect(second.position == first.position)
    }

    @Test("A schema that the simulator cannot fill is refused by name")
    func misfit() throws {
        #expect(throws: SourceError.self) {
            func wrap(_ simulator: some Simulator) throws { _ = try SimulatorSource(simulator, schema: Sample.schema()) }
            try wrap(Simulators.make(Sample.simulator))
        }
    }
}
