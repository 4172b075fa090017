import Glibc
import JSON
import KafkaClient
import ModelRegistry
import Quality
import RedisClient
import ServiceKit

/// One run of the suite, from the first server to the last line of the report. Read `run()` first: it is the order of everything.
final class UpRun {
    /// Seconds that services have to become ready; a consumer group's first join takes up to five on the embedded broker.
    static let readyLimit = 60.0
    /// Seconds without progress, after the producer ended, after which what the chain has not dealt with counts as lost.
    static let drainLimit = 30.0

    private let settings: UpSettings
    private let facts: RunFacts
    private var signals: Signals
    private var terminal: Terminal
    private var supervisor: Supervisor?
    private var watcher: ProcessGuard?
    private var folder: TemporaryFolder?
    private var broker: EmbeddedBroker?
    private var observer: Observer?
    private var lag: LagMonitor?
    private var meter = RateMeter()

    private var kafka = KafkaSettings(bootstrapServers: "")
    private var redis = (url: "", settings: RedisSettings())
    private var predictURL = ""
    private var phase = "starting"
    private var stopRequests = 0
    private var flowStart: Double?
    private var flowEnd: Double?
    private let startedAt = Clock.milliseconds
    private var nextDrawing = 0.0
    private var nextMeasure = 0.0
    private var problems: [String] = []

    init(_ settings: UpSettings) {
        self.settings = settings
        facts = settings.facts
        signals = Signals()
        terminal = Terminal(isPlain: settings.verbose)
    }

    /// - Returns: the exit status: 0 when all is well, 130 when it was stopped before anything flowed, else 1.
    func run() -> Int32 {
        var wasStopped = false
        do {
            try prepare()
            try startServers()
            try trainIfNeeded()
            try startChain()
            try flow()
            try stopProducer()
            try drain()
        } catch is Stopped {
            wasStopped = true
        } catch {
            problems.append("\(error)")
        }
        stopServices()
        let books = closeBooks()
        stopServers()
        finishReport(books)
        cleanUp()
        if !problems.isEmpty { return 1 }
        return wasStopped ? 130 : 0
    }

    /// The user asked for the end before anything flowed.
    private struct Stopped: Error {}

    // MARK: Before anything runs

    private func prepare() throws {
        // Everything that can be wrong is found before anything is started.
        for name in ["producer", "trainer"] + ServicePlan.consumers { _ = try Executables.sibling(name) }
        let folder = try TemporaryFolder()
        self.folder = folder
        _ = folder.folder("logs")
        let watcher = try ProcessGuard(executable: Executables.own, folder: folder.path)
        self.watcher = watcher
        let supervisor = try Supervisor(watcher: watcher)
        supervisor.announce = { [unowned self] sentence in say(sentence) }
        self.supervisor = supervisor
    }

    private func startServers() throws {
        if let given = settings.kafka {
            kafka = given
            try EmbeddedServers.waitForKafka(kafka, limit: 60, say: say) { [unowned self] in takeSignals() }
            try KafkaAdmin(kafka).createTopics(facts.topicSpecs, timeout: 15_000)
        } else {
            let broker = try EmbeddedBroker(topics: facts.topicSpecs)
            self.broker = broker
            kafka = KafkaSettings(bootstrapServers: broker.bootstrapServers)
            say("Broker: embedded in this process, \(broker.bootstrapServers), \(facts.partitions) partitions a topic.")
        }
        if let given = settings.redis {
            redis = given
        } else if let folder {
            let (spec, url) = try EmbeddedServers.redis(folder: folder, log: folder.file("logs/redis-server.log"), environment: [:])
            redis = (url, try RedisSettings(url: url))
            try supervisor?.start(spec)
            say("Redis: private, \(url).")
        }
        try EmbeddedServers.waitForRedis(RedisClient(redis.settings), limit: 30_000, say: say) { [unowned self] in takeSignals() }
        try endIfAsked()
    }

    // MARK: Training

