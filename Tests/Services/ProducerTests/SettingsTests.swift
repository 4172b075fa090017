import Foundation
import ServiceKit
import Simulation
import TestSupport
import Testing
import UseCases

@testable import Producer

/// The use cases of this repository, as `vyuhactl up` runs them.
private let useCases = repository + "/services/usecases"

@Suite("Producer settings")
struct SettingsTests {
    private func read(_ useCase: String, _ arguments: [String]) throws -> ProducerSettings {
        var reader = SettingsReader(arguments: arguments + ["--use-case", useCases + "/" + useCase], environment: [:])
        let settings = ProducerSettings(reader: &reader)
        try reader.finish()
        return try #require(settings)
    }

    private func simulator(_ settings: ProducerSettings) throws -> SimulatorSettings {
        guard case .simulator(let simulator) = settings.source else { throw SourceError("not a simulator") }
        return simulator
    }

    @Test("Without flags the use case's source runs as fast as possible")
    func plain() throws {
        let settings = try read("nyc-taxi", [])
        guard case .file(let path, let csv, true) = settings.source else {
            Issue.record("nyc-taxi replays its own file")
            return
        }
        #expect(path.hasSuffix("/services/usecases/nyc-taxi/sample/trips.csv"))
        #expect(csv.label == "label")
        #expect(csv.labelKind == "anomaly_type")
        #expect(csv.ignore == "ignore")
        #expect(settings.pace == .unlimited)
        #expect(settings.limit == nil)
    }

    @Test("A simulation in step with the clock starts now, a faster one in the past")
    func start() throws {
        let now = Clock.milliseconds
        #expect(abs(try simulator(read("battlefield", ["--rate", "100"])).start - now) < 60_000)
        #expect(abs(try simulator(read("battlefield", ["--speed", "1"])).start - now) < 60_000)
        #expect(try simulator(read("battlefield", ["--rate", "101"])).start == ProducerSettings.pastStart)
        #expect(try simulator(read("battlefield", [])).start == ProducerSettings.pastStart)
        #expect(try simulator(read("battlefield", ["--start", "2025-05-05T05:05:05Z"])).start == 1_746_421_505_000)
    }

    @Test("--to writes the training simulation with its own seed and length, --part stream the other")
    func training() throws {
        let training = try read("battlefield", ["--to", "x.csv"])
        let stream = try read("battlefield", ["--to", "x.csv", "--part", "stream"])
        #expect(try simulator(training).seed != simulator(stream).seed)
        #expect(training.limit == 120_000)
        #expect(try read("battlefield", ["--to", "x.csv", "--limit", "5"]).limit == 5)
    }

    @Test("Flags change the simulation")
    func changes() throws {
        let simulator = try simulator(read("battlefield", ["--entities", "5000", "--seed", "11"]))
        #expect(simulator.entities == 5_000)
        #expect(simulator.seed == 11)
    }

    @Test(
        "What excludes each other or does not exist is refused",
        arguments: [
            ["--rate", "5", "--speed", "5"], ["--csv", "a.csv", "--from-simulator", "battlefield"], ["--csv", "-", "--loop"],
            ["--rate", "0"], ["--from-simulator", "moonbase"], ["--start", "yesterday"], ["--part", "half"], ["--lop"],
        ])
    func refused(arguments: [String]) {
        #expect(throws: (any Error).self) { try read("battlefield", arguments) }
    }
}

@Suite("Samples of the use cases")
struct SampleTests {
    private let useCase: UseCase

    init() throws { useCase = try UseCase.load(useCases + "/nyc-taxi", environment: [:]) }

    private func trips(_ truth: FileFormat) throws -> FileSource {
        try FileSource(path: useCase.resolve(truth.file), csv: truth, schema: useCase.event.schema, strict: true, loops: false)
    }

    @Test("Every trip of the stream is an event, 200 are labelled, and training ends before the stream begins")
    func taxi() throws {
        guard case .file(let own)? = useCase.source?.kind, case .file(var past)? = useCase.training?.kind else {
            throw SourceError("nyc-taxi streams and trains from files.")
        }
        let stream = try trips(own)
        var first = Int64.max
        var (rows, labelled, ignored) = (0, 0, 0)
        while let row = try stream.next() {
            #expect(row == .event)
            first = min(first, stream.eventTime)
            rows += 1
            labelled += stream.truth.isAnomaly ? 1 : 0
            ignored += stream.truth.ignore ? 1 : 0
        }
        #expect(rows == 10_000)
        #expect(labelled == 200)
        #expect(ignored == 168)
        // The past is unlabelled; its section repeats the stream's columns, truth included.
        (past.label, past.labelKind, past.ignore) = (nil, nil, nil)
        let training = try trips(past)
        var last = Int64.min
        while let row = try training.next() {
            #expect(row == .event)
            last = max(last, training.eventTime)
        }
        #expect(last < first)
    }
}
