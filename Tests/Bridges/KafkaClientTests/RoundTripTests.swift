import Testing

@testable import KafkaClient

@Suite("Records on their way through a broker")
struct RoundTripTests {
    @Test("keys, values, headers and timestamps arrive as they were sent")
    func roundTrip() async throws {
        try await onThread {
            let cluster = try Cluster(("t", 1))
            let producer = try KafkaProducer(cluster.settings)
            var batch = OutgoingBatch(topics: ["t"])
            batch.append(topic: 0, partition: 0, key: Array("soldier".utf8), value: Array("{}".utf8), timestamp: 1_700_000_000_123)
            batch.header("id", "a:1")
            batch.header("note", [0xFF, 0, 1])
            batch.append(topic: 0, partition: 0, key: nil as [UInt8]?, value: nil, timestamp: 5)
            batch.append(topic: 0, partition: 0, key: [0xC3, 0x28, 0xFF], value: [], timestamp: 6)
            batch.header("empty", "")
            batch.append(topic: 0, partition: 0, key: [], value: [0], timestamp: 7)
            try producer.send(batch)
            try producer.flush(timeout: 60_000)
            let read = try cluster.reader(of: "t").read(4)
            #expect(
                read == [
                    Copy(
                        key: Array("soldier".utf8), value: Array("{}".utf8), headers: ["id": Array("a:1".utf8), "note": [0xFF, 0, 1]],
                        timestamp: 1_700_000_000_123, offset: 0),
                    Copy(key: nil, value: nil, timestamp: 5, offset: 1),
                    Copy(key: [0xC3, 0x28, 0xFF], value: [], headers: ["empty": []], timestamp: 6, offset: 2),
                    Copy(key: [], value: [0], timestamp: 7, offset: 3),
                ])
        }
    }

    @Test("a header is found by its name, the last of several, and nothing where there is none")
    func headers() async throws {
        try await onThread {
            let cluster = try Cluster(("t", 1))
            let producer = try KafkaProducer(cluster.settings)
            var batch = OutgoingBatch(topics: ["t"])
            batch.append(topic: 0, partition: 0, key: nil, value: [1])
            batch.header("id", "first")
            batch.header("id", "second")
            try producer.send(batch)
            let consumer = try cluster.reader(of: "t")
            var read = RecordBatch()
            #expect(try until { try consumer.poll(into: &read, timeout: 50) == 1 })
            let record = read.records[0]
            let id = try #require(read.header("id", of: record))
            #expect(Array(read.bytes[id]) == Array("second".utf8))
            #expect(read.header("i", of: record) == nil)
            #expect(read.topics[record.topic] == "t")
            #expect(read.bytes.count >= id.upperBound + RecordBatch.slack)
        }
    }

    @Test("a poll returns at most the maximum, in order, and the batch can be used again")
    func batches() async throws {
        try await onThread {
            let cluster = try Cluster(("t", 1))
            try cluster.fill("t", with: 0..<1000)
            let consumer = try cluster.reader(of: "t")
            var batch = RecordBatch()
            var numbers: [Int] = []
            var largest = 0
            let isComplete = try until {
                try consumer.poll(into: &batch, maximum: 64, timeout: 50)
                largest = max(largest, batch.count)
                numbers += batch.numbers
                return numbers.count >= 1000
            }
            #expect(isComplete && largest <= 64)
            #expect(numbers == Array(0..<1000))
            #expect(try consumer.position([TopicPartition("t", 0)]).map(\.offset) == [1000])
        }
    }

    @Test("records of two topics and of many partitions keep their places")
    func topics() async throws {
        try await onThread {
            let cluster = try Cluster(("a", 4), ("b", 1))
            let producer = try KafkaProducer(cluster.settings)
            var batch = OutgoingBatch(topics: ["a", "b"])
            for partition in 0..<4 { batch.append(topic: 0, partition: Int32(partition), key: nil, value: [UInt8(partition)]) }
            batch.append(topic: 1, partition: 0, key: nil, value: [9])
            try producer.send(batch)
            let consumer = try KafkaConsumer(cluster.settings, group: "g")
            let places = (0..<4).map { TopicPartition("a", $0) } + [TopicPartition("b", 0)]
            try consumer.assign(places.map { PartitionOffset($0, PartitionOffset.beginning) })
            var read = RecordBatch()
            var seen: Set<String> = []
            #expect(
                try until {
                    try consumer.poll(into: &read, timeout: 50)
                    for record in read.records {
                        guard let value = record.value else { continue }
                        seen.insert("\(read.topics[record.topic])-\(record.partition)=\(read.bytes[value.lowerBound])")
                    }
                    return seen.count == 5
                })
            #expect(seen == ["a-0=0", "a-1=1", "a-2=2", "a-3=3", "b-0=9"])
            #expect(Set(try consumer.assignment()) == Set(places))
        }
    }

    @Test("a value of 2 MiB arrives; one above message.max.bytes is refused by name and the rest can be sent")
    func large() async throws {
        try await onThread {
            let cluster = try Cluster(("t", 1))
            let producer = try KafkaProducer(cluster.settings)
            var batch = OutgoingBatch(topics: ["t"])
            batch.append(topic: 0, partition: 0, key: nil, value: [UInt8](repeating: 1, count: 2 << 20))
            batch.append(topic: 0, partition: 0, key: nil, value: [UInt8](repeating: 2, count: 5 << 20))
            batch.append(topic: 0, partition: 0, key: nil, value: [3])
            let refused = try #require(failure { try producer.send(batch) })
            #expect(refused.name == "MSG_SIZE_TOO_LARGE")
            #expect(refused.recordIndex == 1)
            #expect(!refused.isRetryable)
            #expect(refused.topicPartition == TopicPartition("t", 0))
            let rest = try producer.send(batch, from: 2)
            try producer.waitForDelivery(of: rest, timeout: 60_000)
            #expect(try cluster.reader(of: "t").read(2).map { $0.value?.count } == [2 << 20, 1])
        }
    }
}