    private func trainIfNeeded() throws {
        let registry = ModelRegistry(RedisClient(redis.settings), useCase: facts.name)
        var missing = false
        for set in facts.sets {
            if let version = try registry.currentVersion(set: set) {
                say("Model: \(set) version \(version), from the registry.")
            } else {
                missing = true
            }
        }
        guard missing, let folder else { return }
        phase = "training"
        let csv: String
        switch facts.training {
        case .csv(let path): csv = path
        case .exported:
            csv = folder.file("training.csv")
            say("Training: the producer writes the training data.")
            try runToEnd("producer", ["--to", csv])
        case nil:
            throw CommandError(
                "The use case \(facts.name) has no model in the registry and no training section. Store one with `trainer fit`.")
        }
        say("Training: fitting a model.")
        try runToEnd("trainer", ["fit", "--csv", csv])
        TemporaryFolder.remove(folder.file("training.csv"))
    }

    /// Runs a program of the suite to its end, its progress on our standard error.
    private func runToEnd(_ program: String, _ arguments: [String]) throws {
        let command = ChildCommand(executable: try Executables.sibling(program), arguments: arguments, environment: plan.environment)
        let pid = try ChildProcess.spawn(command)
        watcher?.watch(pid)
        var isAsked = false
        while true {
            if let exit = ChildProcess.reap(pid) {
                watcher?.forget(pid)
                try endIfAsked()
                guard exit.code == 0 else { throw CommandError("\(program) \(arguments[0]) ended \(exit.words); its words are above.") }
                return
            }
            _ = takeSignals(wait: 50)
            try supervisor?.tick(now: Clock.monotonicSeconds)
            if stopRequests > 0, !isAsked {
                isAsked = true
                ChildProcess.signal(pid, SIGTERM)
            }
        }
    }

    // MARK: The chain

    private var plan: ServicePlan {
        ServicePlan(
            facts: facts, kafka: kafka.bootstrapServers, redis: redis.url, isEmbedded: broker != nil, rate: settings.rate,
            logs: settings.verbose ? nil : folder?.file("logs"))
    }

    private func startChain() throws {
        let observer = Observer(
            facts, kafka: kafka, start: broker == nil ? .now : .beginning, recordDirectory: settings.record)
        self.observer = observer
        observer.begin()
        try wait(limit: 30, "The observer could not read the topics within 30 s.") { observer.view.isReading }
        let lag = LagMonitor(facts, kafka: kafka)
        self.lag = lag
        lag.begin()

        phase = "starting"
        for name in ServicePlan.consumers {
            let (spec, port) = try plan.spec(name)
            if name == "scoring-service" { predictURL = "http://127.0.0.1:\(port)/predict" }
            try supervisor?.start(spec)
        }
        say("Services: waiting until all have their partitions.")
        for name in ServicePlan.consumers { try waitUntilReady(name) }
        try supervisor?.start(try plan.producer(rate: settings.rate, entities: settings.entities))
        try waitUntilReady("producer")
        say("POST \(predictURL)")
    }

    private func waitUntilReady(_ name: String) throws {
        let deadline = Clock.monotonicSeconds + Self.readyLimit
        while supervisor?.isReady(name) == false {
            // A producer of few events may be done before it is asked.
            if supervisor?.hasEnded(name) == true { return }
            try pump()
            try endIfAsked()
            guard Clock.monotonicSeconds < deadline else {
                let obstacle = supervisor?.status(of: name)?.obstacle ?? "nothing"
                throw supervisor?.failure(name, "\(name) was not ready within \(Int(Self.readyLimit)) s; it says: \(obstacle).")
                    ?? CommandError(name)
            }
        }
    }

    private func flow() throws {
        let start = Clock.monotonicSeconds
        flowStart = start
        phase = "running"
        var watch = FlowWatch(start: start)
        while stopRequests == 0 {
            try pump()
            let now = Clock.monotonicSeconds
            if let duration = settings.duration, now - start >= Double(duration) / 1000 { return }
            if supervisor?.hasEnded("producer") == true { return say("The source has ended.") }
            guard let counts = observer?.view.counts else { continue }
            let results = counts[.scores] + counts[.deadLetters]
            if let stall = watch.check(events: counts[.events], results: results, now: now) {
                throw supervisor?.failure(stall.culprit, stall.sentence) ?? CommandError(stall.sentence)
            }
        }
    }

    // MARK: The end

    private func stopProducer() throws {
        phase = "draining"
        supervisor?.stop("producer", now: Clock.monotonicSeconds)
        while supervisor?.hasEnded("producer") == false, stopRequests < 2 { try pump() }
        flowEnd = Clock.monotonicSeconds
    }

