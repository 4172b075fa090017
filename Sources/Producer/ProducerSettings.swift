import Features
import ServiceKit
import Simulation
import UseCases

/// Where events come from.
enum SourceChoice: Sendable {
    /// `path` is absolute or relative to the working directory, `-` is standard input. `isOwn`: the use case's own file, so that every column
    /// that it names must be there.
    case file(path: String, csv: CSVSource, isOwn: Bool)
    case simulator(SimulatorSettings)
}

/// How fast events leave.
enum Pace: Sendable, Equatable {
    case unlimited
    /// Events a second of wall-clock time, on an absolute schedule.
    case rate(Double)
    /// Event time passes this many times faster than wall-clock time.
    case speed(Double)
}

/// Every setting of the producer.
struct ProducerSettings: ServiceSettings {
    var common: CommonSettings
    var useCase: String
    var schema: EventSchema
    var source: SourceChoice
    var pace = Pace.unlimited
    var loops = false
    /// Events after which the producer is done, counted from the beginning of the source over all restarts.
    var limit: Int64?
    /// Milliseconds of wall-clock time after which the producer is done.
    var duration: Int?
    /// The file that takes the rows instead of Kafka.
    var exportPath: String?
    /// False where `REDIS_URL` is not set: then a restart begins again.
    var keepsPosition = true
    var fromStart = false

    /// Where a simulation starts that does not run in step with the clock: long past, so that no event time is in the future.
    static let pastStart: Int64 = 1_704_067_200_000  // 2024-01-01T00:00:00Z
    /// Event time that a simulation in a file covers when the use case has no training section, milliseconds.
    private static let exportDuration: Int64 = 600_000
}

extension ProducerSettings {
    init?(reader: inout SettingsReader) {
        let environment = SettingsReader.processEnvironment()
        let useCase = reader.value("VYUHA_USE_CASE", default: nil, "Name of a use case, or path of its folder.") {
            try UseCase.load($0, environment: environment)
        }
        let rate = reader.number("VYUHA_RATE", default: nil, in: 0.001...10_000_000, "Events a second; unset: see --speed.")
        let speed = reader.number(
            "VYUHA_SPEED", default: nil, in: 0.001...10_000_000,
            "Replay in event time, this many times faster: 60 is a minute a second. With neither --rate nor --speed: as fast as possible.")
        let loops = reader.toggle("--loop", "Begin a file again at its end, with its times moved on by its length.")
        let limit = reader.optionalInteger("VYUHA_LIMIT", in: 1...Int.max, "Stop after so many events, earlier runs counted.").map(
            Int64.init)
        let duration = reader.duration("VYUHA_DURATION", default: nil, in: 1...Int.max, "Stop after this time.")
        let file = reader.optionalString("VYUHA_CSV", "Replay this file (- is standard input) instead of the use case's source.")
        let simulator = reader.value(
            "VYUHA_FROM_SIMULATOR", default: nil,
            "Run this simulator instead of the use case's source (\(Simulators.names.joined(separator: " | ")))."
        ) { name in
            guard Simulators.fields(of: name) != nil else { throw SourceError("There is no simulator named `\(name)`.") }
            return name
        }
        let entities = reader.optionalInteger(
            "VYUHA_ENTITIES", in: 1...1_000_000, "Simulated soldiers, sensors or hosts; unset: as the use case says.")
        let seed = reader.optionalInteger("VYUHA_SEED", in: 0...Int.max, "Seed of the simulation; unset: as the use case says.")
        let start = reader.value(
            "VYUHA_START", default: nil,
            "Event time of a simulation's first event (ISO 8601); unset: now where it runs in step with the clock, else 2024-01-01T00:00:00Z."
        ) { text in
            guard let time = ISO8601.parse(text) else { throw SourceError("\"\(text)\" is not a time such as 2024-01-01T00:00:00Z.") }
            return time
        }
        let exportPath = reader.optionalString("--to", "Write rows with their labels into this CSV file instead of events to Kafka.")
        let part = reader.choice(
            "--part", default: exportPath == nil ? "stream" : "training", of: ["stream", "training"],
            "Which simulation runs: the one that is scored, or the one that trains.")
        let fromStart = reader.toggle("--from-start", "Forget how far an earlier run came.")
        let keepsPosition =
            environment["REDIS_URL"] != nil || environment["REDIS_URL_FILE"] != nil || CommandLine.arguments.contains { $0.hasPrefix("--redis-url") }
        // A file needs no endpoints of its own; a free port leaves the producer's to a producer that runs beside it.
        let common = CommonSettings(&reader, useCaseName: useCase?.name ?? "", defaultPort: exportPath == nil ? 9101 : 0)

        if rate != nil, speed != nil { reader.reject("--rate and --speed exclude each other; give one of them.") }
        if file != nil, simulator != nil { reader.reject("--csv and --from-simulator exclude each other; give one of them.") }
        if file == "-", loops { reader.reject("Standard input cannot be read again; --loop needs a file.") }
        let pace: Pace = rate.map { .rate($0) } ?? speed.map { .speed($0) } ?? .unlimited

        guard let useCase, let common else { return nil }
        do {
            let source = try Self.choose(
                useCase, file: file, simulator: simulator, training: part == "training",
                changes: SimulatorChanges(entities: entities, seed: seed.map(UInt64.init), start: start), pace: pace)
            self.init(
                common: common, useCase: useCase.name, schema: useCase.event.schema, source: source, pace: pace, loops: loops,
                limit: limit ?? Self.exportLimit(exportPath, source, useCase), duration: duration, exportPath: exportPath,
                keepsPosition: keepsPosition, fromStart: fromStart)
        } catch {
            reader.reject("\(error)")
            return nil
        }
    }

