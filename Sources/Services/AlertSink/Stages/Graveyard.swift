import Contracts
import KafkaClient
import ServiceKit
import Streaming

/// Makes dead letters of alerts that were given up. One per delivery thread; connects to Kafka when it is first needed.
final class Graveyard {
    private let settings: AlertSinkSettings
    private let service: Service
    private let topics: Topics
    private let receiver: String
    private var sink: RecordSink?

    init(_ settings: AlertSinkSettings, _ service: Service, receiver: String) {
        self.receiver = receiver
        self.settings = settings
        self.service = service
        topics = Topics(useCase: settings.useCase.name)
    }

    /// Returns when the dead letter is on the broker: the anomaly's record as it was, and why nobody was told.
    func take(_ entry: OutboxEntry, group: String, id: String, detail: String) throws {
        let sink = try sink ?? RecordSink(settings.stream, service, topics: [topics.deadLetter])
        self.sink = sink
        let key = Array(group.utf8)
        let origin = DeadLetter.Origin.outbox(
            receiver: receiver, topic: topics.anomalies, partition: entry.source.partition, offset: entry.source.offset,
            timestamp: entry.source.timestamp)
        try sink.deliverLetter {
            sink.addDeadLetter(
                topic: 0, keyOf: key, 0..<key.count, valueOf: entry.anomaly, 0..<entry.anomaly.count, origin, id: Array(id.utf8),
                reason: .failedRepeatedly, field: "", detail: detail, stage: .delivery)
        }
    }

    func close() { sink?.close() }
}