    /// Waits until every event has become a feature and a score, or a dead letter, and every group has read to the end.
    private func drain() throws {
        var deadline = Clock.monotonicSeconds + Self.drainLimit
        var least = Int.max
        var settledAt: Double?
        while Clock.monotonicSeconds < deadline, stopRequests < 2, let observer {
            try pump()
            let view = observer.view
            // A slow chain may take its time, a standing one may not.
            if view.unsettled + view.behind < least {
                least = view.unsettled + view.behind
                deadline = Clock.monotonicSeconds + Self.drainLimit
            }
            guard view.unsettled == 0, view.behind == 0 else {
                settledAt = nil
                continue
            }
            let since = settledAt ?? Clock.monotonicSeconds
            settledAt = since
            // Only a round of questions that began after everything was settled says that the groups are done.
            if let lag = lag?.view, lag.askedAt > since, lag.behind.values.allSatisfy({ $0 == 0 }) { return }
        }
        guard let view = observer?.view else { return }
        if view.unsettled > 0 {
            problems.append(
                "\(view.unsettled) of \(view.counts[.events]) events had neither a score nor a dead letter, and none had got one for \(Int(Self.drainLimit)) s."
            )
        }
        if let behind = lag?.view.behind.filter({ $0.value > 0 }), !behind.isEmpty {
            let words = behind.sorted { $0.key < $1.key }.map { "\($0.key) by \($0.value) records" }.joined(separator: ", ")
            problems.append("Groups were still behind after the drain: \(words).")
        }
    }

    /// Stops what runs, in the order of the chain; never throws, since everything must be stopped.
    private func stopServices() {
        guard let supervisor else { return }
        phase = "stopping"
        for name in ["producer"] + ServicePlan.consumers {
            supervisor.stop(name, now: Clock.monotonicSeconds)
            while supervisor.hasEnded(name) == false, supervisor.status(of: name) != nil, stopRequests < 2 {
                do { try pump() } catch { problems.append("\(error)") }
            }
        }
        if stopRequests >= 2 {
            problems.append("Stopped a second time before the services had ended: they were killed.")
            supervisor.killAll()
        }
        for status in supervisor.statuses where status.isSuite {
            if status.wasKilled {
                problems.append("\(status.name) did not end within \(Int(Supervisor.grace)) s of SIGTERM and was killed.")
            }
            // Once anything else has gone wrong, the exit statuses add nothing; and who is stopped while starting may have no handler yet.
            if problems.isEmpty, status.wasReady, let exit = status.exit, exit.code != 0 {
                problems.append("\(status.name) ended \(exit.words).")
            }
        }
    }

    /// Reads what the services wrote last, and takes the books.
    private func closeBooks() -> FlowAccount? {
        guard let observer else { return nil }
        let deadline = Clock.monotonicSeconds + 3
        var quietSince: Double?
        while Clock.monotonicSeconds < deadline, observer.view.failure == nil {
            let now = Clock.monotonicSeconds
            if observer.view.behind == 0 { quietSince = quietSince ?? now } else { quietSince = nil }
            if let quietSince, now - quietSince > 0.3 { break }
            Clock.sleep(milliseconds: 20)
        }
        lag?.stop()
        observer.stop()
        let end = Clock.monotonicSeconds + 5
        while observer.finished == nil, observer.view.failure == nil, Clock.monotonicSeconds < end { Clock.sleep(milliseconds: 5) }
        if let failure = observer.view.failure { problems.append("The observer failed: \(failure)") }
        return observer.finished
    }

    private func stopServers() {
        if let supervisor, supervisor.status(of: "redis-server") != nil {
            supervisor.stop("redis-server", now: Clock.monotonicSeconds)
            while !supervisor.hasEnded("redis-server"), stopRequests < 2 {
                do { try pump() } catch { break }
            }
        }
        supervisor?.killAll()
        broker?.close()
    }

