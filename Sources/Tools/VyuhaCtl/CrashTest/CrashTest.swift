import Glibc
import KafkaClient
import RedisClient
import ServiceKit
import UseCases
import Streaming

/// `vyuhactl crash-test`: the same input through a disturbed and through an undisturbed chain, and every effect compared.
///
/// The disturbed run comes first, with the producer at the wanted rate for as long as the disturbances take. Its events are then replayed,
/// with their Kafka timestamps, through the same services under another name, with the same model.
final class CrashTest {
    private let settings: CrashTestSettings
    private var signals = Signals()
    private var isStopped = false

    init(_ settings: CrashTestSettings) { self.settings = settings }

    /// - Returns: exit status 0 where nothing was lost, doubled or different.
    func run() -> Int32 {
        do {
            return try compare()
        } catch {
            Service.standardError("vyuhactl crash-test: \(error)\n")
            return (error as? CommandError)?.status ?? 1
        }
    }

    private func compare() throws -> Int32 {
        let folder = try TemporaryFolder()
        _ = folder.folder("logs")
        let watcher = try ProcessGuard(executable: Executables.own, folder: folder.path)
        var keepsLogs = true
        defer {
            watcher.close(keepingFolder: keepsLogs)
            if keepsLogs {
                folder.remove(except: "logs")
                say("The logs of all services are in \(folder.file("logs")).")
            } else {
                folder.remove()
            }
        }
        // Names of this test alone: on a broker that stays, groups remember how far they read in topics that are long deleted.
        let run = settings.kafka == nil ? "" : "-\(Clock.milliseconds)"
        let disturbed = try variant("disturbed" + run, folder)
        let undisturbed = try variant("undisturbed" + run, folder)

        let (broker, kafka) = try kafka(for: [disturbed, undisturbed])
        defer {
            broker?.close()
            if broker == nil { try? KafkaAdmin(kafka).deleteTopics([disturbed, undisturbed].flatMap { $0.topics.all }) }
        }
        let (server, url) = try EmbeddedServers.redis(folder: folder, log: folder.file("logs/redis-server.log"), environment: [:])
        let redisProcess = try ChildProcess.spawn(server.command)
        watcher.watch(redisProcess)
        defer {
            ChildProcess.signal(redisProcess, SIGKILL)
            while ChildProcess.reap(redisProcess) == nil { Clock.sleep(milliseconds: 5) }
            watcher.forget(redisProcess)
        }
        let redis = RedisClient(try RedisSettings(url: url))
        try EmbeddedServers.waitForRedis(redis, limit: 30_000, say: say) { false }

        func plan(_ facts: RunFacts) -> ServicePlan {
            ServicePlan(
                facts: facts, kafka: kafka.bootstrapServers, redis: url, isEmbedded: broker != nil, rate: settings.rate, logs: folder.file("logs"))
        }
        try train(plan(disturbed), folder)
        try pin(redis, from: disturbed, to: undisturbed)

        func newRun(_ facts: RunFacts) throws -> CrashRun {
            try CrashRun(
                facts, kafka: kafka, redis: redis,
                fleet: Fleet(plan(facts), watcher, redisPort: redis.settings.port, isStatic: settings.isInPlace, delivery: settings.delivery),
                record: try settings.record.map { try recordFolder($0, facts) }, say: say, isStopped: { [unowned self] in noticeSignals() })
        }
        say("Disturbed run: \(settings.disturbances) disturbances, seed \(settings.seed), \(settings.delivery), \(Int(settings.rate)) events/s.")
        let first = try newRun(disturbed)
        defer { first.close() }
        let disturbances = DisturbancePlan(seed: settings.seed, count: settings.disturbances, killsOnly: settings.isInPlace)
        let recoveries = try first.disturb(disturbances, producer: try producer(plan(disturbed)), watcher: watcher)
        try first.finish(quiet: quiet)

        say("Undisturbed run: the same \(first.input.count) events.")
        let second = try newRun(undisturbed)
        defer { second.close() }
        try second.replay(first.input, rate: settings.rate * settings.replaySpeed, kafka: kafka)
        try second.finish(quiet: quiet)

        let isClean = report(first, second, recoveries)
        keepsLogs = !isClean
        return isClean ? 0 : 1
    }

    /// Seconds; what a dead instance left open in a transaction is invisible, and blocks what comes after it, until the broker ends it (10 s).
    private var quiet: Double { settings.delivery == "exactly-once" ? 12 : 2 }

    // MARK: Preparation

