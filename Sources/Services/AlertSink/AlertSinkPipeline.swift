import Platform
import Alerting
import AlertStore
import Contracts
import KafkaClient
import RedisClient
import ServiceKit
import UseCases
import Streaming

/// In:        `<uc>.anomalies`, keyed by entity
/// Out:       each receiver: log, `<uc>.alerts`, webhook, Slack, Alertmanager, mail; `<uc>.dead-letter`
/// State:     Redis: groups, marks, timers, silences (`AlertStore`), an outbox per receiver (`Outbox`); none here
/// Guarantee: an anomaly is decided about once; each receiver gets a message at least once, under one id, or it becomes a dead letter
/// On error:  no anomaly: dead letter; receiver away: its outbox waits; outbox full, Redis or Kafka away: waits, commits nothing
final class AlertSinkPipeline {
    private let settings: AlertSinkSettings
    private let service: Service
    private let loop: ConsumerLoop
    private let sink: RecordSink
    private let decoder: AnomalyDecoder
    private let decisions: Decisions
    private let metrics: AlertSinkMetrics
    private let turn = Turn()
    private var id: [UInt8] = []
    private var refused: [DeadLetterReason] = []

    init(_ settings: AlertSinkSettings, _ service: Service) throws {
        self.settings = settings
        self.service = service
        let topics = settings.identity.topics
        sink = try RecordSink(settings.stream, service, topics: [topics.deadLetter])
        loop = ConsumerLoop(
            settings.stream, service, topics: [topics.anomalies], group: settings.identity.group, batch: settings.batch, sink: sink,
            deadLetterTopic: 0)
        decoder = try AnomalyDecoder()
        decisions = try Decisions(settings)
        metrics = AlertSinkMetrics(service.metrics)
        service.warnOfEviction(settings.common.redis)
    }

    // MARK: The stages

    /// The first half, on the consumer's thread: decode → enrich → silence → inhibit → group, and for the groups whose time has come
    /// deduplicate → cooldown → rate cap → route → outbox. Those whose time comes later: `Timekeeper`.
    private func decide(_ batch: borrowing RecordBatch) throws {
        sink.batch.removeAll()
        refused.removeAll(keepingCapacity: true)
        var sightings: [Sighting] = []
        for record in batch.records {
            if let sighting = try decode(record, of: batch) { sightings.append(sighting) }
        }
        let now = Clock.milliseconds
        metrics.note(try decisions.decide(sightings, now: now))
        try sink.deliver()
        metrics.note(refused)
        metrics.latency.observe(sightings.map { Double(now - $0.producedAt) / 1000 })
    }

    /// The second half, on a thread per receiver: outbox → deliver → record.
    static func deliver(_ delivery: Delivery, _ turn: Turn) throws {
        while let entry = try delivery.next(turn) {
            let result = delivery.attempt(entry, turn)
            try delivery.record(entry, result)
        }
    }

    // MARK: Running them

    func run() throws {
        for kind in Receivers.wanted(settings) {
            let (settings, service) = (settings, service)
            start("to-" + kind.name) { try Self.run(kind, settings, service, $0) }
        }
        let (settings, service, metrics) = (settings, service, metrics)
        start("timekeeper") { turn in
            let token = "\(settings.owner)-\(UInt64.random(in: 0 ... .max))"
            try Timekeeper(try Decisions(settings), token: token, note: metrics.note).run(turn, service.log)
        }
        defer { sink.close() }
        do {
            try loop.run { try decide($0) }
        } catch {
            turn.failed(error)
        }
        turn.drain(milliseconds: 3_000)
        while turn.isAnyoneRunning { Clock.sleep(milliseconds: 5) }
        try turn.throwFailure()
    }

    private func decode(_ record: ConsumedRecord, of batch: borrowing RecordBatch) throws -> Sighting? {
        let source = Sighting.Source(partition: record.partition, offset: record.offset, timestamp: record.timestamp)
        do {
            return try decoder.decode(batch.bytes, record.value, source: source)
        } catch {
            batch.identity(of: record, into: &id)
            sink.addDeadLetter(
                topic: 0, record, of: batch, id: id, reason: error.reason, field: error.field, detail: error.detail)
            refused.append(error.reason)
            return nil
        }
    }

    private func start(_ name: String, _ body: @escaping @Sendable (Turn) throws -> Void) {
        let (service, turn) = (service, turn)
        turn.began()
        Threads.start(name) {
            defer { turn.ended() }
            do {
                try body(turn)
            } catch {
                turn.failed(error)
                service.life.stop()
            }
        }
    }

    /// A delivery thread: everything it uses is made here and belongs to it.
    private static func run(_ kind: ReceiverKind, _ settings: AlertSinkSettings, _ service: Service, _ turn: Turn) throws {
        let graveyard = Graveyard(settings, service, receiver: kind.name)
        let key = settings.identity.keys.alertOutbox(receiver: kind.name)
        let delivery = Delivery(
            outbox: Outbox(RedisClient(settings.common.redis), key: key, owner: settings.owner), receiver: try kind.make(settings, service),
            metrics: DeliveryMetrics(service.metrics, receiver: kind.name), log: service.log, maximumAge: Int64(settings.maximumAge),
            giveUp: graveyard.take)
        defer {
            delivery.close()
            graveyard.close()
        }
        try keepDelivering(delivery, turn, service.log)
    }

    /// Delivers until the turn is over; Redis or Kafka being away only makes it wait.
    static func keepDelivering(_ delivery: Delivery, _ turn: Turn, _ log: Logger) throws {
        var backoff = Backoff(initial: 50, maximum: 2_000)
        var lastFailure = 0.0
        while !turn.isOver {
            do {
                try deliver(delivery, turn)
                try delivery.leave()
                return
            } catch  where Self.mayPass(error) {
                // Ten seconds without a failure: it is another outage.
                if Clock.monotonicSeconds - lastFailure > 10 { backoff.reset() }
                lastFailure = Clock.monotonicSeconds
                if backoff.attempts == 0 { log.warning("alerts wait because a server is away", ["error": "\(error)"]) }
                if turn.isDraining { return }
                Clock.sleep(milliseconds: backoff.next())
            }
        }
    }

    private static func mayPass(_ error: any Error) -> Bool {
        switch error {
        case let error as KafkaError: error.isRetryable && !error.isFatal
        case let error as RedisError: error.isRetryable
        default: false
        }
    }
}

extension Decisions {
    /// With a connection of its own.
    convenience init(_ settings: AlertSinkSettings) throws {
        let receivers = Receivers.wanted(settings).map(\.name)
        let store = try AlertStore(
            RedisClient(settings.common.redis), keys: settings.identity.keys, receivers: receivers,
            outboxLimit: settings.outboxLimit, memory: settings.memory)
        self.init(store, settings.useCase.alerts.policy, Messages(text: AlertText(settings.useCase), receivers: receivers))
    }
}
