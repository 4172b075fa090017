import Contracts
import Detectors
import JSON
import KafkaClient
import ServiceKit
import StateStore
import UseCases

/// In:        `<uc>.features`; models from the registry in Redis
/// Out:       `<uc>.scores` and `<uc>.anomalies` (same partition), `<uc>.dead-letter`
/// State:     per partition the model versions in use and what learning models remember of its entities, which entities are anomalous, and
///            which record was the newest; snapshots in Redis
/// Guarantee: at least once, or with `VYUHA_DELIVERY=exactly-once` in transactions; in order per entity; one score per feature record, by distinct id
///            and revision, and what is sent again is dropped; a revision and a late event are scored and not learned; a model swap takes effect at a recorded offset and loses no record
/// On error:  a bad record is a dead letter; no model yet: waits, commits nothing; a bad model: the old one goes on
final class ScoringServicePipeline {
    private enum Topic { static let scores = 0, anomalies = 1, deadLetter = 2 }

    private let service: Service
    private let settings: ScoringServiceSettings
    private let outlet: Outlet
    private let metrics: ScoringServiceMetrics
    private let library: ModelLibrary
    private let shared = SharedLanes()
    private var partitions: StatefulPartitions<ScorerState>?
    private let quality: QualityWatch

    // One thread, and no code of the caller's runs inside a step: the run-time checks for overlapping access are left out.

    @exclusivity(unchecked) private var reader: FeatureRecordReader
    /// Records about silence.
    private let silence = Lane(model: nil, states: nil)
    private let silenceWriter: ScoreRecordWriter?
    /// Lanes with rows in this batch, and the rows in the order of their records: an entity's records of several sets must stay in order,
    /// since the alert sink takes what is older than it has seen for a repetition.
    @exclusivity(unchecked) private var lanes: [Lane] = []
    @exclusivity(unchecked) private var order: [(lane: Int32, row: Int32)] = []
    @exclusivity(unchecked) private var latencies: [Double] = []
    @exclusivity(unchecked) private var json = JSONWriter(capacity: 1 << 12)
    private var id: [UInt8] = []

    init(_ settings: ScoringServiceSettings, _ service: Service) throws {
        let useCase = settings.useCase
        let topics = Topics(useCase: useCase.name)
        self.service = service
        self.settings = settings
        outlet = try Outlet(
            settings.common, service, topics: [topics.scores, topics.anomalies, topics.deadLetter], delivery: settings.delivery)
        metrics = ScoringServiceMetrics(service.metrics)
        library = ModelLibrary(useCase, settings.models, redis: settings.common.redis, service)
        quality = QualityWatch(useCase, kafka: service.logging(settings.common.kafka), service)
        reader = try FeatureRecordReader(sets: useCase.recordSets)
        silenceWriter =
            useCase.recordSets.count > useCase.plan.sets.count
            ? useCase.recordSets.last.map {
                ScoreRecordWriter(
                    set: $0.name, features: $0.features, statusNormal: useCase.status.normal, statusAnomaly: useCase.status.anomaly,
                    model: Array("\"silence\"".utf8), version: 0)
            } : nil
    }

    func run() throws {
        defer { outlet.close() }
        let (useCase, library, shared) = (settings.useCase, library, shared)
        ModelWatcher(settings, service).start()
        settings.api.start(service)
        quality.start()
        guard waitForModels() else { return }
        let limit = settings.entityLimit
        let partitions = StatefulPartitions<ScorerState>(
            service, redis: settings.common.redis,
            store: { StateStore($0, keys: RedisKeys(useCase: useCase.name), service: "scoring-service") },
            interval: Double(settings.snapshotInterval) / 1000, idleAfter: 0,
            make: { _ in ScorerState(library, shared: shared, entityLimit: limit) },
            advance: { [unowned self] owned, generation, _ in try swap(owned, generation) })
        self.partitions = partitions
        let loop = ConsumerLoop(
            settings.common, service, topics: [Topics(useCase: useCase.name).features], group: useCase.name + ".scoring-service",
            batch: settings.batch, owner: partitions, outlet: outlet, deadLetterTopic: Topic.deadLetter)
        try loop.run { batch in
            removeRows()
            for record in batch.records { try read(record, of: batch, partitions) }
            let now = Clock.milliseconds
            for lane in lanes { lane.score() }
            writeAll(now)
            try outlet.deliver()
            metrics.latency.observe(latencies)
            latencies.removeAll(keepingCapacity: true)
        }
    }