    /// The use case under a name of its own, so that neither topics, groups nor keys of the runs touch.
    private func variant(_ suffix: String, _ folder: TemporaryFolder) throws -> RunFacts {
        let source = settings.facts.directory + "/usecase.yaml"
        guard let text = TextFile.read(source) else { throw CommandError("\(source) cannot be read: \(systemError(errno)).") }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            line.hasPrefix("name:") ? "name: \(settings.facts.definitionName)-\(suffix)" : String(line)
        }
        let path = folder.folder(suffix)
        guard TextFile.write(lines.joined(separator: "\n"), to: path + "/usecase.yaml") else {
            throw CommandError("\(path)/usecase.yaml cannot be written: \(systemError(errno)).")
        }
        return RunFacts(try UseCase.load(path, environment: SettingsReader.processEnvironment()))
    }

    private func kafka(for variants: [RunFacts]) throws -> (EmbeddedBroker?, KafkaSettings) {
        let topics = variants.flatMap(\.topicSpecs)
        if let given = settings.kafka {
            try EmbeddedServers.waitForKafka(given, limit: 60, say: say) { false }
            try KafkaAdmin(given).createTopics(topics)
            return (nil, given)
        }
        let broker = try EmbeddedBroker(topics: topics)
        return (broker, broker.settings)
    }

    private func train(_ plan: ServicePlan, _ folder: TemporaryFolder) throws {
        say("Training the model of both runs.")
        let file = folder.file("training.csv")
        try runToEnd("producer", ["--to", file], plan)
        try runToEnd("trainer", ["fit", "--csv", file], plan)
    }

    private func runToEnd(_ name: String, _ arguments: [String], _ plan: ServicePlan) throws {
        let log = plan.logs.map { "\($0)/\(name)-training.log" }
        let pid = try ChildProcess.spawn(
            ChildCommand(executable: try Executables.sibling(name), arguments: arguments, environment: plan.environment.variables, log: log))
        while true {
            if let exit = ChildProcess.reap(pid) {
                guard exit.code == 0 else { throw CommandError("\(name) \(arguments.joined(separator: " ")) ended \(exit.words).") }
                return
            }
            Clock.sleep(milliseconds: 20)
        }
    }

    /// Gives the second use case the very models of the first.
    private func pin(_ redis: RedisClient, from: RunFacts, to: RunFacts) throws {
        try KeyScan.each(redis, pattern: from.keys.prefix + "model*") { key throws(RedisError) in
            let name = Array(to.keys.prefix.utf8) + key.dropFirst(from.keys.prefix.utf8.count)
            _ = try redis.command([Array("COPY".utf8), key, name])
        }
    }

    private func producer(_ plan: ServicePlan) throws -> ChildCommand {
        var environment = plan.environment
        environment["VYUHA_HOST"] = "127.0.0.1"
        environment["VYUHA_PORT"] = "0"
        let number = "\(Int(settings.rate))"
        // As many entities as events a second: event time then runs in step with the clock.
        return ChildCommand(
            executable: try Executables.sibling("producer"),
            arguments: ["--rate", number, "--entities", number, "--seed", "\(settings.seed)"], environment: environment.variables,
            log: plan.logs.map { "\($0)/producer.log" })
    }

    private func recordFolder(_ path: String, _ facts: RunFacts) throws -> String {
        mkdir(path, 0o755)
        return path + "/" + facts.definitionName
    }

    // MARK: The end

    private func report(_ disturbed: CrashRun, _ undisturbed: CrashRun, _ recoveries: [Disturber.Recovery]) -> Bool {
        // The services that write them do so in transactions; an alert is told at least once, under one id.
        let once: Set<String> = settings.delivery == "exactly-once" ? ["features", "scores", "anomalies"] : []
        let verdict = Verdict(undisturbed: undisturbed.effects, disturbed: disturbed.effects, once: once, lostState: disturbed.lostState)
        for kind in undisturbed.effects.byKind.keys.sorted() {
            let records = disturbed.effects.byKind[kind]?.values.reduce(0) { $0 + $1.records } ?? 0
            say("\(kind): \(undisturbed.effects.count(kind)) undisturbed, \(disturbed.effects.count(kind)) disturbed (\(records) raw records)")
        }
        for example in verdict.examples { say("  " + example) }
        let unreadable = undisturbed.effects.unreadable + disturbed.effects.unreadable
        if unreadable > 0 { say("\(unreadable) records could not be read.") }
        let isEmpty = undisturbed.effects.count("features") == 0 || undisturbed.effects.count("alerts") == 0
        if isEmpty { say("Nothing was compared: there were no features or no alerts.") }
        let isInputEqual = disturbed.input.count == undisturbed.input.count
        if !isInputEqual { say("The runs had different input.") }
        // Each event has at least one feature record or dead letter, so fewer mean that both runs missed the same events.
        let isComplete = undisturbed.effects.count("features") + undisturbed.effects.count("dead-letter") >= undisturbed.input.count
        if !isComplete { say("Events are missing in both runs.") }
        say("order: the records of \(verdict.inOrder) entities are in the undisturbed order, of \(verdict.outOfOrder) in another one")
        let kills = recoveries.filter { $0.disturbance == .kill }.map(\.seconds).sorted()
        func quantile(_ q: Double) -> String {
            kills.isEmpty ? "-" : Seconds.text(kills[min(kills.count - 1, Int((Double(kills.count) * q).rounded(.up)) - 1)])
        }
        say(
            "crash-test: \(recoveries.count) disturbances, lost \(verdict.lost), doubled \(verdict.doubled), different \(verdict.different), "
                + "recovery p50 \(quantile(0.5)) p99 \(quantile(0.99))")
        return verdict.isClean && unreadable == 0 && !isEmpty && isInputEqual && isComplete
    }

    private func noticeSignals() -> Bool {
        if signals.wait(milliseconds: 0) { isStopped = true }
        return isStopped
    }

    private func say(_ sentence: String) {
        print(sentence)
        fflush(nil)
    }
}

/// Small text files, read and written whole.
enum TextFile {
    static func read(_ path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = fread(&buffer, 1, buffer.count, file)
            if count == 0 { break }
            bytes += buffer[..<count]
        }
        return String(validating: bytes, as: UTF8.self)
    }

    static func write(_ text: String, to path: String) -> Bool {
        guard let file = fopen(path, "w") else { return false }
        let bytes = Array(text.utf8)
        let written = bytes.withUnsafeBytes { fwrite($0.baseAddress, 1, $0.count, file) }
        return fclose(file) == 0 && written == bytes.count
    }
}
