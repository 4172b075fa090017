import Testing

@testable import KafkaClient

@Suite("The consumer")
struct ConsumerTests {
    private let partition = TopicPartition("t", 0)

    @Test("committed offsets and their metadata come back; nothing is committed on its own")
    func commit() async throws {
        try await onThread {
            let cluster = try Cluster(("t", 2))
            try cluster.fill("t", with: 0..<10)
            let consumer = try cluster.reader(of: "t", partitions: 2, group: "g")
            #expect(try consumer.readNumbers(10).count == 10)
            #expect(try consumer.committed([partition]).map(\.offset) == [PartitionOffset.invalid])
            try consumer.commit([PartitionOffset(partition, 7, metadata: "needs 3")], wait: true)
            #expect(try consumer.committed([partition]) == [PartitionOffset(partition, 7, metadata: "needs 3")])
            try consumer.store([PartitionOffset(partition, 9)])
            try consumer.commitStored(wait: true)
            try consumer.commitStored(wait: true)
            #expect(try consumer.committed([partition]).map(\.offset) == [9])
            try consumer.commit([PartitionOffset(partition, 10)], wait: false)
            #expect(try until { try consumer.committed([partition]).map(\.offset) == [10] })
            #expect(consumer.failedCommits == 0)
        }
    }

    @Test("pause stops the flow, resume goes on without a gap, seek goes back")
    func pauseResumeSeek() async throws {
        try await onThread {
            let cluster = try Cluster(("t", 1))
            try cluster.fill("t", with: 0..<100)
            let consumer = try cluster.reader(of: "t")
            var batch = RecordBatch()
            #expect(try until { try consumer.poll(into: &batch, maximum: 10, timeout: 50) > 0 })
            let read = batch.count
            try consumer.pause([partition])
            for _ in 0..<5 { #expect(try consumer.poll(into: &batch, timeout: 20) == 0) }
            try consumer.resume([partition])
            #expect(try consumer.readNumbers(100 - read) == Array(read..<100))
            try consumer.seek([PartitionOffset(partition, 90)])
            #expect(try consumer.readNumbers(10) == Array(90..<100))
            try consumer.seek([PartitionOffset(partition, PartitionOffset.beginning)])
            #expect(try consumer.readNumbers(100) == Array(0..<100))
        }
    }

    @Test("an offset that the partition does not have is an error that names the partition, and a new assignment repairs it")
    func offsetOutOfRange() async throws {
        try await onThread {
            let cluster = try Cluster(("t", 1))
            try cluster.fill("t", with: 0..<5)
            let consumer = try KafkaConsumer(cluster.settings, group: "g", properties: ["auto.offset.reset": "error"])
            try consumer.assign([PartitionOffset(partition, 1_000_000)])
            var batch = RecordBatch()
            var told: KafkaError?
            #expect(
                until {
                    do throws(KafkaError) {
                        try consumer.poll(into: &batch, timeout: 50)
                    } catch {
                        if !error.isRetryable { told = error }
                    }
                    return told != nil
                })
            #expect(told?.name == "_AUTO_OFFSET_RESET")
            #expect(told?.topicPartition == partition)
            try consumer.assign([PartitionOffset(partition, 0)])
            #expect(try consumer.readNumbers(5) == Array(0..<5))
        }
    }

    @Test("watermarks and lag say how much is unread")
    func lag() async throws {
        try await onThread {
            let cluster = try Cluster(("t", 2))
            try cluster.fill("t", with: 0..<50)
            let consumer = try cluster.reader(of: "t", partitions: 2)
            #expect(try consumer.lag() == [partition: 50, TopicPartition("t", 1): 0])
            var batch = RecordBatch()
            #expect(try until { try consumer.poll(into: &batch, maximum: 20, timeout: 50) > 0 })
            #expect(try consumer.lag()[partition] == Int64(50 - batch.count))
            #expect(try consumer.watermarks(partition) == Watermarks(low: 0, high: 50))
            #expect(try consumer.watermarks(partition, cached: false) == Watermarks(low: 0, high: 50))
        }
    }

    @Test("a consumer that starts before its broker waits for it")
    func brokerComesLater() async throws {
        try await onThread {
            let cluster = try Cluster(("t", 1))
            try cluster.fill("t", with: 0..<5)
            cluster.broker.setDown()
            let consumer = try cluster.reader(of: "t")
            var batch = RecordBatch()
            for _ in 0..<3 { #expect(try consumer.poll(into: &batch, timeout: 50) == 0) }
            cluster.broker.setUp()
            #expect(try consumer.readNumbers(5) == Array(0..<5))
        }
    }

    @Test("a closed consumer refuses, and close can be repeated")
    func closed() async throws {
        try await onThread {
            let cluster = try Cluster(("t", 1))
            let consumer = try cluster.reader(of: "t")
            consumer.close()
            consumer.close()
            var batch = RecordBatch()
            #expect(failure { try consumer.poll(into: &batch, timeout: 0) } == .closed)
            #expect(failure { try consumer.assign([]) } == .closed)
        }
    }

    @Test("log lines reach the handler")
    func log() async throws {
        try await onThread {
            let lines = Collector()
            let settings = KafkaSettings(bootstrapServers: "127.0.0.1:1", log: { lines.add($0.message) })
            let consumer = try KafkaConsumer(settings, group: "g")
            var batch = RecordBatch()
            #expect(
                try until {
                    try consumer.poll(into: &batch, timeout: 20)
                    return !lines.all.isEmpty
                })
        }
    }
}