    /// Records wait in Kafka until every feature set has a model.
    private func waitForModels() -> Bool {
        service.life.obstacle = "waiting for a model"
        while settings.models.all.contains(where: { $0 == nil }) {
            if service.life.isStopping { return false }
            service.life.turned()
            Clock.sleep(milliseconds: 50)
        }
        return true
    }

    /// From here on the partition is scored by other versions.
    private func swap(_ owned: OwnedPartition<ScorerState>, _ generation: Int64) throws {
        try owned.state.go(to: generation)
        service.log.info(
            "models in use",
            [
                "partition": owned.partition, "offset": owned.next, "generation": generation,
                "versions": owned.state.lanes.map { "\($0?.model?.version ?? 0)" }.joined(separator: ","),
            ])
        var used: [Lane] = []
        partitions?.forEach { partition in used += partition.state.lanes.compactMap { $0 } }
        shared.prune(keeping: used)
    }

    private func removeRows() {
        for lane in lanes { lane.removeAll() }
        lanes.removeAll(keepingCapacity: true)
        order.removeAll(keepingCapacity: true)
    }

    /// One feature record becomes one row of a lane, or one dead letter.
    private func read(_ record: ConsumedRecord, of batch: borrowing RecordBatch, _ partitions: StatefulPartitions<ScorerState>) throws {
        guard let owned = try partitions.state(of: record.partition, at: record.offset) else { return }
        if owned.state.generation == 0 {
            // Somebody else has the partition when the decision is refused.
            guard try partitions.decide(owned, library.newest) else { return }
        }
        partitions.applied(owned, record.offset)
        let isSilent = record.offset < owned.effectsFrom
        if let problem = record.value.map({ reader.read(batch.bytes, $0) }) ?? "The record has no bytes." {
            if !isSilent { refuse(record, of: batch, problem) }
            return
        }
        guard !owned.state.repetitions.contains(offset: reader.offset, sequence: reader.sequence, producedAt: reader.producedAt) else {
            if !isSilent { metrics.repetitions.add() }
            return
        }
        let lane: Lane
        if reader.set < owned.state.lanes.count {
            guard let own = owned.state.lanes[reader.set] else { return }
            lane = own
        } else {
            lane = silence
        }
        // What is durable already is scored once more for what the partition remembers; silence is remembered elsewhere.
        if isSilent, lane.model == nil { return }
        if lane.number < 0 {
            lane.number = lanes.count
            lanes.append(lane)
        }
        order.append((Int32(truncatingIfNeeded: lane.number), Int32(truncatingIfNeeded: lane.heads.count)))
        lane.append(reader, partition: record.partition, place: record.offset, isSilent: isSilent)
    }

    private func refuse(_ record: ConsumedRecord, of batch: borrowing RecordBatch, _ problem: String) {
        batch.identity(of: record, into: &id)
        outlet.addDeadLetter(
            topic: Topic.deadLetter, record, of: batch, id: id, reason: .malformed, field: "", detail: problem)
        metrics.deadLetters.add()
    }

    private func writeAll(_ now: Int64) {
        var written = 0
        for place in order {
            let lane = lanes[Int(place.lane)]
            if let model = lane.model { write(lane, Int(place.row), model, now) } else { writeSilence(Int(place.row), now) }
            if !lane.heads[Int(place.row)].isSilent { written += 1 }
        }
        metrics.scores.add(written)
        partitions?.forEach { metrics.evictions.add($0.state.takeEvictions()) }
    }

