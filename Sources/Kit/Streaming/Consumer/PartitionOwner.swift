import KafkaClient

/// What a service with state per partition does when partitions come, go and make progress. All calls come on the loop's thread.
///
/// One mechanism for every stateful step: on assignment the stored state is loaded and reading starts at the offset that it covers;
/// records before the committed offset only rebuild the state; from there on they have effects. See `StateStore`.
public protocol PartitionOwner: AnyObject {
    /// Before anything is read, and now and then: how many partitions the topic has. State that was built with another number belongs to
    /// other entities.
    /// - Throws: where the state cannot be used.
    func check(_ topic: String, partitions: Int) throws
    /// - Parameter committed: the partitions that are ours now, with their committed offset (or `PartitionOffset.invalid`) and its metadata.
    /// - Returns: where to start reading, per partition.
    func take(_ committed: [PartitionOffset]) throws -> [PartitionOffset]
    /// What is stored with a committed offset, for the next owner: comes back in `take`.
    func metadata(of partition: TopicPartition, at offset: Int64) -> String?
    /// The offset is committed and every effect before it is durable: the moment to store the partition's state, or to begin with it.
    func committed(_ partition: TopicPartition, _ offset: Int64) throws
    /// Returns when what `committed` began is stored, as it must be before partitions leave.
    func finishStoring() throws
    /// The partitions belong to somebody else.
    func left(_ partitions: [TopicPartition])
    /// Called between batches, at least every poll timeout: what wall-clock time decides.
    func tick() throws
    /// Seconds between two calls of `committed` for one partition in steady operation.
    var interval: Double { get }
}