    private func finishReport(_ books: FlowAccount?) {
        terminal.finish()
        if let books, let flowStart {
            let view = observer?.view ?? ObserverView()
            if problems.isEmpty, books.counts[.events] == 0 { problems.append("Nothing flowed: not one event was produced.") }
            if problems.isEmpty, books.unsettled > 0 {
                problems.append("\(books.unsettled) events or windows (of \(books.counts[.events]) events) have neither a score nor a dead letter.")
            }
            let duration = (flowEnd ?? Clock.monotonicSeconds) - flowStart
            let run = Report.Run(
                useCase: facts.name, durationSeconds: duration, rate: settings.rate, startedAt: startedAt,
                embeddedBroker: settings.kafka == nil,
                embeddedRedis: settings.redis == nil, services: supervisor?.statuses ?? [], own: ProcessSample.of(getpid()),
                unreadable: view.unreadable, troubles: view.troubles, problems: problems)
            let report = Report(run, books, observer?.quality ?? QualityFigures(), baseline: facts.baseline)
            say("")
            for line in report.table { say(line) }
            if let path = settings.report { write(report, to: path) }
        }
        if let path = settings.record, books != nil { say("Records: \(path)") }
        for problem in problems { Service.standardError("vyuhactl up: \(problem)\n") }
    }

    private func write(_ report: Report, to path: String) {
        let bytes = Array((report.json.pretty + "\n").utf8)
        let file = fopen(path, "w")
        let written = file.map { file in bytes.withUnsafeBytes { fwrite($0.baseAddress, 1, $0.count, file) } } ?? 0
        let isClosed = file.map { fclose($0) == 0 } ?? false
        if written == bytes.count, isClosed {
            say("")
            say("Report: \(path)")
        } else {
            problems.append("The report cannot be written to \(path): \(systemError(errno)).")
        }
    }

    private func cleanUp() {
        let keepsLogs = !problems.isEmpty && !settings.verbose && supervisor?.statuses.contains { $0.isSuite } == true
        watcher?.close(keepingFolder: keepsLogs)
        guard let folder else { return }
        if keepsLogs {
            folder.remove(except: "logs")
            Service.standardError("The logs of all services are kept in \(folder.file("logs")).\n")
        } else {
            folder.remove()
        }
    }

    // MARK: The beat

    /// One turn: waits a little, notices signals and deaths, redraws.
    private func pump() throws {
        _ = takeSignals(wait: 50)
        let now = Clock.monotonicSeconds
        try supervisor?.tick(now: now)
        if phase != "stopping", let failure = observer?.view.failure { throw CommandError("The observer failed: \(failure)") }
        draw(now)
    }

    /// - Returns: whether the end was asked for.
    private func takeSignals(wait milliseconds: Int = 0) -> Bool {
        if signals.wait(milliseconds: milliseconds) {
            stopRequests += 1
            if stopRequests == 1, flowStart != nil { say("Stopping in order; once more ends it at once.") }
        }
        return stopRequests > 0
    }

    private func endIfAsked() throws { if stopRequests > 0 { throw Stopped() } }

    private func wait(limit: Double, _ sentence: String, until condition: () -> Bool) throws {
        let deadline = Clock.monotonicSeconds + limit
        while !condition() {
            try pump()
            try endIfAsked()
            guard Clock.monotonicSeconds < deadline else { throw CommandError(sentence) }
        }
    }

    private func say(_ sentence: String) { terminal.say(sentence) }

    private func draw(_ now: Double) {
        guard let observer, let flowStart, let supervisor else { return }
        let view = observer.view
        if now >= nextMeasure {
            nextMeasure = now + 0.25
            var cpu: [String: Double] = [:]
            for status in supervisor.statuses { cpu[status.name] = status.cpuSeconds }
            meter.note(view.counts, cpu: cpu, now: now)
        }
        guard now >= nextDrawing else { return }
        nextDrawing = now + (terminal.isLive ? 0.25 : 5)
        let snapshot = StatusSnapshot(
            useCase: facts.name, title: facts.title, phase: phase, elapsed: (flowEnd ?? now) - flowStart,
            duration: settings.duration.map { Double($0) / 1000 }, observer: view, rates: meter.rates, behind: lag?.view.behind ?? [:],
            services: supervisor.statuses, cpu: meter.cpu, predictURL: predictURL)
        if terminal.isLive {
            terminal.draw(StatusView.lines(snapshot))
        } else if now - flowStart >= 1 {
            say(StatusView.plain(snapshot))
        }
    }
}