    private func write(_ lane: Lane, _ row: Int, _ model: StreamModel, _ now: Int64) {
        let (score, isAnomaly) = (lane.scores[row], lane.flags[row])
        let own = lane.heads[row]
        lane.text.withUnsafeBytes { text in
            let hasEnded = remember(own, UnsafeRawBufferPointer(rebasing: text[own.entity]), set: model.set, isAnomaly)
            guard !own.isSilent else { return }
            let sure = confidence(score: score, threshold: model.threshold)
            var record = head(own, in: text, now, score: score, isAnomaly: isAnomaly, confidence: sure)
            let reason = isAnomaly ? lane.reason(row: row) : nil
            if let reason { record.type = model.types.name(reason.contributions) }
            send(record, by: model.writer, reason: nil, topic: Topic.scores, own.partition)
            latencies.append(Double(now - own.producedAt) / 1000)
            if hasEnded { sendCleared(record, by: model.writer, own.partition) }
            guard isAnomaly else { return }
            send(record, by: model.writer, reason: reason, topic: Topic.anomalies, own.partition)
            metrics.anomalies.add()
        }
    }

    /// - Returns: whether an anomaly of the entity is over.
    private func remember(_ head: Lane.Head, _ entity: UnsafeRawBufferPointer, set: Int, _ isAnomaly: Bool) -> Bool {
        guard let state = partitions?.state(of: head.partition) else { return false }
        // A late event says nothing about how its entity is now.
        guard isAnomaly else { return head.isLate ? false : state.anomalous.ended(set, entity) }
        state.anomalous.began(set, entity, offset: head.place)
        return false
    }

    /// Silence needs no model: what the stream processor reports is the anomaly, and `resumed` is its end.
    private func writeSilence(_ row: Int, _ now: Int64) {
        guard let writer = silenceWriter, let width = settings.useCase.recordSets.last?.features.count else { return }
        silence.text.withUnsafeBytes { text in
            let own = silence.heads[row]
            let isAnomaly = !text[own.kind].elementsEqual("resumed".utf8)
            var record = head(own, in: text, now, score: isAnomaly ? 1 : 0, isAnomaly: isAnomaly, confidence: 1)
            record.kindIsType = true
            send(record, by: writer, reason: nil, topic: Topic.scores, own.partition)
            guard isAnomaly else { return sendCleared(record, by: writer, own.partition) }
            let nothing = [Double](repeating: .nan, count: width)
            let reason = ScoreRecordWriter.Reason(
                actual: Array(silence.matrix[row * width..<(row + 1) * width]), expected: nothing, contributions: nothing.map { _ in 0 })
            send(record, by: writer, reason: reason, topic: Topic.anomalies, own.partition)
            metrics.anomalies.add()
        }
    }

    private func head(
        _ head: Lane.Head, in text: UnsafeRawBufferPointer, _ now: Int64, score: Double, isAnomaly: Bool, confidence: Double
    ) -> ScoreRecordWriter.Head {
        var record = ScoreRecordWriter.Head(
            id: UnsafeRawBufferPointer(rebasing: text[head.id]), kind: UnsafeRawBufferPointer(rebasing: text[head.kind]),
            entity: UnsafeRawBufferPointer(rebasing: text[head.entity]), eventTime: head.eventTime, window: head.window,
            producedAt: head.producedAt, scoredAt: now, offset: head.offset, score: score, isAnomaly: isAnomaly, confidence: confidence)
        record.revision = head.revision
        return record
    }

    /// Tells readers of anomalies that an entity is normal again: a record with `"is_anomaly":false` and the kind `cleared` or `resumed`.
    private func sendCleared(_ head: ScoreRecordWriter.Head, by writer: ScoreRecordWriter, _ partition: Int32) {
        var head = head
        if head.kindIsType { return send(head, by: writer, reason: nil, topic: Topic.anomalies, partition) }
        StaticString("cleared").withUTF8Buffer { kind in
            head.kind = UnsafeRawBufferPointer(kind)
            send(head, by: writer, reason: nil, topic: Topic.anomalies, partition)
        }
    }

    private func send(
        _ head: ScoreRecordWriter.Head, by writer: ScoreRecordWriter, reason: ScoreRecordWriter.Reason?, topic: Int, _ partition: Int32
    ) {
        json.removeAll()
        writer.write(head, reason: reason, into: &json)
        json.bytes.withUnsafeBytes { outlet.batch.append(topic: topic, partition: partition, key: head.entity, value: $0) }
        outlet.batch.header("id", head.id)
    }
}
