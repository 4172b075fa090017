import Contracts
import Features
import JSON
import KafkaClient
import ServiceKit
import UseCases

/// In:        `<uc>.events`, keyed by entity
/// Out:       `<uc>.features` (same partition), `<uc>.dead-letter`
/// State:     none; features of one event need that event only
/// Guarantee: at least once, in order per entity; events = features + dead letters, by distinct id
/// On error:  a bad event is a dead letter and the partition goes on; Kafka away: waits, commits nothing
final class StreamProcessorPipeline {
    private enum Topic { static let features = 0, deadLetter = 1 }

    private let service: Service
    private let loop: ConsumerLoop
    private let outlet: Outlet
    private let metrics: StreamProcessorMetrics
    private let maximumEventBytes: Int

    private let decoder: EventDecoder
    private let sets: [(evaluator: FeatureEvaluator, writer: FeatureRecordWriter)]
    private var id: [UInt8] = []
    private var vector: [Double] = []
    private var json = JSONWriter(capacity: 1 << 12)

    init(_ settings: StreamProcessorSettings, _ service: Service) throws {
        let useCase = settings.useCase
        let topics = Topics(useCase: useCase.name)
        self.service = service
        loop = ConsumerLoop(
            settings.common, service, topics: [topics.events], group: useCase.name + ".stream-processor", batch: settings.batch)
        outlet = try Outlet(settings.common, service, topics: [topics.features, topics.deadLetter])
        metrics = StreamProcessorMetrics(service.metrics)
        maximumEventBytes = settings.maximumEventBytes
        decoder = EventDecoder(schema: useCase.plan.schema)
        sets = useCase.plan.sets.enumerated().map { index, set in
            (FeatureEvaluator(plan: useCase.plan, set: index), FeatureRecordWriter(set: set.name, features: set.features))
        }
    }

    func run() throws {
        defer { outlet.close() }
        try loop.run { batch in
            for record in batch.records { process(record, of: batch) }
            let written = outlet.batch.count
            try outlet.deliver()
            trace(batch)
            metrics.features.add(written)
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

    /// One event becomes one feature record per feature set, or one dead letter.
    private func process(_ record: ConsumedRecord, of batch: borrowing RecordBatch) {
        batch.identity(of: record, into: &id)
        guard let value = record.value, !value.isEmpty else {
            return refuse(record, of: batch, [FieldError(field: "", reason: .empty, message: "The event has no bytes.")])
        }
        guard value.count <= maximumEventBytes else {
            let message = "The event has \(value.count) bytes; at most \(maximumEventBytes) are read."
            return refuse(record, of: batch, [FieldError(field: "", reason: .tooLarge, message: message)])
        }
        guard decoder.decode(batch.bytes, value) else { return refuse(record, of: batch, decoder.errors) }
        if let key = record.key, !batch.bytes[key].elementsEqual(decoder.entity) {
            let message = "The record's key is not the event's entity; records of one entity must share its key."
            return refuse(record, of: batch, [FieldError(field: "", reason: .badKey, message: message)])
        }
        for set in sets { emit(set, record) }
    }

    private func emit(_ set: (evaluator: FeatureEvaluator, writer: FeatureRecordWriter), _ record: ConsumedRecord) {
        set.evaluator.compute(decoder.row, into: &vector)
        json.removeAll()
        id.withUnsafeBytes { id in
            decoder.entity.withUnsafeBytes { entity in
                set.writer.write(
                    id: id, entity: entity, eventTime: decoder.eventTime, producedAt: record.timestamp, offset: record.offset, vector: vector,
                    into: &json)
            }
        }
        outlet.batch.append(topic: Topic.features, partition: record.partition, key: decoder.entity, value: json.bytes)
        outlet.batch.header("id", of: id, 0..<id.count)
    }

    private func refuse(_ record: ConsumedRecord, of batch: borrowing RecordBatch, _ errors: [FieldError]) {
        let reason = errors.first?.reason ?? .malformed
        outlet.batch.appendDeadLetter(
            topic: Topic.deadLetter, record, of: batch, id: id, reason: reason,
            field: errors.map(\.field).filter { !$0.isEmpty }.joined(separator: ","),
            detail: errors.map(\.message).joined(separator: " "), service: "stream-processor")
        metrics.deadLetters[reason]?.add()
    }
}
