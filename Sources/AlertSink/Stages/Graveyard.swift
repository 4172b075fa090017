import Contracts
import KafkaClient
import ServiceKit

/// Makes dead letters of alerts that were given up. One per delivery thread; connects to Kafka when it is first needed.
final class Graveyard {
    private let settings: AlertSinkSettings
    private let service: Service
    private let topics: Topics
    private var outlet: Outlet?

    init(_ settings: AlertSinkSettings, _ service: Service) {
        self.settings = settings
        self.service = service
        topics = Topics(useCase: settings.useCase.name)
    }

    /// Returns when the dead letter is on the broker: the anomaly's record as it was, and why nobody was told.
    func take(_ entry: OutboxEntry, group: String, id: String, detail: String) throws {
        let outlet = try outlet ?? Outlet(settings.common, service, topics: [topics.deadLetter])
        self.outlet = outlet
        outlet.batch.append(topic: 0, partition: entry.source.partition, key: Array(group.utf8), value: entry.anomaly)
        let headers = [
            (DeadLetterHeader.id, id), (DeadLetterHeader.sourceTopic, topics.anomalies),
            (DeadLetterHeader.sourcePartition, "\(entry.source.partition)"), (DeadLetterHeader.sourceOffset, "\(entry.source.offset)"),
            (DeadLetterHeader.sourceTimestamp, "\(entry.source.timestamp)"),
            (DeadLetterHeader.reason, DeadLetterReason.failedRepeatedly.rawValue), (DeadLetterHeader.field, ""),
            (DeadLetterHeader.detail, detail), (DeadLetterHeader.service, service.name),
        ]
        for (name, value) in headers { outlet.batch.header(name, Array(value.utf8)) }
        try outlet.deliver()
    }

    func close() { outlet?.close() }
}
