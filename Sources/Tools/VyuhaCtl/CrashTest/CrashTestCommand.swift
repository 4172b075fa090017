import Glibc
import KafkaClient
import ServiceKit
import UseCases

/// `vyuhactl crash-test`: proof that crashes change no result.
enum CrashTestCommand {
    static func run(_ arguments: [String]) {
        let settings = Service.readSettings(
            "vyuhactl crash-test",
            "Runs the same input through a chain whose services are killed, frozen and scaled at random moments, and through one that is left "
                + "alone, and compares every feature, score, online value and alert. Brings its own Redis, and its own broker unless "
                + "KAFKA_BOOTSTRAP_SERVERS is set; there it makes topics of its own and deletes them at the end.",
            arguments: arguments, CrashTestSettings.init)
        exit(CrashTest(settings).run())
    }
}

/// Every setting of `vyuhactl crash-test`.
struct CrashTestSettings {
    let facts: RunFacts
    let kafka: KafkaSettings?
    /// Events a second.
    let rate: Double
    let disturbances: Int
    let seed: UInt64
    /// `at-least-once` or `exactly-once`.
    let delivery: String
    /// Killed services are restarted in place as static members, and nothing is scaled; else other members take over.
    let isInPlace: Bool
    /// The undisturbed run gets its events so many times faster.
    let replaySpeed: Double
    let record: String?

    init?(_ reader: inout SettingsReader) {
        let useCase = reader.useCase()
        kafka = reader.optionalKafka("Without it, a broker inside this process.")
        let rate = kafka == nil ? 1_000.0 : 20_000
        self.rate = reader.number("--rate", default: rate, in: 10...1_000_000, "Events a second; 20000 with KAFKA_BOOTSTRAP_SERVERS.") ?? rate
        disturbances = reader.integer("--disturbances", default: 20, in: 1...1_000, "Kills, freezes and changes of scale, all services together.")
        seed = UInt64(reader.integer("--seed", default: 1, in: 0...Int.max, "Seed of the input and of the disturbances."))
        delivery = reader.choice(
            "VYUHA_DELIVERY", default: "at-least-once", of: ["at-least-once", "exactly-once"],
            "How stream processor and scoring service hand on their results.")
        let recovery = reader.choice(
            "--recovery", default: "takeover", of: ["takeover", "in-place"],
            "takeover: dynamic members, two replicas at times; in-place: static members, restarted at once, kills only.")
        isInPlace = recovery == "in-place"
        replaySpeed = reader.number("--replay-speed", default: 3, in: 0.1...100, "How much faster the undisturbed run gets its events.") ?? 3
        record = reader.optionalString("--record", "Folder that every record of both runs is written to, as JSON Lines.")
        if delivery == "exactly-once", !isInPlace {
            reader.reject("VYUHA_DELIVERY: exactly-once needs instances with stable names; add --recovery in-place.")
        }
        guard let useCase else { return nil }
        facts = RunFacts(useCase)
    }
}
