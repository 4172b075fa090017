import Contracts
import Features
import JSON
import KafkaClient
import ServiceKit
import UseCases

/// In:        any topic of JSON objects (`source: kafka`), read as a consumer group
/// Out:       `<uc>.events` (key: the entity, header `id`), `<uc>.dead-letter` (what cannot be an event, with its place in the topic)
/// State:     none here; the group's offsets
/// Guarantee: no record lost, none sent twice after a crash or a rebalance (`DeliveredPlaces`). Records of one partition keep their order. Replicas
///            share the topic's partitions
/// On error:  a record that is no JSON object, or is in another format (Schema Registry, Avro, Protobuf): dead letter that names it. A tombstone is counted and
///            passed over. Kafka away: waits, commits nothing
final class TopicPipeline {
    private enum Topic { static let events = 0, deadLetter = 1 }

    private let loop: ConsumerLoop
    private let outlet: Outlet
    private let delivered: DeliveredPlaces
    private let service: Service
    private let metrics: ProducerMetrics
    private let tombstones: Counter
    private let columns: JSONColumns
    private let key: RowKey
    private let event: ColumnEventWriter
    private let idColumn: Int?
    private let idHeader: [UInt8]?
    // One thread owns the pipeline, so the run-time checks of exclusive access would only cost.
    @exclusivity(unchecked) private var json = JSONWriter(capacity: 1_024)
    @exclusivity(unchecked) private var id: [UInt8] = []
    @exclusivity(unchecked) private var place: [UInt8] = []
    private var hasWarned = false

    /// - Parameters:
    ///   - kafka: where the topic is; the events go where `common` says.
    ///   - useCase: names the outgoing topics.
    init(
        _ source: ReadTopic, kafka: KafkaSettings, schema: EventSchema, useCase: String, common: CommonSettings, service: Service,
        metrics: ProducerMetrics
    )
        throws
    {
        self.service = service
        self.metrics = metrics
        let topics = Topics(useCase: useCase)
        outlet = try Outlet(common, service, topics: [topics.events, topics.deadLetter])
        // The topic may have more partitions than ours.
        outlet.keepsPartition = false
        var reading = common
        reading.kafka = kafka
        let group = source.group ?? useCase + ".producer"
        delivered = try DeliveredPlaces(
            source: source.topic, topics: [topics.events, topics.deadLetter], kafka: service.logging(common.kafka), group: group, service: service)
        loop = ConsumerLoop(
            reading, service, topics: [source.topic], group: group, batch: 1_000, owner: delivered, outlet: outlet,
            deadLetterTopic: Topic.deadLetter, beginsAt: source.from == .latest ? .newest : .oldest)
        tombstones = service.metrics.counter("vyuha_source_tombstones_total", "Records without a value, which say that something was deleted.")
        var format = FileFormat(file: "")
        format.columns = source.columns
        columns = try JSONColumns(schema: schema, format: format, extra: source.id.map { [$0] } ?? [])
        let found = Columns.find(schema, header: columns.names, named: source.columns)
        key = try RowKey(schema: schema, header: columns.names, columns: found)
        var names: [String: String] = [:]
        for (field, column) in zip(schema.fields, found) where column >= 0 { names[field.name] = columns.names[column] }
        event = ColumnEventWriter(schema: schema, binding: try ColumnBinding(schema: schema, header: columns.names, columns: names))
        idColumn = source.id.flatMap { [names = columns.names] in names.firstIndex(of: $0) }
        idHeader = source.idHeader.map { Array($0.utf8) }
    }

    func run() throws {
        defer { outlet.close() }
        try loop.run { batch in
            // A batch may be handled again after an error in its middle.
            outlet.batch.removeAll()
            var (events, rejected) = (0, 0)
            for record in batch.records where !delivered.contains(record.partition, record.offset) {
                take(record, of: batch, &events, &rejected)
            }
            delivered.sent()
            try outlet.deliver()
            metrics.events.add(events)
            metrics.rejected.add(rejected)
        }
    }

