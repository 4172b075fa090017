import Platform
import Contracts
import JSON
import KafkaClient
import RedisClient
import ServiceKit
import Streaming

/// Takes rows to Kafka in batches and stores the position behind those that the broker has acknowledged.
///
/// At most `window` rows are ahead of the stored position; when Kafka or Redis is away, the source waits.
final class Delivery {
    /// Bounds the rows that a restart has to look for at the ends of the topics.
    static let window = 10_000
    /// Larger than this a record would not pass a broker's usual limit of 1 MiB: an event becomes a dead letter, and that is cut.
    static let maximumEventBytes = 900_000
    /// A topic that does not even take a dead letter of so many bytes is wrong, not the letter.
    private static let leastLetter = 1_000
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
    /// What brokers refused, on its way to the dead letters.
    private var letters: OutgoingBatch
    private var letterWait = Backoff(initial: 100, maximum: 5_000)
    private var lettersAt = 0.0

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
        letters = OutgoingBatch(topics: Self.names(topics))
    }

    /// The topics in the order of `Topic`.
    static func names(_ topics: Topics) -> [String] { [topics.events, topics.labels, topics.deadLetter] }

    /// Adds the source's current row. A record that an earlier run delivered is left out.
    func add<S: EventSource>(_ row: SourceRow, of source: S, writer: (S, inout JSONWriter) -> Void) {
        switch row {
        case .event:
            json.removeAll()
            writer(source, &json)
            // The key and the id are the row's own text too.
            let size = json.count + source.entity.count + source.id.count
            if size > Self.maximumEventBytes {
                addDeadLetter(.tooLarge, "The row makes an event of \(size) bytes; at most \(Self.maximumEventBytes) pass.", of: source)
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
        if let problem = truth.problem {
            if metrics.unreadableTruths.value == 0 {
                service.log.warning("rows whose label cannot be read are sent and not judged", ["first": problem])
            }
            metrics.unreadableTruths.add()
        }
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
        let raw = source.raw
        batch.append(topic: Topic.deadLetter, key: nil, value: Array(raw.prefix(Self.maximumEventBytes)))
        let isCut = raw.count > Self.maximumEventBytes
        batch.headers(of: letter(reason, detail, line: Int64(source.position.line), originalSize: isCut ? raw.count : nil), id: id)
        metrics.rejected.add()
    }

    private func letter(_ reason: DeadLetterReason, _ detail: String, line: Int64?, originalSize: Int?) -> DeadLetter {
        DeadLetter(
            id: "", origin: .row(source: source, line: line), stage: .source, reason: reason, detail: detail, service: service.name,
            originalSize: originalSize)
    }

    /// Hands over what was added. Waits while the client's queue is full or the window is used up.
    func send() throws {
        if !batch.isEmpty {
            let ticket = try queue(batch)
            pending.append((ticket, newest))
            batch.removeAll()
        } else if newest.events > (pending.last?.position.events ?? stored) {
            // Everything in the batch had been delivered by an earlier run: its position counts once what was sent before is delivered.
            pending.append((pending.last?.ticket ?? .none, newest))
        }
        try storeProgress()
        let stopDeadline = StopDeadline(service.life)
        while !letters.isEmpty || (store != nil && newest.events - stored > Int64(Self.window - 1_000)), !stopDeadline.hasPassed {
            service.life.turned()
            Clock.sleep(milliseconds: 1)
            try storeProgress()
        }
    }

    private func queue(_ batch: OutgoingBatch) throws -> DeliveryTicket {
        var start = 0
        let stopDeadline = StopDeadline(service.life)
        while true {
            do {
                return try producer.send(batch, from: start, timeout: 1_000)
            } catch {
                start = error.recordIndex ?? start
                service.life.turned()
                if error.refusesRecord, !error.isFatal {
                    if error.failedDeliveries > 0 {
                        guard takeRefused() else { throw error }
                    } else {
                        bury(batch.refused(start, error))
                        start += 1
                    }
                    continue
                }
                let mayPass = error.isRetryable && !error.isFatal && error.failedDeliveries == 0 && error.recordIndex != nil
                guard mayPass, !stopDeadline.hasPassed else { throw error }
            }
        }
    }

    // MARK: Refused by the broker

    /// What brokers refused for good becomes dead letters: sent again as it is, it would be refused for ever.
    private func takeRefused() -> Bool {
        let refused = producer.takeRefused()
        for record in refused { bury(record) }
        return !refused.isEmpty
    }

    private func bury(_ record: RefusedRecord) {
        let value = record.value ?? []
        let isLetter = record.topic == letters.topics[Topic.deadLetter]
        // A letter that was refused is tried again, shorter.
        let room = isLetter ? max(Self.leastLetter, value.count / 2) : Self.maximumEventBytes
        if isLetter, value.count <= Self.leastLetter {
            if letterWait.attempts == 0 {
                service.log.error("the dead-letter topic refuses even a small record, which is tried again", ["error": record.error.message])
            }
            service.life.trouble = record.error.message
            lettersAt = Clock.monotonicSeconds + Double(letterWait.next()) / 1_000
        }
        letters.append(topic: Topic.deadLetter, key: nil, value: Array(value.prefix(room)))
        if isLetter {
            for header in record.headers { letters.header(header.name, header.value) }
            if room < value.count, record.header("original-size") == nil { letters.header("original-size", String(value.count)) }
            return
        }
        let detail = "The broker refused the record of \(value.count) bytes for \(record.topic). \(record.error.message)"
        letters.headers(of: letter(.tooLarge, detail, line: nil, originalSize: room < value.count ? value.count : nil), id: record.header("id") ?? [])
        if metrics.rejected.value == 0 {
            service.log.warning("the broker refuses records for good; they are dead letters", ["topic": record.topic, "error": record.error.message])
        }
        metrics.rejected.add()
    }

    /// Sends the letters; what was handed over before counts as delivered only with them.
    private func sendLetters() throws {
        _ = takeRefused()
        guard !letters.isEmpty, Clock.monotonicSeconds >= lettersAt else { return }
        let sent = letters
        letters.removeAll()
        let ticket = try queue(sent)
        if firstPending == pending.count { pending.append((ticket, newest)) }
        for index in firstPending..<pending.count { pending[index].ticket = max(pending[index].ticket, ticket) }
    }

    /// Stores the position behind everything that is delivered, if it is time to. Redis away or full is no error here: the next call tries again.
    func storeProgress(now force: Bool = false) throws {
        try sendLetters()
        guard letters.isEmpty else { return }
        let delivered = producer.delivered
        var reached: SourcePosition?
        while firstPending < pending.count, pending[firstPending].ticket <= delivered {
            reached = pending[firstPending].position
            firstPending += 1
        }
        guard let reached else { return }
        if letterWait.attempts > 0 {
            letterWait.reset()
            service.life.trouble = nil
        }
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
            if backoff.attempts > 0 {
                service.log.info("the position is stored again", ["events": stored])
                service.life.trouble = nil
                backoff.reset()
            }
            forgetPending()
        } catch {
            guard error.isRetryable else { throw error }
            firstPending -= 1
            retryAt = now + Double(backoff.next()) / 1_000
            service.life.trouble = error.message
            if backoff.attempts == 1 {
                service.log.warning(
                    "the position cannot be stored, which is tried again; the source waits soon", ["error": error.message])
            }
        }
    }

    /// Drops what is behind `firstPending`, now and then, so that the array neither grows nor moves at every step.
    private func forgetPending() {
        guard firstPending == pending.count || firstPending > 1_024 else { return }
        pending.removeFirst(firstPending)
        firstPending = 0
    }

    private func flush(until deadline: Double) throws {
        while true {
            do {
                try producer.flush(timeout: max(0, Int((deadline - Clock.monotonicSeconds) * 1_000)))
            } catch {
                guard error.refusesRecord, takeRefused() else { throw error }
            }
            guard !letters.isEmpty else { return }
            guard Clock.monotonicSeconds < deadline else { throw SourceError("The dead-letter topic refuses what is to go there; check its limits.") }
            try sendLetters()
            if !letters.isEmpty { Clock.sleep(milliseconds: 20) }
        }
    }

    /// Waits until everything is with the broker and the position is stored.
    func finish(within seconds: Double) throws {
        let deadline = Clock.monotonicSeconds + seconds
        try flush(until: deadline)
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
