import Contracts
import Features
import JSON
import KafkaClient
import MQTTClient
import Platform
import ServiceKit
import UseCases

/// In:        topics of an MQTT broker (`source: mqtt`), under a persistent session
/// Out:       `<uc>.events` (key: the entity, header `id`), `<uc>.dead-letter` (what cannot be an event, with its topic)
/// State:     none here; the broker's session, and what lies at the ends of our topics
/// Guarantee: quality 1: a message is acknowledged when Kafka has it; one that comes again is left out (`DeliveredMessages`)
/// On error:  the MQTT broker away: connects again with a backoff. Kafka away: waits and acknowledges nothing, so that the broker keeps what comes.
///            A message that is no JSON object, or too large: dead letter
final class MQTTPipeline {
    private enum Topic { static let events = 0, deadLetter = 1 }
    /// Messages and bytes that are taken at once.
    private static let most = (messages: 1_000, bytes: 8 << 20)
    /// Records at the end of each partition among which those of an unacknowledged message must be: brokers have tens of messages under way.
    private static let tail = 10_000
    private static let answerTime = 10_000
    private let source: SubscribedTopics
    private let settings: MQTTSettings
    private let topics: Topics
    private let common: CommonSettings
    private let outlet: Outlet
    private let service: Service
    private let metrics: ProducerMetrics
    private let retained: Counter
    private let repeated: Counter
    private let columns: MessageColumns
    private let key: RowKey
    private let event: ColumnEventWriter
    private let idColumn: Int?
    /// Messages of quality 0, which have no packet identifier.
    private var unnumbered = 0
    private var json = JSONWriter(capacity: 1_024)
    private var delivered = DeliveredMessages()
    private var backoff = Backoff(initial: 200, maximum: 10_000)

    init(
        _ source: SubscribedTopics, _ settings: MQTTSettings, schema: EventSchema, useCase: String, common: CommonSettings, service: Service,
        metrics: ProducerMetrics
    ) throws {
        self.source = source
        self.settings = settings
        self.service = service
        self.metrics = metrics
        self.common = common
        topics = Topics(useCase: useCase)
        outlet = try Outlet(common, service, topics: [topics.events, topics.deadLetter])
        outlet.keepsPartition = false
        retained = service.metrics.counter(
            "vyuha_source_retained_total", "Messages that the broker kept from before the subscription, which are passed over.")
        repeated = service.metrics.counter(
            "vyuha_source_delivered_before_total",
            "Messages that were read again after a crash or a lost connection, had been delivered, and were left out.")
        columns = try MessageColumns(source, schema: schema)
        let found = Columns.find(schema, header: columns.names, named: columns.named)
        key = try RowKey(schema: schema, header: columns.names, columns: found)
        var names: [String: String] = [:]
        for (field, column) in zip(schema.fields, found) where column >= 0 { names[field.name] = columns.names[column] }
        event = ColumnEventWriter(schema: schema, binding: try ColumnBinding(schema: schema, header: columns.names, columns: names))
        idColumn = source.id.flatMap { [names = columns.names] in names.firstIndex(of: $0) }
    }

    func run() throws {
        defer { outlet.close() }
        try readTail()
        let client = try MQTTClient(settings)
        defer { client.close() }
        while !service.life.isStopping {
            do {
                try receive(client)
            } catch let error as MQTTError {
                guard error.isRetryable else { throw error }
                if backoff.attempts == 0 {
                    service.log.warning("the MQTT broker is away, and is tried again", ["error": error.message])
                }
                service.life.trouble = error.message
                pause(backoff.next())
            } catch let error as KafkaError where service.life.isStopping && error.isRetryable {
                // Not acknowledged: it comes again.
            }
        }
    }

    private func pause(_ milliseconds: Int) {
        let end = Clock.monotonicSeconds + Double(milliseconds) / 1_000
        while Clock.monotonicSeconds < end, !service.life.isStopping {
            service.life.turned()
            Clock.sleep(milliseconds: 50)
        }
    }

