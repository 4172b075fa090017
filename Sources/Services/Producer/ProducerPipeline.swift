import Platform
import Contracts
import JSON
import KafkaClient
import MQTTClient
import RedisClient
import ServiceKit
import Simulation
import UseCases

// In:        rows of files, an HTTP API or a table, or a simulator's events; paced by --rate or --speed. (Events that are pushed: PushPipeline.)
// Out:       <uc>.events (key: the entity, header `id`), <uc>.labels (the truth), <uc>.dead-letter (rows that cannot be events, as they are).
// State:     the position behind the last delivered row, in Redis.
// Guarantee: every row once, also over a SIGKILL: ids come from the position, and what was delivered after it is found at the topics' ends.
// On error:  Kafka or Redis away or full: the source waits. A row that cannot be mapped, or that the broker refuses: dead letter.
//            Anything else: stop, exit 1, position kept.
//
// Counting: rows read = records on <uc>.events + records on <uc>.dead-letter with the header `service: producer`. Only the former are events.
struct ProducerPipeline {
    /// Rows per batch: enough to make the client's call cheap, few enough to leave at once.
    private static let batchRows = 500
    /// Milliseconds between two looks at a source that has nothing for now.
    private static let idleWait = 20
    /// The longest sleep, so that a stop is seen soon.
    private static let longestWait = 100
    private let settings: ProducerSettings
    private let service: Service
    private let metrics: ProducerMetrics
    private var kafka: KafkaSettings { service.logging(settings.common.kafka) }

    init(_ settings: ProducerSettings, _ service: Service) {
        self.settings = settings
        self.service = service
        metrics = ProducerMetrics(service.metrics)
    }

    func run() throws {
        do { try work() } catch  where service.life.isStopping && settings.keepsPosition && Self.mayPass(error) {
            service.log.warning("stopped before everything was delivered; a restart sends the rest", ["error": "\(error)"])
        }
    }

    /// What waits for a server ends with an error of it when the service is asked to stop: that is the stop, no failure.
    private static func mayPass(_ error: any Error) -> Bool {
        switch error {
        case let error as KafkaError: error.isRetryable && !error.isFatal
        case let error as RedisError: error.isRetryable || error.kind == .stopped
        default: false
        }
    }

    private func work() throws {
        switch settings.source {
        case .file(let path, let format, let isOwn):
            switch format.kind {
            case .csv: try run(file(CSVRows.self, path, format, isOwn))
            case .jsonLines: try run(file(JSONRows.self, path, format, isOwn))
            case .accessLog: try run(file(AccessRows.self, path, format, isOwn))
            }
        case .http(let api): try run(PollSource(api, schema: settings.schema, service: service))
        case .table(let table, let address): try run(TableSource(table, address: address, schema: settings.schema, service: service))
        case .topic(let topic, let kafka): try read(topic, from: kafka)
        case .mqtt(let topics, let mqtt): try read(topics, mqtt)
        case .push(let push): try take(push)
        case .simulator(let simulator):
            try run(simulator: Simulators.make(simulator))
        }
    }

    private func file<Rows>(_: Rows.Type, _ path: String, _ format: FileFormat, _ isOwn: Bool) throws -> RowSource<Rows> {
        let loops = settings.loops && settings.exportPath == nil
        let life = service.life
        return try RowSource(path: path, csv: format, schema: settings.schema, strict: isOwn, loops: loops, log: service.log) {
            life.turned()
            return !life.isStopping
        }
    }

    /// Opens the existential, so that the loops below know their simulator.
    private func run(simulator: some Simulator) throws {
        try run(SimulatorSource(simulator, schema: settings.schema))
    }

    private func run<S: EventSource>(_ source: S) throws {
        if let path = settings.exportPath { try export(source, to: path) } else { try stream(source) }
    }

    // MARK: To a file

    private func export<S: EventSource>(_ source: S, to path: String) throws {
        let file = try FileExport(path: path, schema: settings.schema, columns: source.columns)
        var progress = Progress(log: service.log)
        var (written, refused) = (Int64(0), Int64(0))
        service.life.obstacle = nil
        while !service.life.isStopping, written < settings.limit ?? .max, let row = try source.next() {
            switch row {
            case .event:
                try file.add(source)
                written += 1
            case .unmappable:
                refused += 1
                metrics.rejected.add()
            case .idle: Clock.sleep(milliseconds: Self.idleWait)
            }
            if row == .idle || written % 1_024 == 0 {
                service.life.turned()
                progress.update(count: written, fraction: fraction(source, elapsed: 0))
            }
        }
        progress.finish()
        guard !service.life.isStopping else {
            service.log.warning("stopped before the file was whole; nothing is left of it", ["file": path])
            return
        }
        try file.finish()
        service.log.info("file written", ["file": path, "rows": written, "rows_refused": refused])
    }

    // MARK: To Kafka

