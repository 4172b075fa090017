import KafkaClient
import ServiceKit

/// Which partitions are ours, and how far they are committed.
extension ConsumerLoop {
    // MARK: Commits

    func commit(_ consumer: KafkaConsumer, wait: Bool) throws {
        lastCommit = Clock.monotonicSeconds
        if consumer.failedCommits != failedCommits {
            failedCommits = consumer.failedCommits
            ledger.requestsFailed()
        }
        // One that waits does not rely on those that did not.
        let due = ledger.due(wait ? .known : .requested)
        guard !due.isEmpty else { return }
        do {
            let offsets = annotated(due)
            try consumer.commit(offsets, wait: wait)
            poison.progressed(offsets)
            ledger.commit(offsets, wait ? .known : .requested)
        } catch {
            guard error.isRetryable, !error.isFatal else { throw error }
            // The effects are durable and idempotent; an uncommitted offset only means that they are repeated after a crash.
            service.log.warning("offsets could not be committed and will be tried again", ["error": "\(error)"])
        }
    }

    /// With what the owner wants the next one to know.
    func annotated(_ offsets: [PartitionOffset]) -> [PartitionOffset] {
        guard let owner else { return offsets }
        return offsets.map { PartitionOffset($0.topicPartition, $0.offset, metadata: owner.metadata(of: $0.topicPartition, at: $0.offset)) }
    }

    /// Commits for certain, then lets the owner store its state, which must never cover more than what is committed.
    /// - Parameter leaving: the partitions to store because they leave; nil: the one whose turn it is.
    func storeState(_ consumer: KafkaConsumer, _ owner: any PartitionOwner, leaving: [TopicPartition]? = nil) throws {
        lastStore = Clock.monotonicSeconds
        if transactions == nil { try commit(consumer, wait: true) }
        guard ledger.due(.known).isEmpty else { return }
        for place in leaving ?? ledger.nextToStore().map({ [$0] }) ?? [] {
            if let offset = ledger.store(place) { try owner.committed(place, offset) }
        }
        if leaving != nil { try owner.finishStoring() }
    }

    /// A sink that holds records gives them up; what it cannot, the next owner reads again.
    func flush(_ leaving: [TopicPartition]) {
        guard let buffered, !leaving.isEmpty else { return }
        do {
            note(try buffered.flush(leaving))
        } catch {
            service.log.warning("records that were held could not be made durable, and are read again", ["error": "\(error)"])
            if !Self.mayPass(error) { rebalanceError = error }
        }
    }

    // MARK: Rebalances

    /// Runs inside a poll, which cannot throw what is not Kafka's: an error is kept and ends the loop right after.
    func rebalanced(_ consumer: KafkaConsumer, _ event: RebalanceEvent) -> [PartitionOffset] {
        rebalances.add()
        defer { partitions.set(Double(assigned.count)) }
        do {
            switch event {
            case .assigned(let added):
                assigned.formUnion(added)
                service.log.info("partitions assigned", ["added": added.count, "now": assigned.count])
                do {
                    let starts = try take(consumer, added)
                    if notTaken == nil { service.life.obstacle = nil }
                    return starts
                } catch  where Self.mayPass(error) {
                    // A member of a group may not be silent for long: what waits, waits outside of this call.
                    notTaken = error
                }
            case .revoked(let removed):
                flush(removed)
                if let owner { try storeState(consumer, owner, leaving: removed) } else { try commit(consumer, wait: true) }
                leave(removed)
                service.log.info("partitions handed over", ["removed": removed.count, "now": assigned.count])
            case .lost(let removed):
                leave(removed)
                service.log.warning("partitions lost to another member", ["removed": removed.count, "now": assigned.count])
            }
        } catch {
            rebalanceError = error
        }
        return []
    }

    /// - Returns: where to begin reading.
    func take(_ consumer: KafkaConsumer, _ added: [TopicPartition]) throws -> [PartitionOffset] {
        var committed = try consumer.committed(added, timeout: 10_000)
        let isKnown = committed.map { $0.offset >= 0 }
        if let beginsAt {
            for index in committed.indices where !isKnown[index] {
                let partition = committed[index].topicPartition
                let range = try consumer.watermarks(partition, cached: false)
                committed[index] = PartitionOffset(partition, beginsAt == .newest ? range.high : range.low)
            }
        }
        poison.took(committed, batch: maximum)
        for (place, isKnown) in zip(committed, isKnown) {
            // Where nothing was committed and no beginning is asked for, there is nothing to commit either.
            ledger.assign(place.topicPartition, at: max(place.offset, 0), isCommitted: isKnown || beginsAt == nil)
            retention.began(place)
        }
        if let owner {
            let starts = try owner.take(committed)
            if beginsAt != nil { try commit(consumer, wait: true) }
            return starts
        }
        return committed.map { PartitionOffset($0.topicPartition, $0.offset >= 0 ? $0.offset : PartitionOffset.beginning) }
    }

    private func leave(_ removed: [TopicPartition]) {
        for partition in removed {
            assigned.remove(partition)
            ledger.revoke(partition)
            lag.left(partition)
            retention.left(partition)
        }
        owner?.left(removed)
        buffered?.forget(removed)
    }
}
