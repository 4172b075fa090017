import CSVReader
import Features
import Foundation
import JSON
import TestSupport
import Testing
import Text
import UseCases

@testable import Trainer

/// A folder of one test, removed with it.
final class Folder {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("trainer-\(UUID().uuidString)").path

    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ name: String, _ lines: [String]) throws -> String {
        let file = path + "/" + name
        try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: URL(fileURLWithPath: file))
        return file
    }

    func lines(_ name: String) throws -> [String] {
        try String(contentsOfFile: path + "/" + name, encoding: .utf8).split(separator: "\n").map(String.init)
    }
}

/// Two related columns that wander without chance, and what else a row holds.
private func rows(_ count: Int, from start: Int = 0, time: (Int) -> String = { "\($0)" }) -> [String] {
    (start..<start + count).map { number in
        let phase = Double(number % 37) / 37
        return "\(time(number)),\(10 + phase),\(20 - 2 * phase + Double(number % 5) * 0.01),word\(number % 3),0"
    }
}

private let header = "timestamp,a,b,text,label"

@Suite("trainer score")
struct ScoreTests {
    let folder: Folder

    init() throws { folder = try Folder() }

    private func score(_ arguments: [String], out: String = "out.csv") throws -> [String] {
        try ScoreCommand(arguments + ["--timestamp", "timestamp", "--exclude", "label", "--out", folder.path + "/" + out]).run()
        return try folder.lines(out)
    }

    private func values(_ lines: [String]) -> [Double] {
        lines.dropFirst().compactMap { Double($0.split(separator: ",")[0]) }
    }

    @Test("gives a header and one line for each row, scores in 0...1", arguments: ["ensemble", "auto", "isolation-forest", "lof", "ewma"])
    func lines(detector: String) throws {
        let train = try folder.write("train.csv", [header] + rows(300))
        let test = try folder.write("test.csv", [header] + rows(60, from: 300) + ["360,99,99,odd,1"])
        let lines = try score(["--train", train, "--test", test, "--detector", detector])
        #expect(lines.first == "score,is_anomaly,refused")
        #expect(lines.count == 62)
        #expect(values(lines).allSatisfy { (0...1).contains($0) })
        #expect(values(lines).last == values(lines).max())
        #expect(lines.dropFirst().allSatisfy { $0.hasSuffix(",0") || $0.hasSuffix(",1") })
    }

    @Test("takes dates and row numbers alike")
    func dates() throws {
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        func date(_ row: Int) -> String { "2024-03-01 \(two(row / 60)):\(two(row % 60)):00" }
        let dated = try score(
            [
                "--train", try folder.write("a.csv", [header] + rows(200, time: date)), "--test",
                try folder.write("b.csv", [header] + rows(50, from: 200, time: date)), "--detector", "ensemble",
            ])
        let numbered = try score(
            [
                "--train", try folder.write("c.csv", [header] + rows(200)), "--test", try folder.write("d.csv", [header] + rows(50, from: 200)),
                "--detector", "ensemble",
            ])
        #expect(dated == numbered)
        #expect(dated.count == 51)
    }

    @Test("a row with too few or too many columns or without a time is refused, not anomalous, and rows with empty cells are judged")
    func refusedRows() throws {
        let train = try folder.write("train.csv", [header] + rows(200))
        let test = try folder.write(
            "test.csv",
            [header] + rows(3, from: 200) + ["203,10.5", "204,10.1,19.9,x,0,7", "soon,10.1,19.9,x,0", "206,,19.9,x,0"]
                + rows(2, from: 207))
        let lines = try score(["--train", train, "--test", test, "--detector", "isolation-forest"])
        #expect(lines.count == 10)
        #expect(lines[4...6].allSatisfy { $0 == "0,0,1" })
        #expect((lines[1...3] + lines[7...9]).allSatisfy { $0.hasSuffix(",0") })
        #expect(values(lines)[6] < 1)
        #expect(values(lines)[0] < 1)
    }

