import Contracts
import KafkaClient
import ServiceKit
import Streaming
import Text

/// A record of `<uc>.dead-letter`: what its headers say, where it lies, and the original.
struct FoundLetter {
    let place: TopicPartition
    let offset: Int64
    /// Kafka timestamp, milliseconds.
    let time: Int64
    let letter: DeadLetter
    let key: [UInt8]?
    let value: [UInt8]?
    /// Every header, in order.
    let headers: [(name: String, value: String)]

    /// `partition:offset`, as `show` takes it.
    var address: String { "\(place.partition):\(offset)" }
    var entity: String { key.map { String(decoding: $0, as: UTF8.self) } ?? "" }
}

/// Which letters are meant; what is nil does not matter.
struct DeadLetterFilter {
    var reason: DeadLetterReason?
    var stage: DeadLetter.Stage?
    var field: String?
    var entity: String?
    /// Kafka timestamps, milliseconds.
    var since: Int64?
    var until: Int64?

    func takes(_ found: FoundLetter) -> Bool {
        (reason == nil || found.letter.reason == reason) && (stage == nil || found.letter.stage == stage)
            && (field.map { found.letter.field.split(separator: ",").map { $0.trimming(" ") }.contains($0) } ?? true)
            && (entity == nil || found.entity == entity) && found.time >= since ?? .min && found.time < until ?? .max
    }
}

extension Substring {
    fileprivate func trimming(_ sign: Character) -> String { String(drop { $0 == sign }.reversed().drop { $0 == sign }.reversed()) }
}

/// Reads the dead letters of a use case as they are now, from the oldest; commits nothing.
struct DeadLetterScan {
    /// Seconds without an answer after which the broker is given up.
    private static let patience = 15.0

    let topic: String
    let kafka: KafkaSettings

    /// Calls `body` with each letter, partition by partition side by side; memory does not grow with them.
    /// - Returns: records that are no dead letters.
    func run(_ body: (FoundLetter) -> Void) throws -> Int {
        let admin = try KafkaAdmin(kafka)
        guard let partitions = try admin.topics(expecting: [topic])[topic] else {
            throw CommandError("There is no topic \(topic); `vyuhactl topics create` makes it.")
        }
        let consumer = try KafkaConsumer(kafka, group: "vyuhactl-dead-letters")
        defer { consumer.close() }
        var ends: [TopicPartition: Int64] = [:]
        for number in 0..<Int32(partitions) {
            let range = try admin.watermarks(TopicPartition(topic, number))
            if range.high > range.low { ends[TopicPartition(topic, number)] = range.high }
        }
        guard !ends.isEmpty else { return 0 }
        try consumer.assign(ends.keys.map { PartitionOffset($0, PartitionOffset.beginning) })
        var (others, batch, deadline) = (0, RecordBatch(), Clock.monotonicSeconds + Self.patience)
        while !ends.isEmpty {
            guard Clock.monotonicSeconds < deadline else { throw CommandError("The broker did not show all records of \(topic) in time.") }
            do { try consumer.poll(into: &batch, timeout: 200) } catch {
                guard error.isRetryable, !error.isFatal else { throw error }
            }
            if !batch.isEmpty { deadline = Clock.monotonicSeconds + Self.patience }
            for record in batch.records {
                guard let letter = batch.deadLetter(record) else {
                    others += 1
                    continue
                }
                body(
                    FoundLetter(
                        place: TopicPartition(topic, record.partition), offset: record.offset, time: record.timestamp, letter: letter,
                        key: record.key.map { Array(batch.bytes[$0]) }, value: record.value.map { Array(batch.bytes[$0]) },
                        headers: batch.headers[record.headers].map { header in
                            (
                                String(decoding: batch.bytes[header.name], as: UTF8.self),
                                header.value.map { String(decoding: batch.bytes[$0], as: UTF8.self) } ?? ""
                            )
                        }))
            }
            for place in try consumer.position(Array(ends.keys)) {
                if let end = ends[place.topicPartition], place.offset >= end { ends[place.topicPartition] = nil }
            }
        }
        return others
    }
}
