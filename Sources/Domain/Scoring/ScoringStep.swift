import Contracts
import Detectors
import UseCases

/// Feature records in, outcomes out: the scoring of a stream, without Kafka, Redis or a clock. The scoring service, a replay and the tests
/// run the same step. One thread's own; nothing is allocated for a record that does not alert once buffers have grown.
///
/// Call `take` for each record of a batch, then `score` once. What a partition remembers is its `ScoringState`.
public final class ScoringStep {
    /// What became of a record that was offered.
    public enum Intake: Equatable {
        /// It will have an outcome, unless it is a replay.
        case taken
        /// A stream processor sent it again; it has no outcome.
        case duplicate
        /// It is no feature record of this use case: dead-letter it. A sentence.
        case refused(String)
    }

    /// Feature sets that a model scores.
    let sets: Int
    private let absence: ScoringBatch
    private let absenceWriter: ScoreRecordWriter?
    /// Features of a record about absence.
    private let absenceWidth: Int
    private var runners: [ModelRunner] = []
    /// One for each model that needs no state: its records of all partitions are scored together.
    private var shared: [ScoringBatch] = []

    @exclusivity(unchecked) private var reader: FeatureRecordReader
    @exclusivity(unchecked) private var batches: [ScoringBatch] = []
    /// Records in the order in which they came: an entity's records of several sets must stay in order, since the alert sink takes what is
    /// older than it has seen for a duplicate.
    @exclusivity(unchecked) private var order: [(batch: Int32, row: Int32)] = []

    public init(_ useCase: UseCase) throws {
        sets = useCase.plan.sets.count
        reader = try FeatureRecordReader(sets: useCase.recordSets)
        let last = useCase.recordSets.count > sets ? useCase.recordSets.last : nil
        absence = ScoringBatch(runner: nil, states: nil)
        absenceWidth = last?.features.count ?? 0
        absenceWriter = last.map {
            ScoreRecordWriter(
                set: $0.name, features: $0.features, statusNormal: useCase.status.normal, statusAnomaly: useCase.status.anomaly,
                model: Array("\"silence\"".utf8), version: 0)
        }
    }

    // MARK: Models

    /// Where a partition's records of a model go.
    func batch(of model: ActiveModel, states: EntityStates?) -> ScoringBatch {
        if states == nil, let batch = shared.first(where: { $0.runner?.model === model }) { return batch }
        let runner = runners.first { $0.model === model } ?? ModelRunner(model)
        if !runners.contains(where: { $0 === runner }) { runners.append(runner) }
        let batch = ScoringBatch(runner: runner, states: states)
        if states == nil { shared.append(batch) }
        return batch
    }

    /// Drops what belongs to models that none of these partitions uses any more.
    public func prune(keeping states: [ScoringState]) {
        let used = states.flatMap { $0.batches.compactMap { $0 } }
        shared.removeAll { batch in !used.contains { $0 === batch } }
        runners.removeAll { runner in !used.contains { $0.runner === runner } }
    }

    // MARK: Records

    /// Takes one record of `<uc>.features`.
    /// - Parameters:
    ///   - value: where it lies in `bytes`; nil where it has no bytes.
    ///   - offset: its own, larger than any before of its partition.
    ///   - state: of its partition, which must have models.
    ///   - isReplay: its effects are durable already; it only rebuilds the state.
    public func take(
        _ bytes: [UInt8], _ value: Range<Int>?, partition: Int32, offset: Int64, state: ScoringState, isReplay: Bool
    ) -> Intake {
        guard let value else { return .refused("The record has no bytes.") }
        if let problem = reader.read(bytes, value) { return .refused(problem) }
        guard !state.duplicates.contains(offset: reader.offset, sequence: reader.sequence, producedAt: reader.producedAt) else {
            return .duplicate
        }
        let isAbsence = reader.set >= sets
        // Absence is remembered by the stream processor alone.
        if isReplay, isAbsence { return .taken }
        guard let batch = isAbsence ? absence : state.batches[reader.set] else { return .taken }
        if batch.index < 0 {
            batch.index = batches.count
            batches.append(batch)
        }
        order.append((Int32(truncatingIfNeeded: batch.index), Int32(truncatingIfNeeded: batch.records.count)))
        batch.append(reader, partition: partition, offset: offset, isReplay: isReplay, state: state)
        return .taken
    }

