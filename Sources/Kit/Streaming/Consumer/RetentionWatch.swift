import KafkaClient
import ServiceKit

/// Notices records that the broker deleted before this group read them: reading then goes on with the oldest that is left, which the client
/// does by itself (`auto.offset.reset=earliest`); how many are gone is counted and said.
struct RetentionWatch {
    /// A gap between two records is usual where transactions are: their markers and what was aborted take offsets too. Within an assignment
    /// only a larger one is worth a question to the broker.
    private static let suspiciousGap: Int64 = 10_000

    private let service: Service
    private let gone: Counter
    /// The next record to come; nil where nothing was ever committed, since then nothing can be missed.
    private var expected: [TopicPartition: (offset: Int64, isFirst: Bool)] = [:]

    init(_ service: Service) {
        self.service = service
        gone = service.metrics.counter(
            "vyuha_expired_records_total", "Records that retention deleted before they were read: raise the topic's retention or add replicas.")
    }

    mutating func began(_ committed: PartitionOffset) {
        expected[committed.topicPartition] = committed.offset >= 0 ? (committed.offset, true) : nil
    }

    mutating func left(_ partition: TopicPartition) { expected[partition] = nil }

    mutating func look(_ spans: BatchSpans, _ consumer: KafkaConsumer) {
        for span in spans.spans {
            if let (offset, isFirst) = expected[span.place], span.first > offset, isFirst || span.first - offset > Self.suspiciousGap {
                ask(consumer, span, offset)
            }
            // What is below the floor is read again on purpose.
            if span.next > span.floor { expected[span.place] = (span.next, false) }
        }
    }

    private func ask(_ consumer: KafkaConsumer, _ span: BatchSpans.Span, _ offset: Int64) {
        guard let oldest = try? consumer.watermarks(span.place, cached: false, timeout: 2_000).low, oldest > offset else { return }
        let count = min(oldest, span.first) - offset
        gone.add(Int(count))
        service.log.error(
            "records were deleted by retention before they were read; reading goes on with the oldest that is left",
            ["topic": span.place.topic, "partition": Int(span.place.partition), "gone": count, "from": offset, "to": span.first])
    }
}
