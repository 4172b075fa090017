import Features
import KafkaClient
import MQTTClient
import ServiceKit
import Simulation
import Text
import UseCases

/// Where events come from.
enum SourceChoice: Sendable {
    /// `path` is absolute or relative to the working directory, `-` is standard input. `isOwn`: the use case's own file, so that every column
    /// that it names must be there.
    case file(path: String, format: FileFormat, isOwn: Bool)
    case http(PolledAPI)
    /// `address`: of the database.
    case table(PolledTable, address: String)
    /// `kafka`: the topic's brokers.
    case topic(ReadTopic, kafka: KafkaSettings)
    case mqtt(SubscribedTopics, MQTTSettings)
    case push(PushedEvents)
    case simulator(SimulatorSettings)
}

/// How fast events leave.
enum Pace: Sendable, Equatable {
    case unlimited
    /// Events a second of wall-clock time, on an absolute schedule.
    case rate(Double)
    /// Event time passes this many times faster than wall-clock time.
    case speed(Double)

    /// Milliseconds that a request waits to be filled. A request costs a broker about as much as a hundred records: where there are many
    /// events, larger requests count more than the delay of one.
    var linger: String {
        switch self {
        case .unlimited: "10"
        case .rate(let rate) where rate >= 5_000: "5"
        case .rate, .speed: "1"
        }
    }
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
        let csv = reader.optionalString(
            "VYUHA_CSV", "Replay this CSV file or folder (- is standard input) instead of the use case's source.")
        let lines = reader.optionalString("VYUHA_JSONL", "The same for JSON Lines.")
        let access = reader.optionalString("VYUHA_ACCESS_LOG", "The same for web servers' access lines.")
        let follow = reader.toggle("--follow", "Go on with what is appended to the file and with the file that replaces it, like tail -F.")
        let url = reader.optionalString("VYUHA_API_URL", "Address of the API, instead of the use case's.")
        let database = reader.optionalString("VYUHA_POSTGRES", secret: true, "Address of the database, instead of the use case's.")
        let topicKafka = CommonSettings.kafkaSource(&reader)
        let mqtt = MQTTChanges(
            server: reader.optionalString("VYUHA_MQTT_SERVER", "Address of the MQTT broker, instead of the use case's: mqtt://host or mqtts://host."),
            user: reader.optionalString("VYUHA_MQTT_USER", "User at the MQTT broker."),
            password: reader.optionalString("VYUHA_MQTT_PASSWORD", secret: true, "The user's password."))
        let pushPort = reader.optionalInteger("VYUHA_PUSH_PORT", in: 0...65_535, "Port of POST /events, instead of the use case's.")
        let simulator = reader.value(
            "VYUHA_FROM_SIMULATOR", default: nil,
            "Run this simulator instead of the use case's source (\(Simulators.names.joined(separator: " | ")))."
        ) { name in
            guard Simulators.fields(of: name) != nil else { throw SourceError("There is no simulator named `\(name)`.") }
            return name
        }
        let entities = reader.optionalInteger(
            "VYUHA_ENTITIES", in: 1...1_000_000, "Simulated soldiers, sensors, hosts or zones; unset: as the use case says.")
        let seed = reader.optionalInteger("VYUHA_SEED", in: 0...Int.max, "Seed of the simulation; unset: as the use case says.")
        let start = reader.value(
            "VYUHA_START", default: nil,
            "Event time of a simulation's first event (ISO 8601); unset: now where it runs in step with the clock, else 2024-01-01T00:00:00Z."
        ) { text in
            guard let time = ISO8601.parse(text) else { throw SourceError("\"\(text)\" is not a time such as 2024-01-01T00:00:00Z.") }
            return time
        }
        let share = 0.0...0.5
        let simulation = SimulationChanges(
            anomalyRate: reader.number("VYUHA_ANOMALY_RATE", default: nil, in: share, "Share of simulated events that are anomalous."),
            kinds: reader.optionalString("VYUHA_ANOMALY_KINDS", "Simulated anomalies, separated by commas; unset: as the use case says."),
            late: reader.number("VYUHA_LATE", default: nil, in: share, "Share of simulated events that come late."),
            lateness: reader.duration("VYUHA_LATENESS", default: nil, in: 1...3_600_000, "How late they come at most."),
            missing: reader.number("VYUHA_MISSING", default: nil, in: share, "Share of simulated events that never come."))
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
        let files = [(csv, FileFormat.Kind.csv), (lines, .jsonLines), (access, .accessLog)].compactMap { path, kind in path.map { ($0, kind) } }
        if files.count + (simulator == nil ? 0 : 1) > 1 {
            reader.reject("--csv, --jsonl, --access-log and --from-simulator exclude each other; give one of them.")
        }
        if files.first?.0 == "-", loops { reader.reject("Standard input cannot be read again; --loop needs a file.") }
        let pace: Pace = rate.map { .rate($0) } ?? speed.map { .speed($0) } ?? .unlimited

