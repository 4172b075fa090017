import Contracts
import Features
import JSON
import KafkaClient
import ServiceKit
import Streaming
import UseCases

/// In:        `<uc>.events`, keyed by entity
/// Out:       `<uc>.features` (same partition), `<uc>.dead-letter`
/// State:     windows and histories per partition, snapshots in Redis; none where features need only their own event
/// Guarantee: at least once, or with `VYUHA_DELIVERY=exactly-once` in transactions; in order per entity; every event is in features or dead
///            letters, by distinct id; of a window the highest revision counts, and no pause makes an event late
/// On error:  a bad event, or a late one that no set can use, is a dead letter and the partition goes on; Kafka or Redis away: waits, commits nothing
final class StreamProcessorPipeline {
    private enum Topic { static let features = 0, deadLetter = 1 }

    private let service: Service
    private let sink: RecordSink
    private let metrics: StreamProcessorMetrics
    private let settings: StreamProcessorSettings

    // Only the loop's thread comes here, and nothing of it comes here twice: checks for overlapping access would cost a tenth of the time.

    private let decoder: EventDecoder
    @exclusivity(unchecked) private var writers: FeatureWriters
    @exclusivity(unchecked) private var emissions = Emissions()
    @exclusivity(unchecked) private var id: [UInt8] = []
    @exclusivity(unchecked) private var json = JSONWriter(capacity: 1 << 12)
    /// Feature records queued since the last delivery.
    @exclusivity(unchecked) private var queued = 0
    @exclusivity(unchecked) private var ages = EventAges()
    /// Whether some set has a vector of each event, which carries the event's identity.
    private let namesEvents: Bool
    private var partitions: StatefulPartitions<ProcessorState>?
    /// For a plan without history: one state serves every partition, since it remembers nothing.
    private let stateless: PartitionState?

    init(_ settings: StreamProcessorSettings, _ service: Service) throws {
        let useCase = settings.useCase
        let topics = settings.identity.topics
        self.service = service
        self.settings = settings
        sink = try RecordSink(settings.stream, service, topics: [topics.features, topics.deadLetter], delivery: settings.delivery)
        metrics = StreamProcessorMetrics(service.metrics)
        decoder = EventDecoder(schema: useCase.plan.schema)
        namesEvents = useCase.plan.sets.contains { $0.scope == .event }
        writers = FeatureWriters(useCase.plan)
        stateless = useCase.plan.needsHistory ? nil : PartitionState(plan: useCase.plan)
    }

    func run() throws {
        defer { sink.close() }
        let (useCase, identity) = (settings.useCase, settings.identity)
        if useCase.plan.needsHistory {
            service.warnOfEviction(settings.common.redis)
            partitions = StatefulPartitions(
                service, redis: settings.common.redis,
                store: { StateStore($0, keys: identity.keys, service: identity.name) },
                interval: Double(settings.snapshotInterval) / 1000, idleAfter: settings.idleTimeout.map { Int64($0) } ?? .max,
                make: { ProcessorState(useCase.plan, partition: $0) }, carryOut: { [unowned self] in try advance($0, $1, isReplay: $2) })
        }
        let loop = ConsumerLoop(
            settings.stream, service, topics: [settings.identity.topics.events], group: settings.identity.group,
            batch: settings.batch, owner: partitions, sink: sink, deadLetterTopic: Topic.deadLetter)
        try loop.run { batch in
            try process(batch)
            try deliver()
            trace(batch)
        }
    }

    /// At level debug one line per event, under the id that every later hop and the alert's line show too.
    private func trace(_ batch: borrowing RecordBatch) {
        guard service.log.level == .debug else { return }
        for record in batch.records {
            batch.identity(of: record, into: &id)
            service.log.debug(
                "event processed", ["id": String(decoding: id, as: UTF8.self), "partition": Int(record.partition), "offset": record.offset])
        }
    }

    private func deliver() throws {
        defer { queued = 0 }
        try sink.deliver()
        ages.report(metrics.old, service.log)
        metrics.features.add(queued)
        metrics.publish(partitions)
    }

    /// One event becomes one feature record per feature set and closes what its time closes, or it becomes one dead letter.
    private func process(_ batch: borrowing RecordBatch) throws {
        let records = batch.records
        guard let partitions else {
            guard let stateless else { return }
            for record in records {
                if let outcome = apply(record, of: batch, to: stateless, isReplay: false) { finish(outcome, record, of: batch) }
            }
            return
        }
        try partitions.apply(batch) { owned, record, isReplay in
            let outcome = apply(record, of: batch, to: owned.state.partition, isReplay: isReplay)
            if let outcome, !isReplay { finish(outcome, record, of: batch) }
        }
    }

