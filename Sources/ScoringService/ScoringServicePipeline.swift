import Contracts
import Detectors
import JSON
import KafkaClient
import ServiceKit
import UseCases

/// In:        `<uc>.features`; models from the registry in Redis
/// Out:       `<uc>.scores` and `<uc>.anomalies` (same partition), `<uc>.dead-letter`
/// State:     the current models; which entities are anomalous, in memory only (`AnomalousEntities`)
/// Guarantee: at least once, or with `VYUHA_DELIVERY=exactly-once` in transactions; in order per entity; one score per feature record, by distinct id; a model swap loses no record
/// On error:  a bad record is a dead letter; no model yet: waits, commits nothing; a bad model: the old one goes on
final class ScoringServicePipeline {
    private enum Topic { static let scores = 0, anomalies = 1, deadLetter = 2 }

    private let service: Service
    private let loop: ConsumerLoop
    private let outlet: Outlet
    private let metrics: ScoringServiceMetrics
    private let watcher: ModelWatcher
    private let models: CurrentModels
    private let api: ScoringAPI
    private let useCase: UseCase

    private var reader: FeatureRecordReader
    private var scorers: Scorers
    private var rows: [RowsOfSet]
    /// The rows of all sets in the order of their records in the batch.
    private var order: [(set: Int, row: Int)] = []
    private var anomalous = AnomalousEntities()
    private var latencies: [Double] = []
    private var json = JSONWriter(capacity: 1 << 12)
    private var id: [UInt8] = []

    /// The records of one batch that belong to one feature set: a matrix and who each row is.
    private struct RowsOfSet {
        var matrix: [Double] = []
        var text: [UInt8] = []
        var heads: [Head] = []
        var scores: [Double] = []
        var flags: [Bool] = []

        struct Head {
            var id: Range<Int>
            var kind: Range<Int>
            var entity: Range<Int>
            var partition: Int32
            var eventTime: Int64
            var window: Range<Int64>?
            var producedAt: Int64
            var offset: Int64

            func record(
                in text: UnsafeRawBufferPointer, _ now: Int64, score: Double, isAnomaly: Bool, confidence: Double
            ) -> ScoreRecordWriter.Head {
                ScoreRecordWriter.Head(
                    id: UnsafeRawBufferPointer(rebasing: text[id]), kind: UnsafeRawBufferPointer(rebasing: text[kind]),
                    entity: UnsafeRawBufferPointer(rebasing: text[entity]), eventTime: eventTime, window: window, producedAt: producedAt,
                    scoredAt: now, offset: offset, score: score, isAnomaly: isAnomaly, confidence: confidence)
            }
        }

        mutating func removeAll() {
            matrix.removeAll(keepingCapacity: true)
            text.removeAll(keepingCapacity: true)
            heads.removeAll(keepingCapacity: true)
        }

        mutating func score(by scorer: Scorer) { scorer.score(matrix, scores: &scores, flags: &flags) }

        /// Copies the text, since the reader reuses its own.
        mutating func keep(_ bytes: ArraySlice<UInt8>) -> Range<Int> {
            let start = text.count
            text.append(contentsOf: bytes)
            return start..<text.count
        }
    }

    init(_ settings: ScoringServiceSettings, _ service: Service) throws {
        let useCase = settings.useCase
        let topics = Topics(useCase: useCase.name)
        let sets = useCase.plan.sets
        self.service = service
        outlet = try Outlet(
            settings.common, service, topics: [topics.scores, topics.anomalies, topics.deadLetter], delivery: settings.delivery)
        loop = ConsumerLoop(
            settings.common, service, topics: [topics.features], group: useCase.name + ".scoring-service", batch: settings.batch, outlet: outlet)
        metrics = ScoringServiceMetrics(service.metrics)
        watcher = ModelWatcher(settings, service)
        models = settings.models
        api = settings.api
        self.useCase = useCase
        reader = try FeatureRecordReader(sets: useCase.recordSets)
        scorers = Scorers(settings.models, widths: sets.map(\.features.count))
        rows = useCase.recordSets.map { _ in RowsOfSet() }
    }

    func run() throws {
        defer { outlet.close() }
        watcher.start()
        api.start(service)
        guard waitForModels() else { return }
        try loop.run { batch in
            scorers.refresh()
            anomalous.begin()
            for index in rows.indices { rows[index].removeAll() }
            order.removeAll(keepingCapacity: true)
            for record in batch.records { read(record, of: batch) }
            let now = Clock.milliseconds
            for set in useCase.plan.sets.indices { score(set) }
            writeAll(now)
            try outlet.deliver()
            anomalous.keep()
            metrics.latency.observe(latencies)
            latencies.removeAll(keepingCapacity: true)
        }
    }

    /// Records wait in Kafka until every feature set has a model.
    private func waitForModels() -> Bool {
        service.life.obstacle = "waiting for a model"
        while models.all.contains(where: { $0 == nil }) {
            if service.life.isStopping { return false }
            service.life.turned()
            Clock.sleep(milliseconds: 50)
        }
        return true
    }