    /// A simulation that goes to a file ends: with the duration of the training section, unless --limit says when.
    private static func exportLimit(_ path: String?, _ source: SourceChoice, _ useCase: UseCase) -> Int64? {
        guard path != nil, case .simulator(let simulator) = source else { return nil }
        let duration: Int64 = if case .simulator(_, let duration)? = useCase.training?.kind { duration } else { exportDuration }
        return max(1, duration / simulator.interval) * Int64(simulator.entities)
    }

    /// What the flags change about a simulation.
    struct SimulatorChanges {
        var entities: Int?
        var seed: UInt64?
        var start: Int64?
    }

    static func choose(
        _ useCase: UseCase, file: String?, simulator: String?, training: Bool, changes: SimulatorChanges, pace: Pace
    ) throws -> SourceChoice {
        if let file {
            var csv = CSVSource(file: file)
            if case .csv(let own)? = useCase.source?.kind {
                csv = own
                csv.file = file
            }
            return .file(path: file, csv: csv, isOwn: false)
        }
        var chosen: SimulatorSettings
        switch (useCase.source?.kind, simulator) {
        case (.csv(let csv)?, nil): return .file(path: useCase.resolve(csv.file), csv: csv, isOwn: true)
        case (.simulator(let own)?, let name) where name == nil || name == own.name:
            chosen = SimulatorSettings(own)
        case (_, let name?): chosen = SimulatorSettings(name: name, start: 0)
        default: throw SourceError("The use case \(useCase.name) has no source; give --csv FILE or --from-simulator NAME.")
        }
        if training, case .simulator(let own, _)? = useCase.training?.kind { chosen = SimulatorSettings(own) }
        chosen.entities = changes.entities ?? chosen.entities
        chosen.seed = changes.seed ?? chosen.seed
        chosen.start = changes.start ?? (training || !inStep(pace, chosen) ? pastStart : Clock.milliseconds)
        return .simulator(chosen)
    }

    /// Whether event time passes no faster than the clock, so that it can be the present.
    private static func inStep(_ pace: Pace, _ simulator: SimulatorSettings) -> Bool {
        switch pace {
        case .unlimited: false
        case .rate(let rate): rate * Double(simulator.interval) <= 1_000 * Double(simulator.entities)
        case .speed(let speed): speed <= 1
        }
    }
}

extension SimulatorSettings {
    /// As the use case describes it; when it starts is the caller's.
    init(_ source: UseCases.SimulatorSource) {
        self.init(
            name: source.name, entities: source.entities, interval: source.interval, anomalyRate: source.anomalyRate, seed: source.seed,
            start: 0)
    }
}

/// A source that cannot be used; the sentence says what to do.
struct SourceError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
