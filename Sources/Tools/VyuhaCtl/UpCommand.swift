import Glibc
import KafkaClient
import RedisClient
import ServiceKit
import UseCases

/// `vyuhactl up`: the whole suite on one machine.
enum UpCommand {
    static func run(_ arguments: [String]) {
        let settings = Service.readSettings(
            "vyuhactl up",
            "Runs the whole suite on this machine. Without KAFKA_BOOTSTRAP_SERVERS and REDIS_URL it brings its own broker and Redis, "
                + "which are gone afterwards. It runs until Ctrl-C, which ends it in order and prints the report: a source may be silent, slow or "
                + "pause, and when it has ended, the services go on. Only settings that cannot be used, or a service that keeps dying, end it "
                + "earlier. With --duration it ends after that time, or with the source if that comes first, and the exit status is 1 if an event is "
                + "still without a score or a dead letter 30 s, the longest window and the allowed lateness after the last one.",
            arguments: arguments, switches: ["--verbose", "--loop"], UpSettings.init)
        exit(UpRun(settings).run())
    }
}

/// Every setting of `vyuhactl up`.
struct UpSettings {
    let facts: RunFacts
    /// Milliseconds that events flow; nil until stopped.
    let duration: Int?
    /// Events a second.
    let rate: Double
    /// A file begins again at its end.
    let loops: Bool
    /// Simulated soldiers, sensors, hosts or zones; nil: as the use case says.
    let entities: Int?
    let report: String?
    let record: String?
    /// The services' logs go to standard error.
    let verbose: Bool
    let kafka: KafkaSettings?
    let redis: (url: String, settings: RedisSettings)?

    init?(_ reader: inout SettingsReader) {
        let useCase = reader.useCase()
        duration = reader.duration(
            "--duration", default: nil, in: 1_000...Int.max,
            "How long events flow, such as 60s, unless the source ends before; without it until Ctrl-C.")
        let rate = reader.number("--rate", default: nil, in: 0.01...10_000_000, "Events a second; without it what the use case says.")
        loops = reader.toggle("--loop", "Begin a file again at its end, with its times moved on; without it a file is replayed once.")
        entities = reader.optionalInteger(
            "--entities", in: 1...1_000_000,
            "Simulated soldiers, sensors, hosts or zones; fewer than the rate has seconds make event time pass faster than the clock.")
        report = reader.optionalString("--report", "File that the report is written to, as JSON.")
        record = reader.optionalString("--record", "Folder that every record of every topic is written to, as JSON Lines.")
        verbose = reader.toggle("--verbose", "Show the services' logs instead of the live view.")
        kafka = reader.optionalKafka("Without it, a broker inside this process.")
        redis = reader.optionalRedis("Without it, a private redis-server.")
        guard let useCase else { return nil }
        var facts = RunFacts(useCase)
        if kafka == nil { facts.partitions = min(facts.partitions, RunFacts.embeddedPartitions) }
        self.facts = facts
        self.rate = rate ?? facts.rate
    }
}