        guard let useCase, let common else { return nil }
        do {
            let source = try Self.choose(
                useCase, file: files.first, follow: follow, simulator: simulator, training: part == "training",
                changes: SourceChanges(
                    entities: entities, seed: seed.map(UInt64.init), start: start, simulation: simulation, url: url, database: database,
                    pushPort: pushPort, kafka: common.kafka, topicKafka: topicKafka, mqtt: mqtt),
                pace: pace)
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

    /// What the flags change about what goes wrong in a simulation.
    struct SimulationChanges {
        var anomalyRate: Double?
        var kinds: String?
        var late: Double?
        var lateness: Int?
        var missing: Double?

        func apply(to settings: inout SimulatorSettings) {
            settings.anomalyRate = anomalyRate ?? settings.anomalyRate
            if let kinds { settings.kinds = kinds.split(separator: ",").map(String.init) }
            settings.late = late ?? settings.late
            settings.lateness = lateness.map(Int64.init) ?? settings.lateness
            settings.missing = missing ?? settings.missing
        }
    }

    /// What the flags change about the use case's source.
    struct SourceChanges {
        var entities: Int?
        var seed: UInt64?
        var start: Int64?
        var simulation = SimulationChanges()
        var url: String?
        var database: String?
        var pushPort: Int?
        var kafka = KafkaSettings(bootstrapServers: "")
        /// librdkafka's properties for the brokers of the topic that is read.
        var topicKafka: [String: String] = [:]
        var mqtt = MQTTChanges()

        /// The brokers of a topic that is read: the suite's own unless the definition or the environment names others.
        func brokers(of topic: ReadTopic) -> KafkaSettings {
            var own = topic.settings.merging(topicKafka) { $1 }
            guard let servers = own.removeValue(forKey: "bootstrap.servers") ?? topic.brokers else {
                return KafkaSettings(bootstrapServers: kafka.bootstrapServers, properties: kafka.properties.merging(own) { $1 })
            }
            return KafkaSettings(bootstrapServers: servers, properties: own)
        }
    }

    /// The MQTT broker where it is not the use case's, and who we are there.
    struct MQTTChanges {
        var server: String?
        var user: String?
        var password: String?

        func settings(of source: SubscribedTopics, in useCase: UseCase) throws -> MQTTSettings {
            var settings = MQTTSettings(server: try MQTTServer(url: server ?? source.server), clientID: source.clientID ?? useCase.name + ".producer")
            (settings.user, settings.password) = (user, password)
            settings.authorityFile = source.authorityFile.map(useCase.resolve)
            settings.certificateFile = source.certificateFile.map(useCase.resolve)
            settings.keyFile = source.keyFile.map(useCase.resolve)
            return settings
        }
    }

    static func choose(
        _ useCase: UseCase, file: (path: String, kind: FileFormat.Kind)?, follow: Bool = false, simulator: String?, training: Bool,
        changes: SourceChanges, pace: Pace
    ) throws -> SourceChoice {
        if let file {
            var format = FileFormat(file: file.path)
            format.kind = file.kind
            // What the use case says of its own file of that kind holds for this one; its truth does not.
            if case .file(let own)? = useCase.source?.kind, own.kind == file.kind { format = own }
            format.file = file.path
            format.labels = nil
            format.follow = follow
            return .file(path: file.path, format: format, isOwn: false)
        }
        if training, simulator == nil, case .file(let own)? = useCase.training?.kind { return own.choice(in: useCase, follow: false) }
        var chosen: SimulatorSettings
        var simulator = simulator
        // What trains may be a simulation although the stream is none.
        if training, simulator == nil, case .simulator(let own, _)? = useCase.training?.kind { simulator = own.name }
        switch (useCase.source?.kind, simulator) {
        case (.file(let own)?, nil): return own.choice(in: useCase, follow: follow || own.follow)
        case (.http(var api)?, nil):
            api.url = changes.url ?? api.url
            api.tokenFile = api.tokenFile.map(useCase.resolve)
            return .http(api)
        case (.postgresql(let table)?, nil): return .table(table, address: changes.database ?? table.connection)
        case (.kafka(let topic)?, nil): return .topic(topic, kafka: changes.brokers(of: topic))
        case (.mqtt(let mqtt)?, nil): return .mqtt(mqtt, try changes.mqtt.settings(of: mqtt, in: useCase))
        case (.push(var push)?, nil):
            push.port = changes.pushPort ?? push.port
            push.tokenFile = push.tokenFile.map(useCase.resolve)
            return .push(push)
        case (.simulator(let own)?, let name) where name == nil || name == own.name:
            chosen = SimulatorSettings(own)
        case (_, let name?):
            chosen = Simulators.usual(name)
            // As the use case trains with it, where it does, but faults and all.
            if case .simulator(let own, _)? = useCase.training?.kind, own.name == name {
                chosen = SimulatorSettings(own)
                chosen.anomalyRate = Simulators.usual(name).anomalyRate
                chosen.seed = Simulators.usual(name).seed
            }
        default:
            throw SourceError(
                "The use case \(useCase.name) has no source; give --csv FILE, --jsonl FILE, --access-log FILE or --from-simulator NAME.")
        }
        if training, case .simulator(let own, _)? = useCase.training?.kind { chosen = SimulatorSettings(own) }
        changes.simulation.apply(to: &chosen)
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

extension FileFormat {
    /// As a source, with every path as the use case means it.
    fileprivate func choice(in useCase: UseCase, follow: Bool) -> SourceChoice {
        var format = self
        format.follow = follow
        format.labels = labels.map(useCase.resolve)
        return .file(path: useCase.resolve(file), format: format, isOwn: true)
    }
}

extension SimulatorSettings {
    /// As the use case describes it; when it starts is the caller's.
    init(_ source: UseCases.SimulatorSource) {
        self.init(
            name: source.name, entities: source.entities, interval: source.interval, anomalyRate: source.anomalyRate, seed: source.seed,
            start: 0)
        (kinds, late, lateness, missing) = (source.kinds, source.late, source.lateness, source.missing)
    }
}

/// A source that cannot be used; the sentence says what to do.
struct SourceError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
