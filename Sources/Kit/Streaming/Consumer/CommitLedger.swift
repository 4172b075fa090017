import KafkaClient

/// How far one partition that this consumer owns has come. Every offset is that of the next record.
///
/// `stored` ≤ `committed` ≤ `requested` ≤ `durable`; each of them only grows while the partition is owned, but for `requested`, which goes back
/// to `committed` when a commit that nobody waited for failed.
struct PartitionProgress: Equatable {
    /// Where the partition began: records below it are read again only to rebuild state, and have no effects.
    let start: Int64
    /// Every effect of the records below it is durable, so it may be committed.
    fileprivate(set) var durable: Int64
    /// A commit of it was sent. Nobody may have waited for its answer.
    fileprivate(set) var requested: Int64
    /// The broker said that it is committed.
    fileprivate(set) var committed: Int64
    /// The owner of the partition's state was told to store it.
    fileprivate(set) var stored: Int64
}

/// Which offsets of a consumer's partitions may be committed, and of which it is certain that they are. Pure: it says what to commit and is told
/// what became of it.
///
/// What it never does, whatever the order of calls: commit an offset whose effects are not durable, commit for a partition that is not owned, let an
/// owner store state that is ahead of what is committed for certain, or go below an offset once committed.
struct CommitLedger: Equatable {
    enum Certainty {
        /// Sent, and nobody waits for the answer.
        case requested
        /// The broker has said so.
        case known
    }

    private var partitions: [TopicPartition: PartitionProgress] = [:]
    /// Whose state was stored last.
    private var lastStored: TopicPartition?

    /// Nil where the partition is not owned.
    subscript(_ partition: TopicPartition) -> PartitionProgress? { partitions[partition] }

    // MARK: Partitions

    /// The partition is ours and begins at this offset.
    /// - Parameter isCommitted: otherwise the beginning itself is still to be committed.
    mutating func assign(_ partition: TopicPartition, at start: Int64, isCommitted: Bool = true) {
        let committed = isCommitted ? start : -1
        partitions[partition] = PartitionProgress(start: start, durable: start, requested: committed, committed: committed, stored: start)
    }

    /// The partition is somebody else's, or will be begun anew: what is not committed yet never is.
    mutating func revoke(_ partition: TopicPartition) { partitions[partition] = nil }

    // MARK: Progress

    /// Every effect of the partition's records below the offset is durable. Nothing happens where the partition is not ours any more.
    mutating func isDurable(_ partition: TopicPartition, below offset: Int64) {
        guard let known = partitions[partition], offset > known.durable else { return }
        partitions[partition]?.durable = offset
    }

    /// What there is to commit.
    /// - Parameter certainty: `known`: everything whose commit nobody has heard of, sent or not; `requested`: only what was not sent yet.
    func due(_ certainty: Certainty) -> [PartitionOffset] {
        partitions.compactMap { partition, progress in
            let done = certainty == .known ? progress.committed : progress.requested
            return done < progress.durable ? PartitionOffset(partition, progress.durable) : nil
        }
    }

    /// The offsets were committed: sent to the broker, or acknowledged by it.
    mutating func commit(_ offsets: [PartitionOffset], _ certainty: Certainty) {
        for place in offsets {
            guard var progress = partitions[place.topicPartition] else { continue }
            let offset = min(place.offset, progress.durable)
            progress.requested = max(progress.requested, offset)
            if certainty == .known { progress.committed = max(progress.committed, offset) }
            partitions[place.topicPartition] = progress
        }
    }

    /// A commit that nobody waited for failed, as during a rebalance. Which one is not worth knowing: they are few, and all are sent again.
    mutating func requestsFailed() {
        partitions = partitions.mapValues { progress in
            var progress = progress
            progress.requested = progress.committed
            return progress
        }
    }

    // MARK: State

    /// The partition of which something was committed since its state was stored, and whose turn it is: in order, one after the other.
    func nextToStore() -> TopicPartition? {
        let due = partitions.filter { $0.value.committed > $0.value.stored }.keys.sorted(by: Self.isBefore)
        guard let lastStored else { return due.first }
        return due.first { Self.isBefore(lastStored, $0) } ?? due.first
    }

    /// The partition's state is to be stored now.
    /// - Returns: the committed offset that it may cover; nil where nothing was committed since the last time.
    mutating func store(_ partition: TopicPartition) -> Int64? {
        guard let progress = partitions[partition], progress.committed > progress.stored else { return nil }
        partitions[partition]?.stored = progress.committed
        lastStored = partition
        return progress.committed
    }

    private static func isBefore(_ one: TopicPartition, _ other: TopicPartition) -> Bool {
        (one.topic, one.partition) < (other.topic, other.partition)
    }
}
