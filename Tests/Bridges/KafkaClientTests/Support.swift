import Foundation

@testable import KafkaClient

/// A cluster of a test's own.
struct Cluster {
    let broker: EmbeddedBroker
    let settings: KafkaSettings

    init(_ topics: (name: String, partitions: Int)...) throws {
        broker = try EmbeddedBroker(topics: topics.map { TopicSpec(name: $0.name, partitions: $0.partitions) })
        settings = broker.settings
    }

    /// A consumer that reads partitions 0..<partitions of a topic from its beginning.
    func reader(of topic: String, partitions: Int32 = 1, group: String = "readers", properties: [String: String] = [:]) throws
        -> KafkaConsumer
    {
        let consumer = try KafkaConsumer(settings, group: group, properties: properties)
        try consumer.assign((0..<partitions).map { PartitionOffset(TopicPartition(topic, $0), PartitionOffset.beginning) })
        return consumer
    }

    /// Sends the numbers of a range as values to partition 0 and waits until they are there.
    func fill(_ topic: String, with numbers: Range<Int>) throws {
        let producer = try KafkaProducer(settings)
        try producer.send(numbered(topic, numbers))
        try producer.close()
    }
}

func numbered(_ topic: String, _ numbers: Range<Int>, partition: Int32 = 0) -> OutgoingBatch {
    var batch = OutgoingBatch(topics: [topic])
    for number in numbers { batch.append(topic: 0, partition: partition, key: nil, value: Array(String(number).utf8)) }
    return batch
}

func milliseconds() -> Int {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec * 1000 + now.tv_nsec / 1_000_000
}

/// Calls `step` until it says true; false when the time is over.
func until(_ limit: Int = 60_000, _ step: () throws -> Bool) rethrows -> Bool {
    let end = milliseconds() + limit
    while milliseconds() < end { if try step() { return true } }
    return false
}

/// A record as a test compares it.
struct Copy: Equatable {
    var key: [UInt8]?
    var value: [UInt8]?
    var headers: [String: [UInt8]] = [:]
    var timestamp: Int64 = 0
    var partition: Int32 = 0
    var offset: Int64 = 0
}

extension RecordBatch {
    var copies: [Copy] {
        records.map { record in
            var copy = Copy(key: record.key.map { Array(bytes[$0]) }, value: record.value.map { Array(bytes[$0]) })
            for header in headers[record.headers] {
                copy.headers[String(decoding: bytes[header.name], as: UTF8.self)] = header.value.map { Array(bytes[$0]) }
            }
            copy.timestamp = record.timestamp
            copy.partition = record.partition
            copy.offset = record.offset
            return copy
        }
    }

    var numbers: [Int] {
        records.compactMap { record in record.value.flatMap { Int(String(decoding: bytes[$0], as: UTF8.self)) } }
    }
}

extension KafkaConsumer {
    /// Polls until `count` records have come, or the time is over.
    func read(_ count: Int) throws -> [Copy] {
        var batch = RecordBatch()
        var copies: [Copy] = []
        _ = try until {
            do throws(KafkaError) {
                try poll(into: &batch, timeout: 50)
            } catch {
                guard error.isRetryable else { throw error }
            }
            copies += batch.copies
            return copies.count >= count
        }
        return copies
    }

    func readNumbers(_ count: Int) throws -> [Int] {
        try read(count).compactMap { $0.value.flatMap { Int(String(decoding: $0, as: UTF8.self)) } }
    }
}

/// The `KafkaError` of a call that must fail.
func failure(_ call: () throws -> Void) -> KafkaError? {
    do { try call() } catch { return error as? KafkaError }
    return nil
}

/// Runs a test that waits for seconds on a thread of its own, so that it holds up no other test.
func onThread(_ body: @escaping @Sendable () throws -> Void) async throws {
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
        Thread.detachNewThread { continuation.resume(with: Result { try body() }) }
    }
}