    /// Checks and decodes the event and takes it into the state.
    /// - Parameter isReplay: the event's effects are durable already; only the state is rebuilt.
    /// - Returns: nil when the event was refused.
    private func apply(
        _ record: ConsumedRecord, of batch: borrowing RecordBatch, to state: PartitionState, isReplay: Bool
    ) -> ApplyOutcome? {
        if !emissions.items.isEmpty { emissions.removeAll() }
        guard let value = record.value, !value.isEmpty else {
            return refuse(record, of: batch, isReplay, .empty, "The event has no bytes.")
        }
        guard value.count <= settings.maximumEventBytes else {
            let sentence = "The event has \(value.count) bytes; at most \(settings.maximumEventBytes) are read."
            return refuse(record, of: batch, isReplay, .tooLarge, sentence)
        }
        guard decoder.decode(batch.bytes, value) else { return refuse(record, of: batch, isReplay, decoder.errors) }
        if let sentence = wrongKey(record, of: batch, isReplay) { return refuse(record, of: batch, isReplay, .badKey, sentence) }
        ages.note(decoder.eventTime, kafkaTimestamp: record.timestamp)
        return state.apply(decoder, kafkaTimestamp: record.timestamp, into: &emissions)
    }

    /// What is wrong with the key of the event that was decoded. An entity's events belong into one partition, which its key sees to; only where
    /// nothing is remembered of an entity, or there is but one partition, can an event do without.
    private func wrongKey(_ record: ConsumedRecord, of batch: borrowing RecordBatch, _ isReplay: Bool) -> String? {
        if let key = record.key {
            return batch.bytes[key].elementsEqual(decoder.entity)
                ? nil : "The record's key is not the event's entity; records of one entity must share its key."
        }
        guard partitions == nil || partitions?.partitionCount == 1 else {
            return "The record has no key; it must be the event's entity, so that all events of an entity are in one partition."
        }
        if !isReplay { metrics.withoutKey.add() }
        return nil
    }

    private func finish(_ outcome: ApplyOutcome, _ record: ConsumedRecord, of batch: borrowing RecordBatch) {
        if let reason = outcome.refusal {
            _ = refuse(record, of: batch, false, reason, outcome.sentence(settings.useCase.plan.time) ?? "")
            return
        }
        if case .lateForWindows = outcome { metrics.lateForWindows.add() }
        guard !emissions.items.isEmpty else { return }
        if namesEvents { batch.identity(of: record, into: &id) }
        emit(record.partition, offset: record.offset, producedAt: record.timestamp)
    }

    /// What wall-clock time decided: emits windows of a partition where no events come.
    private func advance(_ owned: OwnedPartition<ProcessorState>, _ advance: EventTimeAdvance, isReplay: Bool) throws {
        emissions.removeAll()
        owned.state.partition.advance(to: advance.rawValue, into: &emissions)
        guard !isReplay else { return }
        emit(owned.partition, offset: owned.next, producedAt: Clock.milliseconds, isClocks: true)
        try deliver()
    }

    /// Queues a feature record for each emission; `id` is the event's identity where one of them is its own vector.
    private func emit(_ partition: Int32, offset: Int64, producedAt: Int64, isClocks: Bool = false) {
        emissions.items.withUnsafeBufferPointer { items in
            emissions.bytes.withUnsafeBytes { bytes in
                emissions.values.withUnsafeBufferPointer { values in
                    id.withUnsafeBytes { id in
                        for sequence in items.indices {
                            json.removeAll()
                            writers.write(
                                items[sequence], bytes, values, eventID: id, producedAt: producedAt, offset: offset,
                                sequence: isClocks ? -1 : sequence, into: &json)
                            let key = UnsafeRawBufferPointer(rebasing: bytes[items[sequence].entity])
                            json.bytes.withUnsafeBytes { sink.batch.append(topic: Topic.features, partition: partition, key: key, value: $0) }
                            // One event can be followed by this header from its topic to its alert.
                            if items[sequence].kind == .event { sink.batch.header("id", id) }
                        }
                    }
                }
            }
        }
        queued += emissions.items.count
    }

    private func refuse(
        _ record: ConsumedRecord, of batch: borrowing RecordBatch, _ isReplay: Bool, _ reason: DeadLetterReason, _ sentence: String
    ) -> ApplyOutcome? {
        refuse(record, of: batch, isReplay, [FieldError(field: "", reason: reason, message: sentence)])
    }

    private func refuse(
        _ record: ConsumedRecord, of batch: borrowing RecordBatch, _ isReplay: Bool, _ errors: [FieldError]
    ) -> ApplyOutcome? {
        guard !isReplay else { return nil }
        batch.identity(of: record, into: &id)
        let reason = errors.first?.reason ?? .malformed
        let fields = errors.map(\.field).filter { !$0.isEmpty }.joined(separator: ",")
        sink.addDeadLetter(
            topic: Topic.deadLetter, record, of: batch, id: id, reason: reason, field: fields,
            detail: errors.map(\.message).joined(separator: " "))
        metrics.deadLetters[reason]?.add()
        return nil
    }
}
