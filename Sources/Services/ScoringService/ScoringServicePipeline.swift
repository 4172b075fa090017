import Contracts
import JSON
import KafkaClient
import Scoring
import ServiceKit
import Streaming
import UseCases

/// In:        `<uc>.features`; models from the registry in Redis
/// Out:       `<uc>.scores` and `<uc>.anomalies` (same partition), `<uc>.dead-letter`
/// State:     per partition the model versions in use and what learning models remember of its entities, which entities are anomalous, and
///            which record was the newest; snapshots in Redis
/// Guarantee: at least once, or with `VYUHA_DELIVERY=exactly-once` in transactions; in order per entity; one score per feature record, by
///            distinct id and revision, and what is sent again is dropped; a revision and a late event are scored and not learned; a model swap
///            takes effect at a recorded offset and loses no record
/// On error:  a bad record is a dead letter; no model yet: waits, commits nothing; a bad model: the old one goes on
final class ScoringServicePipeline {
    private enum Topic { static let scores = 0, anomalies = 1, deadLetter = 2 }

    private let service: Service
    private let settings: ScoringServiceSettings
    private let sink: RecordSink
    private let metrics: ScoringServiceMetrics
    private let cache: ModelCache
    private let step: ScoringStep
    private var partitions: StatefulPartitions<ScorerPartition>?
    private let quality: QualityWatch

    // One thread, and no code of the caller's runs inside a step: the run-time checks for overlapping access are left out.

    @exclusivity(unchecked) private var latencies: [Double] = []
    @exclusivity(unchecked) private var json = JSONWriter(capacity: 1 << 12)
    private var id: [UInt8] = []

    init(_ settings: ScoringServiceSettings, _ service: Service) throws {
        let useCase = settings.useCase
        let topics = settings.identity.topics
        self.service = service
        self.settings = settings
        sink = try RecordSink(
            settings.stream, service, topics: [topics.scores, topics.anomalies, topics.deadLetter], delivery: settings.delivery)
        metrics = ScoringServiceMetrics(service.metrics)
        cache = ModelCache(useCase, settings.models, redis: settings.common.redis, service)
        quality = QualityWatch(useCase, kafka: service.logging(settings.stream.kafka), service)
        step = try ScoringStep(useCase)
    }

    func run() throws {
        defer { sink.close() }
        let (identity, cache, step) = (settings.identity, cache, step)
        ModelWatcher(settings, service).start()
        settings.api.start(service)
        quality.start()
        guard waitForModels() else { return }
        let limit = settings.entityLimit
        let partitions = StatefulPartitions<ScorerPartition>(
            service, redis: settings.common.redis,
            store: { StateStore($0, keys: identity.keys, service: identity.name) },
            interval: Double(settings.snapshotInterval) / 1000, idleAfter: 0,
            make: { _ in ScorerPartition(step, cache, entityLimit: limit) },
            carryOut: { [unowned self] owned, models, _ in try swap(owned, models) })
        self.partitions = partitions
        let loop = ConsumerLoop(
            settings.stream, service, topics: [settings.identity.topics.features], group: settings.identity.group,
            batch: settings.batch, owner: partitions, sink: sink, deadLetterTopic: Topic.deadLetter)
        try loop.run { batch in
            step.forgetRecords()
            try partitions.apply(batch) { owned, record, isReplay in take(record, of: batch, owned.state.scoring, isReplay) }
            var scores = 0
            let now = Clock.milliseconds
            step.score(at: now) { outcome in
                write(outcome, now)
                scores += 1
            }
            metrics.scores.add(scores)
            partitions.forEach { metrics.evictions.add($0.state.scoring.takeEvictions()) }
            try sink.deliver()
            metrics.latency.observe(latencies)
            latencies.removeAll(keepingCapacity: true)
        }
    }

    /// Records wait in Kafka until every feature set has a model.
    private func waitForModels() -> Bool {
        service.life.obstacle = "waiting for a model"
        while settings.models.active.models.contains(where: { $0 == nil }) {
            if service.life.isStopping { return false }
            service.life.turned()
            Clock.sleep(milliseconds: 50)
        }
        return true
    }

    /// From here on the partition is scored by other versions.
    private func swap(_ owned: OwnedPartition<ScorerPartition>, _ models: ModelSwap) throws {
        try owned.state.carryOut(models)
        service.log.info(
            "models in use",
            [
                "partition": owned.partition, "offset": owned.next, "generation": models.rawValue,
                "versions": settings.useCase.plan.sets.indices.map { "\(owned.state.scoring.version(ofSet: $0))" }.joined(separator: ","),
            ])
        var states: [ScoringState] = []
        partitions?.forEach { states.append($0.state.scoring) }
        step.prune(keeping: states)
    }

    /// One feature record goes into the step, or becomes one dead letter.
    private func take(_ record: ConsumedRecord, of batch: borrowing RecordBatch, _ state: ScoringState, _ isReplay: Bool) {
        let intake = step.take(
            batch.bytes, record.value, partition: record.partition, offset: record.offset, state: state, isReplay: isReplay)
        guard !isReplay else { return }
        switch intake {
        case .taken: break
        case .duplicate: metrics.repetitions.add()
        case .refused(let problem):
            batch.identity(of: record, into: &id)
            sink.addDeadLetter(topic: Topic.deadLetter, record, of: batch, id: id, reason: .malformed, field: "", detail: problem)
            metrics.deadLetters.add()
        }
    }

    private func write(_ outcome: borrowing ScoringOutcome, _ now: Int64) {
        json.removeAll()
        outcome.writeScore(into: &json)
        send(outcome, topic: Topic.scores)
        if outcome.version > 0 { latencies.append(Double(now - outcome.head.producedAt) / 1000) }
        json.removeAll()
        if outcome.writeAnomaly(into: &json) { send(outcome, topic: Topic.anomalies) }
        if outcome.head.isAnomaly { metrics.anomalies.add() }
    }

    private func send(_ outcome: borrowing ScoringOutcome, topic: Int) {
        json.bytes.withUnsafeBytes {
            sink.batch.append(topic: topic, partition: outcome.partition, key: outcome.head.entity, value: $0)
        }
        sink.batch.header("id", outcome.head.id)
    }
}
