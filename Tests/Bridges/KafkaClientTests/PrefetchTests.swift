import TestSupport
import Testing

@testable import KafkaClient

@Suite struct PrefetchTests {
    @Test("a full prefetch queue is filled again while it is read, not a second later")
    func refill() async throws {
        try await onThread {
            let cluster = try Cluster(("t", 1))
            let producer = try KafkaProducer(cluster.settings, properties: ["linger.ms": "0"])
            // Each of these is an answer of its own: the embedded broker gives one batch at a time.
            for part in 0..<100 {
                try producer.send(numbered("t", part * 10..<(part + 1) * 10))
                try producer.flush(timeout: 30_000)
            }
            try producer.close()
            let consumer = try cluster.reader(of: "t", properties: ["queued.min.messages": "10"])
            // With a second for each it would be 100 s.
            var numbers: [Int] = []
            var batch = RecordBatch()
            #expect(
                try until(50_000) {
                    try consumer.poll(into: &batch, timeout: 50)
                    numbers += batch.numbers
                    return numbers.count >= 1_000
                })
            #expect(numbers == Array(0..<1_000))
            consumer.close()
        }
    }

    @Test("an idle consumer with the suite's own settings asks each broker at most twice a second")
    func idle() async throws {
        try await onThread {
            let cluster = try Cluster(("t", 32))
            let proxy = try KafkaProxy(to: cluster.broker.bootstrapServers)
            defer { proxy.close() }
            let consumer = try KafkaConsumer(KafkaSettings(bootstrapServers: proxy.bootstrapServers), group: "idle")
            try consumer.assign((0..<32).map { PartitionOffset(TopicPartition("t", $0), PartitionOffset.beginning) })
            var batch = RecordBatch()
            #expect(
                try until {
                    try consumer.poll(into: &batch, timeout: 10)
                    return proxy.count(.fetch) >= 1
                })
            // A machine that is busy makes them fewer, never more.
            let (start, before) = (milliseconds(), proxy.count(.fetch))
            _ = try until(4_000) {
                try consumer.poll(into: &batch, timeout: 100)
                return false
            }
            let (fetches, elapsed) = (proxy.count(.fetch) - before, milliseconds() - start)
            #expect(fetches * 1000 <= 2 * elapsed + 1000)
            #expect(fetches >= 1)
            consumer.close()
        }
    }
}
