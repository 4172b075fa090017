import Contracts
import Foundation
import JSON
import KafkaClient
import RedisClient
import Synchronization
import TestSupport
import Testing

@testable import AlertSink
@testable import ServiceKit

/// The whole service but its process, on the mock cluster (a join takes it 3 to 5 s, so one case sees everything).
@Suite("The alert sink as a whole")
struct PipelineTests {
    @Test("Anomalies become alerts in every receiver once, bad records dead letters, and a stop is graceful")
    func wholeWay() throws {
        let topics = Topics(useCase: "taxi")
        let broker = try EmbeddedBroker(topics: topics.all.map { TopicSpec(name: $0, partitions: 4) })
        let redis = try RedisServer(appendOnly: false)
        let server = try WebhookServer(answers: [500])
        let folder = FileManager.default.temporaryDirectory.appending(path: "vyuha-\(UInt64.random(in: 0 ... .max))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try taxiDefinition.write(to: folder.appending(path: "usecase.yaml"), atomically: true, encoding: .utf8)

        var reader = SettingsReader(
            arguments: [],
            environment: [
                "VYUHA_USE_CASE": folder.path, "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrapServers, "VYUHA_KAFKA_FETCH_WAIT_MAX_MS": "2",
                "REDIS_URL": redis.url,
                "VYUHA_WEBHOOK_URL": server.url, "VYUHA_INSTANCE_ID": "sink-1",
            ])
        let settings = AlertSinkSettings(&reader)
        try reader.finish()
        #expect(!reader.report.contains(server.url))
        let (ready, life) = (try #require(settings), Lifecycle())
        let service = Service(name: "alert-sink", log: quiet, metrics: Metrics(), life: life)

        let kafka = broker.settings
        try produce(kafka, topics)
        let ended = Mutex<Result<Void, any Error>?>(nil)
        Threads.start("pipeline") {
            let result = Result { try AlertSinkPipeline(ready, service).run() }
            ended.withLock { $0 = result }
        }
        // Three groups, 20 anomalies each within one cooldown, every record twice.
        #expect(withDeadline(20) { server.taken.count == 3 })
        let expected = Set(server.taken)
        #expect(withDeadline(10) { service.metrics.counter("events_processed_total", "").value == 3 * 40 + 2 })
        #expect(service.metrics.counter("alerts_suppressed_total", "", [("by", "joined")]).value == 3 * 19)
        #expect(service.metrics.counter("vyuha_alert_duplicates_total", "").value == 3 * 20)
        let alerts = try read(kafka, topics.alerts, count: 3)
        #expect(Set(alerts.map(\.id)) == expected)
        #expect(alerts.count == 3)
        #expect(alerts.allSatisfy { $0.partition == 1 })
        let letters = try read(kafka, topics.deadLetter, count: 2)
        #expect(Set(letters.map(\.reason)) == ["malformed", "missing-field"])

        let start = ContinuousClock.now
        life.stop()
        #expect(withDeadline(10) { ended.withLock { $0 != nil } })
        #expect(ContinuousClock.now - start < .seconds(5))
        try ended.withLock { $0 }?.get()
        #expect(server.taken.count == 3)
    }

    private func produce(_ kafka: KafkaSettings, _ topics: Topics) throws {
        let producer = try KafkaProducer(kafka)
        var batch = OutgoingBatch(topics: [topics.anomalies])
        for _ in 0..<2 {
            for number in 0..<20 {
                for group in 0..<3 {
                    let json = anomalyJSON(
                        id: "\(group)-\(number)", group: "g\(group)", at: Int64(number), offset: Int64(3 * number + group))
                    batch.append(topic: 0, partition: 1, key: Array("g\(group)".utf8), value: json)
                }
            }
        }
        batch.append(topic: 0, partition: 3, key: nil, value: Array("nonsense".utf8))
        batch.append(topic: 0, partition: 3, key: [0xFF], value: Array("{}".utf8))
        try producer.send(batch)
        try producer.close()
    }

    /// What is on a topic once it holds `count` records.
    private func read(_ kafka: KafkaSettings, _ topic: String, count: Int) throws -> [(id: String, partition: Int32, reason: String)] {
        let consumer = try KafkaConsumer(kafka, group: "reader")
        defer { consumer.close() }
        try consumer.assign((0..<4).map { PartitionOffset(TopicPartition(topic, $0), PartitionOffset.beginning) })
        var batch = RecordBatch()
        var result: [(String, Int32, String)] = []
        _ = try withDeadline(10) {
            try consumer.poll(into: &batch, maximum: 100, timeout: 50)
            for record in batch.records {
                func header(_ name: StaticString) -> String {
                    batch.header(name, of: record).map { String(decoding: batch.bytes[$0], as: UTF8.self) } ?? ""
                }
                result.append((header("id"), record.partition, header("reason")))
            }
            return result.count >= count
        }
        return result
    }
}