    @Test("a column with one text cell, a label, an identifier and an excluded column are left out, each with its reason")
    func leftOut() throws {
        let lines = (0..<60).map { "\($0),\($0 % 7),\($0 == 30 ? "error" : "\($0 % 5)"),\($0 % 3),\($0),0,\($0 % 2)" }
        let file = try folder.write("columns.csv", ["at,a,b,c,pump_id,Label,d"] + lines)
        let columns = ColumnChoice(timestamp: "at", entity: nil, excluded: ["d"])
        let choice = try ColumnScan(path: file, columns: columns).choice()
        #expect(choice.features == ["a", "c"])
        #expect(
            choice.leftOut == [
                "b (text in 1 of 60 rows, first in line 32: `error`)", "pump_id (looks like an identifier; --include pump_id takes it)",
                "Label (looks like a label; --include Label takes it)", "d (excluded)",
            ])
        var asked = columns
        asked.included = ["pump_id"]
        #expect(try ColumnScan(path: file, columns: asked).choice().features == ["a", "c", "pump_id"])
    }

    @Test("the contamination that is asked for decides how many rows alert")
    func contamination() throws {
        let train = try folder.write("train.csv", [header] + rows(400))
        func flagged(_ share: String) throws -> Int {
            try score(["--train", train, "--test", train, "--detector", "robust-z", "--contamination", share]).count { $0.contains(",1,") }
        }
        #expect(try flagged("0.3") > 60)
        #expect(try flagged("0.001") < 10)
    }

    @Test("gives the same bytes for the same seed and others for another")
    func seeds() throws {
        let train = try folder.write("train.csv", [header] + rows(300))
        let test = try folder.write("test.csv", [header] + rows(80, from: 301))
        let arguments = ["--train", train, "--test", test, "--detector", "isolation-forest", "--seed"]
        #expect(try score(arguments + ["5"], out: "1.csv") == score(arguments + ["5"], out: "2.csv"))
        #expect(try score(arguments + ["5"], out: "3.csv") != score(arguments + ["6"], out: "4.csv"))
    }

    @Test("learns from the training rows alone: a test row scores the same whoever stands beside it")
    func trainingOnly() throws {
        let train = try folder.write("train.csv", [header] + rows(200))
        let few = try folder.write("few.csv", [header] + rows(5, from: 200))
        let many = try folder.write("many.csv", [header] + rows(5, from: 200) + (0..<40).map { "\(300 + $0),500,500,x,1" })
        let arguments = ["--train", train, "--detector", "isolation-forest", "--test"]
        #expect(try score(arguments + [few]) == Array(score(arguments + [many], out: "many-out.csv").prefix(6)))
    }

    @Test("leaves out text, excluded columns and the time, and keeps the training file's columns")
    func columns() throws {
        let path = try folder.write("train.csv", [header + ",empty,constant"] + rows(20).map { $0 + ",,3" })
        var entities = FileTable.Entities()
        let choice = ColumnChoice(timestamp: "timestamp", entity: nil, excluded: ["label", "absent"])
        let table = try FileTable(path: path, columns: choice, features: nil, entities: &entities)
        #expect(table.features == ["a", "b", "constant"])
        #expect(table.table.matrix.rows == 20)
    }

    @Test("does not look ahead in a stream: what comes later changes no earlier score")
    func stream() throws {
        let short = try folder.write("short.csv", [header] + rows(300))
        let long = try folder.write("long.csv", [header] + rows(300) + (0..<20).map { "\(300 + $0),500,500,x,1" })
        // The same number of rows to learn from.
        let first = try score(["--stream", short, "--probation", "0.16", "--detector", "ensemble"], out: "short-out.csv")
        let second = try score(["--stream", long, "--probation", "0.15", "--detector", "ensemble"], out: "long-out.csv")
        #expect(first.count == 301)
        #expect(second.count == 321)
        #expect(first == Array(second.prefix(301)))
    }
}

@Suite("Stream and file")
struct StreamAndFileTests {
    @Test("the public files of later years are read as they are: names, a dispatcher's empty cells, the surcharge that counts twice, the airport fee")
    func publicTaxiFile() throws {
        let folder = try Folder()
        let file = try folder.write(
            "yellow_tripdata.csv",
            [
                "VendorID,tpep_pickup_datetime,tpep_dropoff_datetime,passenger_count,trip_distance,RatecodeID,store_and_fwd_flag,PULocationID,DOLocationID,"
                    + "payment_type,fare_amount,extra,mta_tax,tip_amount,tolls_amount,improvement_surcharge,total_amount,congestion_surcharge,airport_fee",
                "1,2019-06-01 00:12:00,2019-06-01 00:22:00,1,2.0,1,N,161,162,1,9.0,3.0,0.5,2.0,0,0.3,14.8,2.5,",
                "2,2019-06-01 00:13:00,2019-06-01 00:23:00,1,2.0,1,N,161,162,1,9.0,0.5,0.5,2.0,0,0.3,14.8,2.5,",
                "2,2022-06-01 00:13:00,2022-06-01 00:43:00,,10.0,,,132,162,0,40.0,0,0.5,0,0,1.0,44.75,2.5,1.25",
                "2,2022-06-01 00:14:00,2022-06-01 00:44:00,,10.0,,,132,162,0,40.0,0,0.5,0,0,1.0,84.75,2.5,1.25",
            ])
        let useCase = try UseCase.load(repository + "/services/usecases/nyc-taxi", environment: [:])
        var entities = FileTable.Entities()
        let table = try FileTable(
            path: file, useCase: useCase, features: ["unexplained_total", "minutes", "surcharges", "charge_ratio"], entities: &entities)
        #expect(table.places == [0, 1, 2, 3])
        let rows = (0..<4).map { table.table.matrix.row($0) }
        #expect(rows.map { $0[0] } == [0, 0, -0.5, 39.5])
        #expect(rows.map { $0[1] } == [10, 10, 30, 30])
        #expect(abs(rows[0][2] - 3.8) < 1e-9 && abs(rows[1][2] - 3.8) < 1e-9)
        #expect(abs(rows[0][3] - rows[1][3]) < 1e-9)
    }

