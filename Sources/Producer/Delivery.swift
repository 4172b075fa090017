import Contracts
import JSON
import KafkaClient
import RedisClient
import ServiceKit

/// Takes rows to Kafka in batches and stores the position behind those that the broker has acknowledged.
///
/// At most `window` rows are ahead of the stored position; when Kafka or Redis is away, the source waits.
final class Delivery {
    /// Bounds the rows that a restart has to look for at the ends of the topics.
    static let window = 10_000
    /// Larger than this an event would not pass a broker's usual limit of 1 MiB: the row goes to the dead letters.
    private static let maximumEventBytes = 900_000
    /// Milliseconds between two stored positions, unless a quarter of the window is full before.
    private static let storeInterval = 100.0

    private enum Topic { static let events = 0, labels = 1, deadLetter = 2 }

    private let producer: KafkaProducer
    private let store: PositionStore?
    private let service: Service
    private let metrics: ProducerMetrics
    private let source: String
    // One thread owns a delivery, so the run-time checks of exclusive access would only cost.
    @exclusivity(unchecked) private var batch: OutgoingBatch
    @exclusivity(unchecked) private var json = JSONWriter(capacity: 512)
    @exclusivity(unchecked) private var label = JSONWriter(capacity: 256)
    @exclusivity(unchecked) private var tail: DeliveredTail

    /// Sent and not yet stored, oldest first.
    private var pending: [(ticket: DeliveryTicket, position: SourcePosition)] = []
    private var firstPending = 0
    @exclusivity(unchecked) private var newest = SourcePosition()
    private var stored: Int64
    private var lastStore = Clock.monotonicSeconds
    private var backoff = Backoff(initial: 50, maximum: 1_000)
    private var retryAt = 0.0

    init(
        _ producer: KafkaProducer, topics: Topics, source: String, store: PositionStore?, position: SourcePosition, tail: DeliveredTail,
        service: Service, metrics: ProducerMetrics
    ) {
        self.producer = producer
        self.store = store
        self.service = service
        self.metrics = metrics
        self.source = source
        self.tail = tail
        stored = position.events
        batch = OutgoingBatch(topics: Self.names(topics))
    }

    /// The topics in the order of `Topic`.
    static func names(_ topics: Topics) -> [String] { [topics.events, topics.labels, topics.deadLetter] }

    /// Adds the source's current row. A record that an earlier run delivered is left out.
    func add<S: EventSource>(_ row: SourceRow, of source: S, writer: (S, inout JSONWriter) -> Void) {
        switch row {
        case .event:
            json.removeAll()
            writer(source, &json)
            if json.count > Self.maximumEventBytes {
                addDeadLetter(
                    .tooLarge, "The row makes an event of \(json.count) bytes; at most \(Self.maximumEventBytes) pass.", of: source)
            } else {
                addEvent(of: source)
            }
        case .unmappable(let reason, let detail): addDeadLetter(reason, detail, of: source)
        case .idle: return
        }
        newest = source.position
        tail.passed()
    }

    private func addEvent<S: EventSource>(of source: S) {
        let id = source.id
        let entity = source.entity
        let key: Range<Int>? = entity.isEmpty ? nil : 0..<entity.count
        if !tail.contains(topic: Topic.events, id: id) {
            batch.append(topic: Topic.events, keyOf: entity, key, valueOf: json.bytes, 0..<json.count)
            batch.header("id", of: id, 0..<id.count)
            metrics.events.add()
        }
        let truth = source.truth
        guard truth.isNotable, !tail.contains(topic: Topic.labels, id: id) else { return }
        label.removeAll()
        id.withUnsafeBytes { id in
            entity.withUnsafeBytes { entity in
                LabelRecord.write(
                    id: id, entity: entity, eventTime: source.eventTime, isAnomaly: truth.isAnomaly, ignore: truth.ignore,
                    kind: truth.kind, start: truth.start ?? source.eventTime, end: truth.end ?? source.eventTime, into: &label)
            }
        }
        batch.append(topic: Topic.labels, keyOf: entity, key, valueOf: label.bytes, 0..<label.count)
        batch.header("id", of: id, 0..<id.count)
        metrics.labels.add()
    }

