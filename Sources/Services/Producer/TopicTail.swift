import KafkaClient
import ServiceKit

/// Reads topics from chosen offsets to where they end now, once, without a group's offsets.
struct TopicTail {
    let topics: [String]
    let kafka: KafkaSettings
    /// Needed by the client; nothing is committed under it.
    let group: String
    /// Seconds without an answer after which reading is given up.
    let timeout: Double
    let service: Service

    /// Calls `body` with the index of the topic and each record from `start` (clamped to what the partition holds) to the end. A stop of the service ends it.
    ///
    /// Cost: about 1 µs a record.
    /// - Throws: when the broker does not answer for `timeout` seconds.
    func read(
        from start: (TopicPartition, Watermarks) -> Int64, _ body: (Int, ConsumedRecord, borrowing RecordBatch) -> Void
    ) throws {
        let admin = try KafkaAdmin(kafka)
        let consumer = try KafkaConsumer(kafka, group: group, properties: ["queued.max.messages.kbytes": "2048"])
        defer { consumer.close() }
        var ends: [TopicPartition: Int64] = [:]
        var starts: [PartitionOffset] = []
        for topic in topics {
            for partition in 0..<(try admin.partitions(of: topic) ?? 0) {
                let place = TopicPartition(topic, Int32(partition))
                let range = try consumer.watermarks(place, cached: false)
                let first = max(range.low, start(place, range))
                guard first < range.high else { continue }
                ends[place] = range.high
                starts.append(PartitionOffset(place, first))
            }
        }
        guard !starts.isEmpty else { return }
        try consumer.assign(starts)
        var batch = RecordBatch()
        var deadline = Clock.monotonicSeconds + timeout
        while !ends.isEmpty, !service.life.isStopping {
            guard Clock.monotonicSeconds < deadline else {
                throw SourceError("The broker did not show the last records of \(topics.joined(separator: ", ")) in time.")
            }
            service.life.turned()
            do {
                try consumer.poll(into: &batch, maximum: 1_000, timeout: 100)
            } catch {
                guard error.isRetryable, !error.isFatal else { throw error }
            }
            if !batch.isEmpty { deadline = Clock.monotonicSeconds + timeout }
            for record in batch.records {
                guard let topic = topics.firstIndex(of: batch.topics[record.topic]) else { continue }
                body(topic, record, batch)
            }
            // A position is past the last record also where the end of the log is a marker that no consumer is shown.
            for place in try consumer.position(Array(ends.keys)) {
                if let end = ends[place.topicPartition], place.offset >= end { ends[place.topicPartition] = nil }
            }
        }
    }
}
