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
                + "which are gone afterwards. Ctrl-C ends it in order.",
            arguments: arguments, switches: ["--verbose"], UpSettings.init)
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
            "--duration", default: nil, in: 1_000...Int.max, "How long events flow, such as 60s; without it until Ctrl-C.")
        let rate = reader.number("--rate", default: nil, in: 0.01...10_000_000, "Events a second; without it what the use case says.")
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
