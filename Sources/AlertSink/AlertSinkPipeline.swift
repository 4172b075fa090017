import Contracts
import KafkaClient
import RedisClient
import ServiceKit
import UseCases

/// In:        `<uc>.anomalies`, keyed by entity
/// Out:       each receiver: log, `<uc>.alerts`, webhook; `<uc>.dead-letter`
/// State:     Redis: a hash per group (`Admission`), an outbox per receiver (`Outbox`); none here
/// Guarantee: an anomaly is decided about once; each receiver gets an alert at least once, under one id, or it becomes a dead letter
/// On error:  no anomaly: dead letter; receiver away: its outbox waits; outbox full, Redis or Kafka away: waits, commits nothing
final class AlertSinkPipeline {
    private let settings: AlertSinkSettings
    private let service: Service
    private let loop: ConsumerLoop
    private let outlet: Outlet
    private let decoder: AnomalyDecoder
    private let admission: Admission
    private let metrics: AlertSinkMetrics
    private let turn = Turn()
    private var id: [UInt8] = []
    private var refused: [DeadLetterReason] = []

    init(_ settings: AlertSinkSettings, _ service: Service) throws {
        self.settings = settings
        self.service = service
        let useCase = settings.useCase
        let topics = Topics(useCase: useCase.name)
        outlet = try Outlet(settings.common, service, topics: [topics.deadLetter])
        loop = ConsumerLoop(
            settings.common, service, topics: [topics.anomalies], group: useCase.name + ".alert-sink", batch: settings.batch, outlet: outlet,
            deadLetterTopic: 0)
        decoder = try AnomalyDecoder()
        admission = Admission(
            RedisClient(settings.common.redis), keys: RedisKeys(useCase: useCase.name),
            receivers: Receivers.all.filter { $0.isWanted(settings) }.map(\.name), outboxLimit: settings.outboxLimit,
            cooldown: Int64(useCase.alerts.cooldown), memory: settings.memory)
        metrics = AlertSinkMetrics(service.metrics)
    }

    // MARK: The stages

    /// The first half, on the consumer's thread: decode → admit (deduplicate, cooldown) → outbox.
    private func decide(_ batch: borrowing RecordBatch) throws {
        outlet.batch.removeAll()
        refused.removeAll(keepingCapacity: true)
        var anomalies: [AnomalyDecoder.Decoded] = []
        for record in batch.records {
            if let anomaly = try decode(record, of: batch) { anomalies.append(anomaly) }
        }
        let now = Clock.milliseconds
        var outcome = Admission.Outcome()
        defer { metrics.note(outcome) }
        try admission.admit(anomalies, now: now, &outcome)
        try outlet.deliver()
        metrics.note(refused)
        metrics.latency.observe(anomalies.map { Double(now - $0.producedAt) / 1000 })
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
        for kind in Receivers.all where kind.isWanted(settings) { start(kind) }
        defer { outlet.close() }
        do {
            try loop.run { try decide($0) }
        } catch {
            turn.failed(error)
        }
        turn.drain(milliseconds: 3_000)
        while turn.isAnyoneRunning { Clock.sleep(milliseconds: 5) }
        try turn.throwFailure()
    }

    private func decode(_ record: ConsumedRecord, of batch: borrowing RecordBatch) throws -> AnomalyDecoder.Decoded? {
        let source = AnomalyDecoder.Source(partition: record.partition, offset: record.offset, timestamp: record.timestamp)
        do {
            return try decoder.decode(batch.bytes, record.value, source: source)
        } catch {
            batch.identity(of: record, into: &id)
            outlet.batch.appendDeadLetter(
                topic: 0, record, of: batch, id: id, reason: error.reason, field: error.field, detail: error.detail, service: service.name)
            refused.append(error.reason)
            return nil
        }
    }

    private func start(_ kind: ReceiverKind) {
        let (settings, service, turn) = (settings, service, turn)
        turn.began()
        Threads.start("to-" + kind.name) {
            defer { turn.ended() }
            do {
                try Self.run(kind, settings, service, turn)
            } catch {
                turn.failed(error)
                service.life.stop()
            }
        }
    }

    /// A delivery thread: everything it uses is made here and belongs to it.
    private static func run(_ kind: ReceiverKind, _ settings: AlertSinkSettings, _ service: Service, _ turn: Turn) throws {
        let graveyard = Graveyard(settings, service)
        let key = RedisKeys(useCase: settings.useCase.name).alertOutbox(receiver: kind.name)
        let delivery = Delivery(
            outbox: Outbox(RedisClient(settings.common.redis), key: key, owner: settings.owner), receiver: try kind.make(settings, service),
            text: AlertText(settings.useCase), metrics: DeliveryMetrics(service.metrics, receiver: kind.name), log: service.log,
            maximumAge: Int64(settings.maximumAge), giveUp: graveyard.take)
        defer {
            delivery.close()
            graveyard.close()
        }
        try keepDelivering(delivery, turn, service.log)
    }

    /// Delivers until the turn is over; Redis or Kafka being away only makes it wait.
    static func keepDelivering(_ delivery: Delivery, _ turn: Turn, _ log: Logger) throws {
        var backoff = Backoff(initial: 50, maximum: 2_000)
        while !turn.isOver {
            do {
                try deliver(delivery, turn)
                try delivery.leave()
                return
            } catch  where Self.mayPass(error) {
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
