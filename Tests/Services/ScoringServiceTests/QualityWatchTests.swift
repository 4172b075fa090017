import Contracts
import KafkaClient
import ServiceKit
import TestSupport
import Testing
import UseCases

@testable import ScoringService

/// Labels and scores on a real topic, and the figures that the metrics tell of them.
@Suite("Live quality") struct QualityWatchTests {
    private static let definition = """
        name: watched
        partitions: 2
        event:
          entity: sensor
          time: at
          fields:
            sensor: { type: string }
            at:     { type: timestamp, format: epoch-milliseconds }
            value:  { type: number }
        features:
          reading: { value: value }
        detector: { name: robust-z }

        """

    private static func score(_ entity: String, at second: Int, _ isAnomaly: Bool) -> String {
        """
        {"id":"\(entity)-\(second)","set":"reading","score":0.5,"is_anomaly":\(isAnomaly),"entity":"\(entity)","event_time":\(second * 1_000)}
        """
    }

    private static func label(_ entity: String, at second: Int, from start: Int, to end: Int) -> String {
        """
        {"id":"\(entity)-\(second)","entity":"\(entity)","event_time":\(second * 1_000),"label":1,"ignore":false,"kind":"drift",\
        "start":\(start * 1_000),"end":\(end * 1_000)}
        """
    }

    @Test("precision, recall and false alerts of a labelled stream are told within seconds, an episode under way is not called missed")
    func figures() throws {
        let useCase = try UseCase.parse(Self.definition, file: "/tmp/usecase.yaml")
        let topics = Topics(useCase: "watched")
        let broker = try EmbeddedBroker(topics: [topics.labels, topics.scores].map { TopicSpec(name: $0, partitions: 2) })
        let kafka = broker.settings
        let service = Service(
            name: "scoring-service", log: Logger(service: "scoring-service", level: .error, format: .text), metrics: Metrics(), life: Lifecycle())
        defer { service.life.stop() }
        QualityWatch(useCase, kafka: kafka, service).start()
        let (precision, recall) = (service.metrics.gauge("model_precision", ""), service.metrics.gauge("model_recall", ""))

        // `found` is flagged in its episode; `missed` is not; `quiet` is flagged without one; the episode of `under-way` is not over.
        var batch = OutgoingBatch(topics: [topics.labels, topics.scores])
        let labels = [
            Self.label("found", at: 12, from: 10, to: 20), Self.label("missed", at: 3, from: 0, to: 5),
            Self.label("under-way", at: 100, from: 90, to: 400),
        ]
        for (index, text) in labels.enumerated() { batch.append(topic: 0, partition: Int32(index % 2), key: nil, value: Array(text.utf8)) }
        for entity in ["found", "missed", "quiet", "under-way"] {
            for second in stride(from: 0, through: 100, by: 5) {
                let isFlagged = entity == "found" && second == 15 || entity == "quiet" && second == 50
                batch.append(topic: 1, partition: Int32(second % 2), key: nil, value: Array(Self.score(entity, at: second, isFlagged).utf8))
            }
        }
        let producer = try KafkaProducer(kafka)
        // The same again and again changes nothing; it only makes it no matter when the watch begins.
        #expect(
            try withDeadline(60) {
                try producer.send(batch)
                try producer.flush(timeout: 10_000)
                return withDeadline(0.5) { precision.value == 0.5 && recall.value == 0.5 }
            }, "precision \(precision.value), recall \(recall.value)")
        // One false alert in four times 100 s.
        let falseAlerts = service.metrics.gauge("model_false_alerts_per_entity_day", "")
        #expect(withDeadline(10) { abs(falseAlerts.value - 216) < 1e-6 }, "\(falseAlerts.value)")
    }
}