    private func take(_ push: PushedEvents) throws {
        guard settings.exportPath == nil else { throw SourceError("Events that are pushed cannot be written to a file; leave out --to.") }
        let topics = Topics(useCase: settings.useCase)
        guard try waitForTopics(topics) else { return }
        var delivered = RecentIDs()
        for id in try readTail(topics).hashes(topic: 0) { _ = delivered.insert(id) }
        let producer = try KafkaProducer(kafka, properties: ["message.timeout.ms": "0"])
        try PushPipeline(
            push, schema: settings.schema, topics: topics, service: service, metrics: metrics, producer: producer, delivered: delivered
        ).serve(host: settings.common.adminAddress.host)
    }

    /// A topic has its own positions, the group's offsets, and its own pace.
    private func read(_ topic: ReadTopic, from kafka: KafkaSettings) throws {
        guard settings.exportPath == nil else { throw SourceError("A topic cannot be written to a file; leave out --to.") }
        guard topic.topic != Topics(useCase: settings.useCase).events else { throw SourceError("`topic` is the topic that the events go to.") }
        guard try waitForTopics(Topics(useCase: settings.useCase)) else { return }
        service.log.info("reading a topic", ["topic": topic.topic, "group": topic.group ?? settings.useCase + ".producer"])
        try TopicPipeline(
            topic, kafka: kafka, schema: settings.schema, useCase: settings.useCase, common: settings.common, service: service, metrics: metrics
        ).run()
    }

    /// The broker knows what was delivered.
    private func read(_ source: SubscribedTopics, _ mqtt: MQTTSettings) throws {
        guard settings.exportPath == nil else { throw SourceError("MQTT messages cannot be written to a file; leave out --to.") }
        guard try waitForTopics(Topics(useCase: settings.useCase)) else { return }
        service.log.info("subscribing", ["server": "\(mqtt.server)", "client": mqtt.clientID])
        try MQTTPipeline(
            source, mqtt, schema: settings.schema, useCase: settings.useCase, common: settings.common, service: service, metrics: metrics
        ).run()
    }

    private func stream<S: EventSource>(_ source: S) throws {
        let topics = Topics(useCase: settings.useCase)
        guard try waitForTopics(topics) else { return }
        let (store, position, isRestart) = try openPosition(source)
        guard !service.life.isStopping else { return }
        if store != nil {
            service.warnOfEviction(settings.common.redis)
            if !isRestart, !settings.fromStart { warnWhereSentBefore(source.name, topics) }
        }
        if let position { try source.resume(at: position) }
        let tail = try isRestart ? readTail(topics) : DeliveredTail(topics: 3)
        // A record waits for its broker as long as it takes; only a stop ends the wait.
        let producer = try KafkaProducer(kafka, defaults: ["linger.ms": settings.pace.linger], properties: ["message.timeout.ms": "0"])
        let delivery = Delivery(
            producer, topics: topics, source: source.name, store: store, position: position ?? SourcePosition(), tail: tail,
            service: service, metrics: metrics)
        service.life.obstacle = nil
        service.log.info("producing", ["source": source.name, "rows_before": position?.events ?? 0])
        let end: StaticString
        do {
            end = try produce(source, delivery)
        } catch {
            // What the source gave before it broke is delivered all the same.
            try? delivery.finish(within: 5)
            throw error
        }
        do {
            try delivery.finish(within: 7)
        } catch {
            guard store != nil, service.life.isStopping else { throw error }
            service.log.warning("stopped before everything was delivered; a restart sends the rest", ["error": "\(error)"])
            return
        }
        service.log.info(end, ["events": metrics.events.value, "labels": metrics.labels.value, "rejected": metrics.rejected.value])
    }

    /// The loop: take what is due, send it, wait for the next. Returns why it ended.
    private func produce<S: EventSource>(_ source: S, _ delivery: Delivery) throws -> StaticString {
        let mapper = try RowMapper(schema: settings.schema, source: source)
        var pacer = Pacer(settings.pace)
        var progress = Progress(log: service.log)
        defer { progress.finish() }
        let began = Clock.monotonicSeconds
        let limit = settings.limit ?? .max
        var row = source.position.events < limit ? try source.next() : nil
        if row == nil, source.position.events > 0 {
            return "an earlier run came to the end of the source; --from-start begins again"
        }
        var warnedAboutFuture = false
        while let current = row {
            if service.life.isStopping { return "stopped by a signal" }
            let elapsed = Clock.monotonicSeconds - began
            if let duration = settings.duration, elapsed * 1_000 >= Double(duration) { return "duration over" }
            service.life.turned()

            if case .idle = current {
                try delivery.send()
                Clock.sleep(milliseconds: Self.idleWait)
                row = source.position.events < limit ? try next(source, delivery) : nil
                continue
            }
            let now = Clock.monotonicNanoseconds
            var wait = pacer.wait(eventTime: source.eventTime, now: now)
            var added = 0
            var pending: SourceRow? = current
            while wait <= 0, added < Self.batchRows, let due = pending, due != .idle {
                delivery.add(due, of: source, writer: mapper.write)
                pacer.sent()
                added += 1
                pending = source.position.events < limit ? try next(source, delivery) : nil
                if let pending, pending != .idle { wait = pacer.wait(eventTime: source.eventTime, now: now) }
            }
            row = pending
            if added > 0 {
                try delivery.send()
                metrics.behind.set(max(0, Double(-wait) / 1e9))
            } else {
                try delivery.storeProgress()
                Clock.sleep(milliseconds: min(Self.longestWait, max(1, Int(wait / 1_000_000))))
            }
            progress.update(count: source.position.events, fraction: fraction(source, elapsed: elapsed))
            if !warnedAboutFuture, added > 0, source.eventTime > Clock.milliseconds + 60_000 {
                warnedAboutFuture = true
                service.log.warning(
                    "event time has passed the present; events too far ahead will be refused downstream", ["source": source.name])
            }
        }
        return source.position.events >= limit ? "the limit is reached" : "the source has ended"
    }

