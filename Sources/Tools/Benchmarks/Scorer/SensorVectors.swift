import Contracts
import Detectors
import JSON
import KafkaClient
import ServiceKit
import UseCases

/// Vectors of four features, the same every time, and models of them.
struct SensorVectors {
    private var rows = Rows(seed: 11)
    private var last: [Int: [Double]] = [:]
    /// The values of an entity wander around where they were; else each is on its own.
    private let isSeries: Bool

    init(isSeries: Bool = false) { self.isSeries = isSeries }

    private mutating func next(_ entity: Int) -> [Double] {
        let fresh = rows.next()
        guard isSeries else { return fresh }
        let before = last[entity] ?? fresh
        let value = zip(before, fresh).map { 0.9 * $0 + 0.1 * $1 }
        last[entity] = value
        return value
    }

    func fit(_ useCase: UseCase, _ kind: DetectorKind) throws -> TrainedModel {
        var source = self
        let (count, entities) = (10_000, 50)
        var table = FeatureMatrix(columns: Rows.columns, reservingRows: count)
        for row in 0..<count { table.append(source.next(row % entities)) }
        let order = RowOrder(times: (0..<count).map { Int64($0) * 100 }, entities: (0..<count).map { Int32($0 % entities) })
        let plan = try TrainingPlan(detector: kind, featureNames: useCase.plan.sets[0].features, threshold: .contamination(0.001), createdAt: 0)
        return try TrainedModel.fit(table, order: order, plan: plan)
    }

    /// Sends `count` feature records of about 200 bytes, each entity to one partition.
    func fill(_ topic: String, _ useCase: UseCase, entities: Int, count: Int, partitions: Int, through producer: KafkaProducer) throws {
        var source = self
        var batch = OutgoingBatch(topics: [topic])
        var json = JSONWriter(capacity: 512)
        let set = useCase.plan.sets[0]
        let writer = FeatureRecordWriter(set: set.name, kind: "event", features: set.features)
        let names = (0..<entities).map { Array("sensor-\($0)".utf8) }
        for index in 0..<count {
            let entity = index &* 7919 % entities
            let values = source.next(entity).map { ($0 * 1000).rounded() / 1000 }
            json.removeAll()
            Array("events.csv:\(index)".utf8).withUnsafeBytes { id in
                names[entity].withUnsafeBytes { name in
                    let head = FeatureRecordWriter.Head(
                        id: id, entity: name, eventTime: 1_700_000_000_000 + Int64(index), window: nil,
                        producedAt: Clock.milliseconds, offset: Int64(index), sequence: 0)
                    values.withUnsafeBufferPointer { writer.write(head, values: $0, into: &json) }
                }
            }
            batch.append(topic: 0, partition: Int32(entity % partitions), key: names[entity], value: json.bytes)
            if batch.count == 1_000 || index == count - 1 {
                try producer.send(batch)
                batch.removeAll()
            }
        }
        try producer.flush(timeout: 60_000)
    }
}