    @Test("give identical feature vectors: a trip as a JSON event and as a row of the sample file")
    func identicalVectors() throws {
        let useCase = try UseCase.load(repository + "/services/usecases/nyc-taxi/usecase.yaml")
        guard case .file(let source)? = useCase.source?.kind else {
            Issue.record("the use case has no source file")
            return
        }
        let path = useCase.resolve(source.file)
        let set = try #require(useCase.plan.sets.first { $0.scope == .event })
        var entities = FileTable.Entities()
        let file = try FileTable(path: path, useCase: useCase, features: set.features, entities: &entities)

        let reader = try CSVReader(path: path)
        let schema = useCase.plan.schema
        let writer = ColumnEventWriter(
            schema: schema, binding: try ColumnBinding(schema: schema, header: reader.columns, columns: source.columns(in: reader.columns)))
        let decoder = EventDecoder(schema: schema)
        let state = PartitionState(plan: useCase.plan)
        var emissions = Emissions()
        var json = JSONWriter()
        var compared = 0
        for place in file.places.prefix(2_000) {
            guard try reader.next() == .ok else { continue }
            json.removeAll()
            emissions.removeAll()
            writer.write(reader.bytes, reader.fields, into: &json)
            guard decoder.decode(json.bytes), state.apply(decoder, kafkaTimestamp: -1, into: &emissions) == .applied else {
                #expect(place == nil)
                continue
            }
            let row = try #require(place)
            let emission = try #require(emissions.items.first { $0.kind == .event })
            #expect(emissions.vector(of: emission).map(\.bitPattern) == file.table.matrix.row(row).map(\.bitPattern))
            #expect(decoder.eventTime == file.table.times[row])
            compared += 1
        }
        #expect(compared > 1_900)
    }

    private static let windowed = """
        name: windowed
        event: { entity: e, time: t, fields: { e: string, t: timestamp, x: { type: number, required: false }, s: string } }
        time: { out_of_orderness: 5s, allowed_lateness: 5s }
        features:
          minute:
            window: { length: 60s, slide: 10s }
            n: count()
            sum: sum(x)
            mean: mean(x)
            std: std(x)
            low: min(x)
            high: max(x)
            spread: high - low
            first: first(x)
            last: last(x)
            slope: slope(x)
            rate: rate(x)
            p90: quantile(x, 0.9)
            kinds: distinct(s)
            jumps: mean(abs(difference(x)))
          short: { window: { length: 7s }, mean: mean(x), share: count(x) / count() }
          reading:
            x: x
            trend: slope(x, 30s)
            usual: mean(x, 5 events)
        detector: { name: isolation-forest }
        """

    @Test("give identical windows, out of order, late and through snapshots: events of a partition and rows of a file")
    func identicalWindows() throws {
        let folder = try Folder()
        let useCase = try UseCase.load(try folder.write("usecase.yaml", [Self.windowed]))
        var state: UInt64 = 11
        func random(_ bound: UInt64) -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state >> 33) % bound
        }
        let rows = (0..<4_000).map { index -> String in
            // Disorder of up to 14 s against 10 s that are allowed, so that some rows are late.
            let time = 1_700_000_000_000 + Int64(index) * 400 - Int64(random(14_000))
            let x = random(12) == 0 ? "" : "\(Double(random(100_000)) / 7)"
            return "e\(random(9)),\(ISO8601.format(time)),\(x),s\(random(5))"
        }
        let path = try folder.write("rows.csv", ["e,t,x,s"] + rows)
        let file = try TrainingTable(path: path, source: nil, useCase: useCase, progress: { _ in })

        let reader = try CSVReader(path: path)
        let schema = useCase.plan.schema
        let writer = ColumnEventWriter(schema: schema, binding: try ColumnBinding(schema: schema, header: reader.columns))
        let decoder = EventDecoder(schema: schema)
        var stream = PartitionState(plan: useCase.plan)
        var emissions = Emissions()
        var json = JSONWriter()
        var vectors = useCase.plan.sets.map { _ in [[UInt64]]() }
        var late = 0
        func keep() {
            for emission in emissions.items where emission.set >= 0 { vectors[emission.set].append(emissions.vector(of: emission).map(\.bitPattern)) }
        }
        while try reader.next() == .ok {
            json.removeAll()
            emissions.removeAll()
            writer.write(reader.bytes, reader.fields, into: &json)
            #expect(decoder.decode(json.bytes))
            if stream.apply(decoder, kafkaTimestamp: -1, into: &emissions) != .applied { late += 1 }
            keep()
            if reader.row % 777 == 0 {
                var bytes: [UInt8] = []
                stream.writeSnapshot(.full, into: &bytes)
                stream = PartitionState(plan: useCase.plan)
                try stream.restore(bytes)
            }
        }
        emissions.removeAll()
        stream.finish(into: &emissions)
        keep()
        // Late rows have vectors of their own in both.
        #expect(late > 50 && file.refused == 0)
        for (set, matrix) in file.sets.map(\.table.matrix).enumerated() {
            #expect(vectors[set].count > 1_000 && vectors[set].count == matrix.rows)
            #expect(vectors[set] == (0..<matrix.rows).map { matrix.row($0).map(\.bitPattern) })
        }
    }
}