    private func take(_ record: ConsumedRecord, of batch: borrowing RecordBatch, _ events: inout Int, _ rejected: inout Int) {
        guard let value = record.value else { return tombstones.add() }
        let row: SourceRow = value.isEmpty ? .unmappable(.empty, "The record has no bytes.") : columns.read(batch.bytes, value)
        if case .unmappable(let reason, let sentence) = row {
            rejected += 1
            return refuse(record, of: batch, reason, Self.foreignFormat(batch.bytes[value]) ?? sentence)
        }
        key.read(columns.bytes, columns.fields)
        writeID(record, of: batch, usesField: true)
        json.removeAll()
        event.write(columns.bytes, columns.fields, into: &json)
        let entity = key.entity
        let size = json.count + entity.count + id.count
        guard size <= Delivery.maximumEventBytes else {
            rejected += 1
            return refuse(record, of: batch, .tooLarge, "The record makes an event of \(size) bytes; at most \(Delivery.maximumEventBytes) pass.")
        }
        outlet.batch.append(
            topic: Topic.events, keyOf: entity, entity.isEmpty ? nil : 0..<entity.count, valueOf: json.bytes, 0..<json.count)
        outlet.batch.header("id", of: id, 0..<id.count)
        if idColumn != nil || idHeader != nil {
            place.removeAll(keepingCapacity: true)
            writePlace(of: record, into: &place)
            outlet.batch.header(DeliveredPlaces.header, of: place, 0..<place.count)
        }
        events += 1
    }

    private func refuse(_ record: ConsumedRecord, of batch: borrowing RecordBatch, _ reason: DeadLetterReason, _ sentence: String) {
        writeID(record, of: batch, usesField: false)
        if !hasWarned {
            hasWarned = true
            service.log.warning("a record of the topic cannot be an event and is a dead letter; others will be without a word", ["why": sentence])
        }
        outlet.addDeadLetter(topic: Topic.deadLetter, record, of: batch, id: id, reason: reason, field: "", detail: sentence)
    }

    /// The record's own identity where the use case names one and the record has it, else its place.
    private func writeID(_ record: ConsumedRecord, of batch: borrowing RecordBatch, usesField: Bool) {
        id.removeAll(keepingCapacity: true)
        id.append(contentsOf: batch.topics[record.topic].utf8)
        id.append(UInt8(ascii: ":"))
        if usesField, let idColumn, !columns.fields[idColumn].isEmpty {
            id.append(contentsOf: columns.bytes[columns.fields[idColumn]])
        } else if let idHeader, let header = Self.header(idHeader, of: record, in: batch), !header.isEmpty {
            id.append(contentsOf: batch.bytes[header])
        } else {
            writePlace(of: record, into: &id)
        }
    }

    private func writePlace(of record: ConsumedRecord, into text: inout [UInt8]) {
        Digits.append(Int64(record.partition), to: &text)
        text.append(UInt8(ascii: ":"))
        Digits.append(record.offset, to: &text)
    }

    private static func header(_ name: [UInt8], of record: ConsumedRecord, in batch: borrowing RecordBatch) -> Range<Int>? {
        for header in batch.headers[record.headers].reversed() where batch.bytes[header.name].elementsEqual(name) { return header.value }
        return nil
    }

    /// The name of a format that is not read here; nil for what may be meant as JSON.
    static func foreignFormat(_ value: ArraySlice<UInt8>) -> String? {
        let start = value.startIndex
        if value.first == 0, value.count >= 5 {
            let schema = value[start + 1..<start + 5].reduce(0) { $0 << 8 | Int($1) }
            let isText = value.count > 5 && [UInt8(ascii: "{"), UInt8(ascii: "[")].contains(value[start + 5])
            return "The value is framed for a Schema Registry (a zero byte and the schema number \(schema)), as "
                + (isText ? "JSON Schema" : "Avro or Protobuf") + "; only plain JSON is read. Write the topic with a plain JSON converter."
        }
        if value.starts(with: [0x4F, 0x62, 0x6A, 0x01]) { return "The value is an Avro container file; only plain JSON is read." }
        if value.starts(with: [0xC3, 0x01]) { return "The value is in Avro's single-object encoding; only plain JSON is read." }
        if value.starts(with: [0x1F, 0x8B]) { return "The value itself is gzip; let Kafka compress the records instead, which is read." }
        let isText = value.prefix(64).allSatisfy { $0 >= 0x20 || $0 == 0x09 || $0 == 0x0A || $0 == 0x0D }
        return isText ? nil : "The value is binary, such as Protobuf, Avro or MessagePack; only JSON is read."
    }
}
