import KafkaClient

/// Which offsets of which partitions a batch covers. One pass; a dictionary is asked only where the partition changes.
struct BatchSpans {
    struct Span {
        let place: TopicPartition
        /// Offset of the batch's first record of this partition.
        let first: Int64
        /// Behind the last one.
        fileprivate(set) var next: Int64
        /// The committed offset below which records only rebuild state.
        let floor: Int64
    }

    private(set) var spans: [Span] = []

    init(_ batch: borrowing RecordBatch, from ledger: CommitLedger) {
        var known: [TopicPartition: Int] = [:]
        var (topic, partition, current) = (-1, Int32(-1), 0)
        for record in batch.records {
            if record.topic != topic || record.partition != partition {
                (topic, partition) = (record.topic, record.partition)
                let place = TopicPartition(batch.topics[topic], partition)
                if let index = known[place] {
                    current = index
                } else {
                    current = spans.count
                    known[place] = current
                    spans.append(Span(place: place, first: record.offset, next: record.offset, floor: ledger[place]?.start ?? 0))
                }
            }
            // Offsets of a partition grow within a batch.
            spans[current].next = record.offset + 1
        }
    }

    /// Next offset to read of each partition, as it is to be committed. What only rebuilt state was committed before.
    var offsets: [PartitionOffset] {
        spans.filter { $0.next > $0.floor }.map { PartitionOffset($0.place, $0.next) }
    }
}
