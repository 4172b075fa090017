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

    /// What is going on, in the words of the live view.
    enum Phase: String { case starting, training, running, ended = "source ended", draining, stopping }

    let settings: UpSettings
    let facts: RunFacts
    private var signals: Signals
    var terminal: Terminal
    var supervisor: Supervisor?
    var watcher: ProcessGuard?
    var folder: TemporaryFolder?
    var broker: EmbeddedBroker?
    var observer: Observer?
    var lag: LagMonitor?
    private var meter = RateMeter()
    var answers: AnswerWatch

    private var kafka = KafkaSettings(bootstrapServers: "")
    var redis = (url: "", settings: RedisSettings())
    private var predictURL = ""
    var phase = Phase.starting
    private(set) var stopRequests = 0
    var flowStart: Double?
    var flowEnd: Double?
    /// When the wait for answers was over, wall clock, milliseconds, and whether those that are missing should have come by then.
    var drained = (at: Observer.wallClock, isOverdue: false)
    let startedAt = Clock.milliseconds
    private var nextDrawing = 0.0
    private var nextMeasure = 0.0
    private var observerHasFailed = false
    /// What went wrong, in sentences; any makes the exit status 1.
    var problems: [String] = []

    init(_ settings: UpSettings) {
        self.settings = settings
        facts = settings.facts
        signals = Signals()
        terminal = Terminal(isPlain: settings.verbose)
        answers = AnswerWatch(start: Observer.wallClock, longestDelay: settings.facts.longestDelay)
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
        let passes = passesOverFile()
        stopServers()
        finishReport(books, passes: passes)
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
            kafka = broker.settings
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
        phase = .training
        let csv: String
        switch facts.training {
        case .csv(let path): csv = path
        case .exported:
            csv = folder.file("training.csv")
            say("Training: the producer writes the training data.")
            try runToEnd("producer", ["--to", csv])
        case nil:
            throw CommandError(
                "The use case \(facts.definitionName) has no model in the registry and no training section. Store one with `trainer fit`.")
        }
        say("Training: fitting a model.")
        try runToEnd("trainer", ["fit", "--csv", csv])
        TemporaryFolder.remove(folder.file("training.csv"))
    }

    /// Runs a program of the suite to its end, its progress on our standard error.
    private func runToEnd(_ program: String, _ arguments: [String]) throws {
        let command = ChildCommand(executable: try Executables.sibling(program), arguments: arguments, environment: plan.environment.variables)
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
        try wait("the topics to be read") {
            if let failure = observer.view.failure { throw CommandError("The topics cannot be read: \(failure)") }
            return observer.view.isReading
        }
        let lag = LagMonitor(facts, kafka: kafka)
        self.lag = lag
        lag.begin()

        phase = .starting
        for name in ServicePlan.consumers {
            let (spec, port) = try plan.spec(name)
            if name == "scoring-service" { predictURL = "http://127.0.0.1:\(port)/predict" }
            try supervisor?.start(spec)
        }
        say("Services: waiting until all have their partitions.")
        for name in ServicePlan.consumers { try waitUntilReady(name) }
        try supervisor?.start(try plan.producer(rate: settings.rate, entities: settings.entities, loops: settings.loops))
        try waitUntilReady("producer")
        say("POST \(predictURL)")
    }

    private func waitUntilReady(_ name: String) throws {
        // A producer of few events may be done before it is asked.
        try wait("\(name) to be ready") { [supervisor] in supervisor?.isReady(name) != false || supervisor?.hasEnded(name) == true }
    }

    /// Events flow until the end is asked for, or as long as they should. Nothing else ends it: what a source does is its own affair.
    private func flow() throws {
        let start = Clock.monotonicSeconds
        flowStart = start
        phase = .running
        answers = AnswerWatch(start: Observer.wallClock, longestDelay: facts.longestDelay)
        while stopRequests == 0 {
            try tick()
            if let duration = settings.duration, Clock.monotonicSeconds - start >= Double(duration) / 1000 { return }
            if phase == .running, supervisor?.hasEnded("producer") == true {
                guard settings.duration == nil else { return say("The source has ended.") }
                phase = .ended
                say("The source has ended: all of it was sent. The services go on; Ctrl-C stops them and prints the report.")
            }
            guard let view = observer?.view else { continue }
            let notice = answers.notice(
                events: view.counts[.events], unanswered: view.unsettled, oldest: view.oldest, now: Observer.wallClock)
            if let notice { say(notice) }
        }
    }

    // MARK: The beat

    /// One turn: waits a little, notices signals and deaths, redraws.
    func tick() throws {
        _ = takeSignals(wait: 50)
        let now = Clock.monotonicSeconds
        try supervisor?.tick(now: now)
        // The services do not depend on what is read here: they go on, and the report says that it is not whole.
        if !observerHasFailed, let failure = observer?.view.failure {
            observerHasFailed = true
            say("The topics can no longer be read, so counts stand still: \(failure)")
        }
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

    /// Waits for something that the start needs. With --duration not for ever: who has no time left learns why.
    private func wait(_ what: String, until condition: () throws -> Bool) throws {
        var deadline = Clock.monotonicSeconds + Self.readyLimit
        while try !condition() {
            try tick()
            try endIfAsked()
            guard Clock.monotonicSeconds >= deadline else { continue }
            deadline += Self.readyLimit
            let name = what.split(separator: " ").first.map(String.init) ?? what
            let obstacle = supervisor?.status(of: name)?.obstacle.map { "; it says: \($0)" } ?? ""
            let sentence = "Waited \(Int(Self.readyLimit)) s for \(what)\(obstacle)."
            guard settings.duration == nil else { throw supervisor?.failure(name, sentence) ?? CommandError(sentence) }
            say(sentence + " It goes on.")
        }
    }

    func say(_ sentence: String) { terminal.say(sentence) }

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
            useCase: facts.name, title: facts.title, phase: phase.rawValue, elapsed: (flowEnd ?? now) - flowStart,
            duration: settings.duration.map { Double($0) / 1000 }, observer: view, rates: meter.rates, behind: lag?.view.behind ?? [:],
            services: supervisor.statuses, cpu: meter.cpu, predictURL: predictURL)
        if terminal.isLive {
            terminal.draw(StatusView.lines(snapshot))
        } else if now - flowStart >= 1 {
            say(StatusView.plain(snapshot))
        }
    }
}