    /// Connects, and takes messages until the connection breaks.
    private func receive(_ client: MQTTClient) throws {
        service.life.turned()
        if try !client.connect(timeout: Self.answerTime) {
            // Another session has other packet identifiers.
            delivered = DeliveredMessages()
        }
        try client.subscribe(source.filters.map(\.text), quality: source.quality, timeout: Self.answerTime)
        if backoff.attempts > 0 { service.log.info("the MQTT broker is back") }
        backoff.reset()
        service.life.trouble = nil
        service.life.obstacle = nil
        while !service.life.isStopping {
            service.life.turned()
            let messages = try client.read(atMost: Self.most.messages, bytes: Self.most.bytes, timeout: 200)
            guard !messages.isEmpty else { continue }
            try deliver(messages)
            try client.acknowledge()
        }
    }

    private func deliver(_ messages: [MQTTMessage]) throws {
        outlet.batch.removeAll()
        for message in messages { take(message) }
        for record in try outlet.deliverKeepingRefused() {
            let mark = record.header("source").map { String(decoding: $0, as: UTF8.self) }
            guard let message = messages.first(where: { DeliveredMessages.mark($0) == mark }) else { continue }
            try outlet.deliverLetter { refuse(message, .tooLarge, "The broker refuses the event. \(record.error.message)") }
        }
        for message in messages { delivered.add(message) }
    }

    private func take(_ message: MQTTMessage) {
        guard !message.isRetained else { return retained.add() }
        guard !delivered.contains(message) else { return repeated.add() }
        let arrival = Clock.milliseconds
        let row = columns.read(message, arrival: arrival)
        if case .unmappable(let reason, let sentence) = row {
            return refuse(message, reason, TopicPipeline.foreignFormat(message.payload[...]) ?? sentence)
        }
        key.read(columns.bytes, columns.fields)
        json.removeAll()
        event.write(columns.bytes, columns.fields, into: &json)
        let entity = key.entity
        let size = json.count + entity.count
        guard size <= Delivery.maximumEventBytes else {
            return refuse(message, .tooLarge, "The message makes an event of \(size) bytes; at most \(Delivery.maximumEventBytes) pass.")
        }
        outlet.batch.append(topic: Topic.events, keyOf: entity, entity.isEmpty ? nil : 0..<entity.count, valueOf: json.bytes, 0..<json.count)
        outlet.batch.header("id", id(of: message, arrival: arrival))
        outlet.batch.header("source", DeliveredMessages.mark(message))
        metrics.events.add()
    }

    private func refuse(_ message: MQTTMessage, _ reason: DeadLetterReason, _ sentence: String) {
        let arrival = Clock.milliseconds
        outlet.addDeadLetter(
            topic: Topic.deadLetter, keyOf: [], nil, valueOf: message.payload, 0..<message.payload.count,
            Outlet.Origin(topic: message.topic, partition: -1, offset: Int64(message.id), timestamp: arrival),
            id: Array("\(settings.clientID):\(arrival):\(message.id)".utf8), reason: reason, field: "", detail: sentence)
        outlet.batch.header("source", DeliveredMessages.mark(message))
        metrics.rejected.add()
    }

    /// The message's own identity where the use case names one and the message has it, else client, time and packet identifier.
    private func id(of message: MQTTMessage, arrival: Int64) -> String {
        if let idColumn, !columns.fields[idColumn].isEmpty {
            return "\(settings.clientID):" + String(decoding: columns.bytes[columns.fields[idColumn]], as: UTF8.self)
        }
        guard message.id == 0 else { return "\(settings.clientID):\(arrival):\(message.id)" }
        unnumbered += 1
        return "\(settings.clientID):\(arrival):0:\(unnumbered)"
    }

    /// What an earlier run delivered and could not acknowledge.
    private func readTail() throws {
        let reader = TopicTail(
            topics: [topics.events, topics.deadLetter], kafka: service.logging(common.kafka), group: settings.clientID, timeout: 30, service: service)
        // A broker's identifiers are in the order of time; partitions are not, so the newest mark of an identifier wins by its record's time.
        var marks: [(time: Int64, mark: String)] = []
        try reader.read(from: { _, range in range.high - Int64(Self.tail) }) { _, record, batch in
            if let mark = batch.header("source", of: record) { marks.append((record.timestamp, String(decoding: batch.bytes[mark], as: UTF8.self))) }
        }
        for entry in marks.sorted(by: { $0.time < $1.time }) { delivered.add(mark: entry.mark) }
    }
}