    /// Scores what was taken since the last call.
    /// - Parameters:
    ///   - now: wall clock of the score records, milliseconds.
    ///   - body: gets an outcome for each record that is no replay, in the records' order.
    public func score(at now: Int64, _ body: (borrowing ScoringOutcome) throws -> Void) rethrows {
        defer { forgetRecords() }
        for batch in batches { batch.score() }
        for position in order {
            let batch = batches[Int(position.batch)]
            if let model = batch.runner?.model {
                try outcome(batch, Int(position.row), model, now, body)
            } else {
                try absence(Int(position.row), now, body)
            }
        }
    }

    /// Forgets what was taken and not scored, as when handling a batch failed.
    public func forgetRecords() {
        for batch in batches { batch.removeAll() }
        batches.removeAll(keepingCapacity: true)
        order.removeAll(keepingCapacity: true)
    }

    private func outcome(
        _ batch: ScoringBatch, _ row: Int, _ model: ActiveModel, _ now: Int64, _ body: (borrowing ScoringOutcome) throws -> Void
    ) rethrows {
        let (score, isAnomaly) = (batch.scored.scores[row], batch.scored.flags[row])
        let record = batch.records[row]
        try batch.text.withUnsafeBytes { text in
            let entity = UnsafeRawBufferPointer(rebasing: text[record.entity])
            var isEnd = false
            if isAnomaly {
                record.state.anomalous.began(model.set, entity, offset: record.offset)
            } else if !record.isLate {
                // A late event says nothing about how its entity is now.
                isEnd = record.state.anomalous.ended(model.set, entity)
            }
            guard !record.isReplay else { return }
            let confidence = model.confidence(ofScore: score)
            var head = Self.head(record, in: text, now, score: score, isAnomaly: isAnomaly, confidence: confidence)
            let reason = isAnomaly ? batch.scored.reason(row: row, columns: model.featureKeys.count) : nil
            if let reason { head.type = model.types.name(reason.contributions) }
            try body(
                ScoringOutcome(partition: record.partition, version: model.version, head: head, reason: reason, isEnd: isEnd, writer: model.writer))
        }
    }

    /// Absence needs no model: what the stream processor reports is the anomaly, and `resumed` is its end.
    private func absence(_ row: Int, _ now: Int64, _ body: (borrowing ScoringOutcome) throws -> Void) rethrows {
        guard let writer = absenceWriter else { return }
        let record = absence.records[row]
        try absence.text.withUnsafeBytes { text in
            let isAnomaly = !text[record.kind].elementsEqual("resumed".utf8)
            var head = Self.head(record, in: text, now, score: isAnomaly ? 1 : 0, isAnomaly: isAnomaly, confidence: 1)
            head.kindIsType = true
            let nothing = [Double](repeating: .nan, count: absenceWidth)
            let reason = ScoreRecordWriter.Reason(
                actual: Array(absence.matrix[row * absenceWidth..<(row + 1) * absenceWidth]), expected: nothing,
                contributions: nothing.map { _ in 0 })
            try body(
                ScoringOutcome(
                    partition: record.partition, version: 0, head: head, reason: isAnomaly ? reason : nil, isEnd: !isAnomaly, writer: writer))
        }
    }

    private static func head(
        _ record: ScoringBatch.Record, in text: UnsafeRawBufferPointer, _ now: Int64, score: Double, isAnomaly: Bool, confidence: Double
    ) -> ScoreRecordWriter.Head {
        var head = ScoreRecordWriter.Head(
            id: UnsafeRawBufferPointer(rebasing: text[record.id]), kind: UnsafeRawBufferPointer(rebasing: text[record.kind]),
            entity: UnsafeRawBufferPointer(rebasing: text[record.entity]), eventTime: record.eventTime, window: record.window,
            producedAt: record.producedAt, scoredAt: now, offset: record.eventOffset, score: score, isAnomaly: isAnomaly,
            confidence: confidence)
        head.revision = record.revision
        head.sequence = record.eventSequence
        return head
    }
}
