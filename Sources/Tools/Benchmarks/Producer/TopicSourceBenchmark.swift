import KafkaClient
import ServiceKit

/// Records of a topic that the producer makes events of, per second of its CPU time: a backlog of JSON objects of 100 bytes is worked through.
struct TopicSourceBenchmark {
    private static let topic = "bench.raw"
    private static let events = "topic-source.events"
    /// The embedded broker keeps about 5 MB of a partition.
    private static let perPartition = 40_000

    let records: Int
    let redis: String
    let log: String

    /// - Returns: records per CPU second, from the service's start until the last event is on its topic.
    func run() throws -> Double {
        let partitions = records / Self.perPartition + 1
        let broker = try EmbeddedBroker(
            topics: [TopicSpec(name: Self.topic, partitions: partitions)]
                + ["events", "labels", "dead-letter"].map { TopicSpec(name: "topic-source.\($0)", partitions: 8) })
        defer { broker.close() }
        try fill(broker, partitions)
        let child = try Child(
            "producer", [".build/release/producer", "--use-case", "services/scripts/bench/definitions/topic"],
            environment: [
                "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrapServers, "VYUHA_PORT": "0", "VYUHA_HOST": "127.0.0.1", "REDIS_URL": redis,
            ], log: log)
        defer { child.stop() }
        let admin = try KafkaAdmin(KafkaSettings(bootstrapServers: broker.bootstrapServers))
        let deadline = Clock.monotonicSeconds + 120
        while try (0..<8).reduce(0, { try $0 + admin.watermarks(TopicPartition(Self.events, $1)).high }) < Int64(records) {
            guard child.isRunning, Clock.monotonicSeconds < deadline else {
                throw BenchmarkError("The producer did not read the topic: \(child.output.suffix(400))")
            }
            Clock.sleep(milliseconds: 20)
        }
        return Double(records) / child.cpuSeconds
    }

    private func fill(_ broker: EmbeddedBroker, _ partitions: Int) throws {
        let producer = try KafkaProducer(
            KafkaSettings(bootstrapServers: broker.bootstrapServers), properties: ["queue.buffering.max.messages": "200000", "linger.ms": "20"])
        var batch = OutgoingBatch(topics: [Self.topic])
        for number in 0..<records {
            let value =
                #"{"meta":{"sensor":"s\#(number % 1_000)"},"at":\#(1_796_000_000_000 + number),"value":\#(number % 97).5,"other":\#(number % 89),"unit":"bar"}"#
            batch.append(topic: 0, partition: Int32(number % partitions), key: nil, value: Array(value.utf8))
            if batch.count == 1_000 || number == records - 1 {
                _ = try producer.send(batch, timeout: 60_000)
                batch.removeAll()
            }
        }
        try producer.flush(timeout: 60_000)
        try producer.close()
    }
}