    /// The next row. When the source breaks, what came before it still goes out.
    private func next<S: EventSource>(_ source: S, _ delivery: Delivery) throws -> SourceRow? {
        do { return try source.next() } catch {
            try delivery.send()
            throw error
        }
    }

    /// The furthest of the three ends that a run can have.
    private func fraction<S: EventSource>(_ source: S, elapsed: Double) -> Double? {
        let byLimit = settings.limit.map { Double(source.position.events) / Double($0) }
        let byDuration = settings.duration.map { elapsed * 1_000 / Double($0) }
        return [byLimit, byDuration, source.fraction].compactMap { $0 }.max().map { min(1, $0) }
    }

    // MARK: Waiting for the others

    /// False when the service was stopped meanwhile.
    private func waitForTopics(_ topics: Topics) throws -> Bool {
        let admin = try KafkaAdmin(kafka)
        let needed = Delivery.names(topics)
        var warned = ""
        while try admin.waitUntilReachable(service) {
            do {
                let known = try admin.topics(timeout: 2_000)
                guard let missing = needed.first(where: { known[$0] == nil }) else { return true }
                if missing != warned {
                    service.log.warning(
                        "waiting for a topic; create it with `vyuhactl topics create`", ["topic": missing, "use_case": settings.useCase])
                }
                warned = missing
                service.life.obstacle = "There is no topic \(missing)."
            } catch {
                guard error.isRetryable, !error.isFatal else { throw error }
                service.log.debug("the broker did not name its topics", ["error": error.message])
            }
            Clock.sleep(milliseconds: 500)
        }
        return false
    }

    /// - Returns: where positions are kept (nil: nowhere), how far an earlier run came, and whether there was one.
    private func openPosition<S: EventSource>(_ source: S) throws -> (PositionStore?, SourcePosition?, isRestart: Bool) {
        guard settings.keepsPosition, source.canResume else {
            service.log.warning(
                "no position is kept, so a restart begins again",
                ["why": source.canResume ? "REDIS_URL is not set" : "standard input cannot be read again"])
            return (nil, nil, false)
        }
        let store = PositionStore(redis: RedisClient(settings.common.redis), useCase: settings.useCase, source: source.name)
        let found = try whenRedisTakesIt {
            if !settings.fromStart, let position = try store.load() { return position as SourcePosition? }
            // Stored before the first event, so that a restart knows that there was a run.
            try store.store(source.position)
            return nil
        }
        guard let found else { return (nil, nil, false) }
        return (store, found, found != nil)
    }

    /// Waits for a Redis that is away or full; nil when the service was stopped meanwhile.
    private func whenRedisTakesIt<T>(_ body: () throws -> T) throws -> T? {
        var backoff = Backoff(initial: 50, maximum: 2_000)
        while !service.life.isStopping {
            service.life.turned()
            do {
                let result = try body()
                service.life.trouble = nil
                return result
            } catch let error as RedisError where error.isRetryable {
                if backoff.attempts == 0 { service.log.warning("waiting for redis", ["error": error.message]) }
                service.life.trouble = error.message
                Clock.sleep(milliseconds: backoff.next())
            }
        }
        return nil
    }

    /// A position that is gone, as after an eviction or FLUSHALL, must not look like a first run: the source is sent again.
    private func warnWhereSentBefore(_ source: String, _ topics: Topics) {
        do {
            guard
                try DeliveredTail.hasRecords(
                    of: source, on: topics.events, kafka: kafka, group: settings.useCase + ".producer", service: service)
            else { return }
            service.log.warning(
                "the topic has events of this source, but Redis has no position of it: the source is sent again from its beginning",
                ["source": source, "topic": topics.events])
        } catch {
            service.log.debug("the end of the topic could not be looked at", ["error": "\(error)"])
        }
    }

    private func readTail(_ topics: Topics) throws -> DeliveredTail {
        try DeliveredTail(
            reading: Delivery.names(topics), kafka: kafka, group: settings.useCase + ".producer",
            window: Delivery.window, timeout: 30, service: service)
    }
}