    /// One feature record becomes one row of its set's matrix, or one dead letter.
    private func read(_ record: ConsumedRecord, of batch: borrowing RecordBatch) {
        if let problem = record.value.map({ reader.read(batch.bytes, $0) }) ?? "The record has no bytes." {
            batch.identity(of: record, into: &id)
            outlet.batch.appendDeadLetter(
                topic: Topic.deadLetter, record, of: batch, id: id, reason: .malformed, field: "", detail: problem, service: service.name)
            metrics.deadLetters.add()
            return
        }
        let set = reader.set
        reader.appendVector(to: &rows[set].matrix)
        let id = rows[set].keep(reader.text[reader.id])
        let kind = rows[set].keep(reader.text[reader.kind])
        let entity = rows[set].keep(reader.text[reader.entity])
        order.append((set, rows[set].heads.count))
        rows[set].heads.append(
            RowsOfSet.Head(
                id: id, kind: kind, entity: entity, partition: record.partition, eventTime: reader.eventTime, window: reader.window,
                producedAt: reader.producedAt, offset: reader.offset))
    }

    /// Scores all rows of a set in one call.
    private func score(_ set: Int) {
        guard !rows[set].heads.isEmpty, let scorer = scorers[set] else { return }
        rows[set].score(by: scorer)
    }

    /// Writes what a set's rows became, each in its place of the batch's order: an entity's records of several sets must stay in order,
    /// since the alert sink takes what is older than it has seen for a repetition.
    private func writeAll(_ now: Int64) {
        let writers = rows.indices.map { writer(of: $0) }
        for place in order {
            guard let writer = writers[place.set] else { continue }
            if place.set < useCase.plan.sets.count {
                write(place.set, place.row, by: writer, now)
            } else {
                writeSilence(place.set, place.row, by: writer, now)
            }
        }
        metrics.scores.add(order.count)
    }

    /// Nil for a set without records in this batch.
    private func writer(of set: Int) -> ScoreRecordWriter? {
        guard !rows[set].heads.isEmpty else { return nil }
        let known = useCase.recordSets[set]
        guard set < useCase.plan.sets.count else {
            return ScoreRecordWriter(
                set: known.name, features: known.features, statusNormal: useCase.status.normal, statusAnomaly: useCase.status.anomaly,
                model: Array("\"silence\"".utf8), version: 0)
        }
        guard let loaded = scorers[set]?.loaded else { return nil }
        return ScoreRecordWriter(
            set: known.name, features: loaded.model.featureNames, statusNormal: useCase.status.normal, statusAnomaly: useCase.status.anomaly,
            model: loaded.name, version: loaded.version)
    }

    private func write(_ set: Int, _ row: Int, by writer: ScoreRecordWriter, _ now: Int64) {
        guard let scorer = scorers[set] else { return }
        let (head, score, isAnomaly) = (rows[set].heads[row], rows[set].scores[row], rows[set].flags[row])
        let sure = confidence(score: score, threshold: scorer.loaded.model.threshold)
        rows[set].text.withUnsafeBytes { text in
            let record = head.record(in: text, now, score: score, isAnomaly: isAnomaly, confidence: sure)
            send(record, by: writer, reason: nil, topic: Topic.scores, head.partition)
            latencies.append(Double(now - head.producedAt) / 1000)
            guard isAnomaly else {
                if anomalous.ended(set, record.entity) { sendCleared(record, by: writer, head.partition) }
                return
            }
            anomalous.began(set, record.entity)
            let actual = scorer.values(row: row)
            let explanation = scorer.loaded.model.explain(actual)
            let reason = ScoreRecordWriter.Reason(
                actual: actual, expected: explanation.expected, contributions: explanation.contributions)
            send(record, by: writer, reason: reason, topic: Topic.anomalies, head.partition)
            metrics.anomalies.add()
        }
    }

    /// Silence needs no model: what the stream processor reports is the anomaly, and `resumed` is its end.
    private func writeSilence(_ set: Int, _ row: Int, by writer: ScoreRecordWriter, _ now: Int64) {
        let (head, width) = (rows[set].heads[row], useCase.recordSets[set].features.count)
        rows[set].text.withUnsafeBytes { text in
            let isAnomaly = !text[head.kind].elementsEqual("resumed".utf8)
            var record = head.record(in: text, now, score: isAnomaly ? 1 : 0, isAnomaly: isAnomaly, confidence: 1)
            record.kindIsType = true
            send(record, by: writer, reason: nil, topic: Topic.scores, head.partition)
            guard isAnomaly else { return sendCleared(record, by: writer, head.partition) }
            let nothing = [Double](repeating: .nan, count: width)
            let reason = ScoreRecordWriter.Reason(
                actual: Array(rows[set].matrix[row * width..<(row + 1) * width]), expected: nothing, contributions: nothing.map { _ in 0 })
            send(record, by: writer, reason: reason, topic: Topic.anomalies, head.partition)
            metrics.anomalies.add()
        }
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