    private func addDeadLetter<S: EventSource>(_ reason: DeadLetterReason, _ detail: String, of source: S) {
        let id = source.id
        guard !tail.contains(topic: Topic.deadLetter, id: id) else { return }
        batch.append(topic: Topic.deadLetter, key: nil, value: Array(source.raw))
        batch.header("id", of: id, 0..<id.count)
        batch.header("source-topic", self.source)
        batch.header("source-offset", String(source.position.line))
        batch.header("reason", reason.rawValue)
        batch.header("field", "")
        batch.header("detail", detail)
        batch.header("service", service.name)
        metrics.rejected.add()
    }

    /// Hands over what was added. Waits while the client's queue is full or the window is used up.
    func send() throws {
        if !batch.isEmpty {
            var start = 0
            let stopDeadline = StopDeadline(service.life)
            sending: while true {
                do {
                    pending.append((try producer.send(batch, from: start, timeout: 1_000), newest))
                    break sending
                } catch {
                    let mayPass = error.isRetryable && !error.isFatal && error.failedDeliveries == 0
                    guard mayPass, let index = error.recordIndex, !stopDeadline.hasPassed else { throw error }
                    start = index
                    service.life.turned()
                }
            }
            batch.removeAll()
        } else if newest.events > (pending.last?.position.events ?? stored) {
            // Everything in the batch had been delivered by an earlier run: its position counts once what was sent before is delivered.
            pending.append((pending.last?.ticket ?? .none, newest))
        }
        try storeProgress()
        let stopDeadline = StopDeadline(service.life)
        while store != nil, newest.events - stored > Int64(Self.window - 1_000), !stopDeadline.hasPassed {
            service.life.turned()
            Clock.sleep(milliseconds: 1)
            try storeProgress()
        }
    }

    /// Stores the position behind everything that is delivered, if it is time to. Redis away is no error here: the next call tries again.
    func storeProgress(now force: Bool = false) throws {
        let delivered = producer.delivered
        var reached: SourcePosition?
        while firstPending < pending.count, pending[firstPending].ticket <= delivered {
            reached = pending[firstPending].position
            firstPending += 1
        }
        guard let reached else { return }
        let now = Clock.monotonicSeconds
        let due = (now - lastStore) * 1_000 >= Self.storeInterval || reached.events - stored >= Int64(Self.window / 4)
        guard let store, (due || force) && now >= retryAt else {
            // The newest of these waits for its turn to be stored.
            if store == nil { forgetPending() } else { firstPending -= 1 }
            return
        }
        do {
            try store.store(reached)
            stored = reached.events
            lastStore = now
            backoff.reset()
            forgetPending()
        } catch {
            guard error.isRetryable else { throw error }
            firstPending -= 1
            retryAt = now + Double(backoff.next()) / 1_000
            if backoff.attempts == 1 {
                service.log.warning("redis is away; the position is stored when it is back", ["error": error.message])
            }
        }
    }

    /// Drops what is behind `firstPending`, now and then, so that the array neither grows nor moves at every step.
    private func forgetPending() {
        guard firstPending == pending.count || firstPending > 1_024 else { return }
        pending.removeFirst(firstPending)
        firstPending = 0
    }

    /// Waits until everything is with the broker and the position is stored.
    func finish(within seconds: Double) throws {
        let deadline = Clock.monotonicSeconds + seconds
        try producer.flush(timeout: Int(seconds * 1_000))
        while store != nil, stored < newest.events {
            retryAt = 0
            try storeProgress(now: true)
            guard stored < newest.events else { break }
            guard Clock.monotonicSeconds < deadline else {
                service.log.warning("the last position could not be stored; a restart compares with the topics", ["events": newest.events])
                break
            }
            Clock.sleep(milliseconds: 20)
        }
        try producer.close(timeout: 1_000)
    }
}

/// Once the service has been told to stop, waits may take this much longer and no more, so that it ends within its 10 s.
struct StopDeadline {
    private static let grace = 5.0
    private let life: Lifecycle
    private let began: Double

    init(_ life: Lifecycle) {
        self.life = life
        began = Clock.monotonicSeconds
    }

    var hasPassed: Bool { life.isStopping && Clock.monotonicSeconds - began > Self.grace }
}
