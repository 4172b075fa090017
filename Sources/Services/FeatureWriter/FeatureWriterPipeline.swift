import Contracts
import FeatureStore
import KafkaClient
import RedisClient
import ServiceKit
import UseCases
import Streaming

/// In:        `<uc>.features`, keyed by entity
/// Out:       Redis, one hash per entity and feature set (`OnlineStore`); `<uc>.dead-letter`
/// State:     none here; the store holds one vector per entity, for as long as its time to live
/// Guarantee: the store ends with the newest record of each entity by (event time, offset), so the latest revision of
///            a window; repeats change nothing
/// On error:  what is no feature record of this use case is a dead letter; Redis or Kafka away: waits, commits nothing
final class FeatureWriterPipeline {
    /// Why a record can be refused here.
    static let reasons: [DeadLetterReason] = [.empty, .malformed]

    /// Where the records of one feature set go.
    private struct Target {
        var batch: OnlineBatch
        let store: OnlineStore
    }

    private let service: Service
    private let loop: ConsumerLoop
    private let redis: RedisSettings
    private let sink: RecordSink
    private let metrics: FeatureWriterMetrics
    private var reader: FeatureRecordReader
    /// In the order of the reader's sets.
    private var targets: [Target]
    private var vector: [Double] = []
    private var producedAt: [Int64] = []
    private var id: [UInt8] = []
    private var refused: [DeadLetterReason] = []
    private var conflicts = PartitionConflicts()

    init(_ settings: FeatureWriterSettings, _ service: Service) throws {
        self.service = service
        let useCase = settings.useCase
        let topics = settings.identity.topics
        sink = try RecordSink(settings.stream, service, topics: [topics.deadLetter])
        loop = ConsumerLoop(
            settings.stream, service, topics: [topics.features], group: settings.identity.group, batch: settings.batch, sink: sink,
            deadLetterTopic: 0)
        metrics = FeatureWriterMetrics(service.metrics)
        redis = settings.common.redis
        let client = RedisClient(redis)
        let sets = useCase.recordSets
        reader = try FeatureRecordReader(sets: sets)
        targets = sets.map { set in
            Target(
                batch: OnlineBatch(features: set.features.count),
                store: OnlineStore(
                    client, useCase: useCase.name, set: set.name, features: set.features, timeToLive: settings.timeToLive))
        }
    }

    func run() throws {
        defer { sink.close() }
        service.warnOfEviction(redis)
        try loop.run { batch in
            forget()
            for record in batch.records { take(record, of: batch) }
            for target in targets {
                let writes = try target.store.write(target.batch)
                metrics.note(writes)
                for entity in writes.inTwoPartitions { conflicts.note(entity, service) }
            }
            try sink.deliver()
            metrics.note(refused)
            let now = Clock.milliseconds
            metrics.latency.observe(producedAt.map { Double(now - $0) / 1000 })
        }
    }

    /// A batch may be handled again after an error in its middle.
    private func forget() {
        for index in targets.indices { targets[index].batch.removeAll() }
        sink.batch.removeAll()
        producedAt.removeAll(keepingCapacity: true)
        refused.removeAll(keepingCapacity: true)
    }

    /// One record goes into the batch of its feature set, or becomes a dead letter.
    private func take(_ record: ConsumedRecord, of batch: borrowing RecordBatch) {
        guard let value = record.value, !value.isEmpty else {
            return refuse(record, of: batch, .empty, "The feature record has no bytes.")
        }
        if let problem = reader.read(batch.bytes, value) { return refuse(record, of: batch, .malformed, problem) }
        vector.removeAll(keepingCapacity: true)
        reader.appendVector(to: &vector)
        producedAt.append(reader.producedAt)
        reader.text.withUnsafeBytes { text in
            targets[reader.set].batch.add(
                entity: UnsafeRawBufferPointer(rebasing: text[reader.entity]), id: UnsafeRawBufferPointer(rebasing: text[reader.id]),
                eventTime: reader.eventTime, offset: reader.offset, partition: record.partition, vector: vector)
        }
    }

    private func refuse(_ record: ConsumedRecord, of batch: borrowing RecordBatch, _ reason: DeadLetterReason, _ detail: String) {
        batch.identity(of: record, into: &id)
        sink.addDeadLetter(
            topic: 0, record, of: batch, id: id, reason: reason, field: "", detail: detail)
        refused.append(reason)
    }
}
