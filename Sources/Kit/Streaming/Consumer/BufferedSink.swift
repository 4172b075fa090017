import KafkaClient

/// A handler that holds records for longer than one batch, such as one that fills files: it says which offsets are durable, and only those are
/// committed. All calls come on the loop's thread.
///
/// What was not durable is read again after a crash or a failure, so effects must be idempotent, as everywhere: a file is named by the offsets
/// that it holds.
public protocol BufferedSink: AnyObject {
    /// Takes records in; comes with an empty batch too, at least every poll timeout (200 ms), so that what has waited long enough can be made
    /// durable.
    /// - Returns: of each partition where it has changed, the offset below which every effect is durable.
    func take(_ batch: borrowing RecordBatch) throws -> [PartitionOffset]
    /// The partitions are about to leave, or the service to end: makes what it holds of them durable. When it throws what may pass, they leave
    /// all the same, and their next owner reads again.
    func flush(_ partitions: [TopicPartition]) throws -> [PartitionOffset]
    /// Drops what it holds of the partitions: they belong to somebody else, or are read again from the committed offset.
    func forget(_ partitions: [TopicPartition])
}

/// An error of a server other than Kafka and Redis that says whether the same call may succeed later without anybody changing data or settings:
/// the loop then reads again instead of looking for the record that is at fault.
public protocol PassingError: Error {
    var mayPass: Bool { get }
}
