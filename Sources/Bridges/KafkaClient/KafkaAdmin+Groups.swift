import CRDKafka

/// Consumer groups as seen from outside.
extension KafkaAdmin {
    /// Committed offsets of a group and their metadata; `.invalid` where there is none.
    public func committed(
        group: String, _ partitions: [TopicPartition], timeout milliseconds: Int = 10_000
    ) throws(KafkaError) -> [PartitionOffset] {
        guard !partitions.isEmpty else { return [] }
        return try member(of: group).committed(partitions, timeout: milliseconds)
    }

    /// Records that a group has still to commit, per partition: next offset minus committed offset, or minus the oldest offset where
    /// nothing is committed. Costs one request per partition. A topic that does not exist is left out.
    public func lag(
        group: String, topics: [String], timeout milliseconds: Int = 10_000
    ) throws(KafkaError) -> [TopicPartition: Int64] {
        let deadline = Deadline(milliseconds: milliseconds)
        let partitions = try partitions(of: topics, until: deadline)
        var lag: [TopicPartition: Int64] = [:]
        for offset in try committed(group: group, partitions, timeout: max(deadline.remainingMilliseconds, 1)) {
            let watermarks = try watermarks(offset.topicPartition, timeout: max(deadline.remainingMilliseconds, 1))
            // A commit below the oldest record points at records that are gone.
            let next = max(offset.offset, watermarks.low)
            lag[offset.topicPartition] = max(watermarks.high - next, 0)
        }
        return lag
    }

    /// Sets committed offsets of a group that has no members; with members the broker refuses.
    public func setOffsets(group: String, _ offsets: [PartitionOffset], timeout milliseconds: Int = 10_000) throws(KafkaError) {
        guard !offsets.isEmpty else { return }
        try member(of: group).commit(offsets, wait: true, timeout: milliseconds)
    }

    /// Lets a group that has no members start again at the oldest record of these topics.
    public func resetOffsets(group: String, topics: [String], timeout milliseconds: Int = 10_000) throws(KafkaError) {
        let deadline = Deadline(milliseconds: milliseconds)
        var offsets: [PartitionOffset] = []
        for partition in try partitions(of: topics, until: deadline) {
            let low = try watermarks(partition, timeout: max(deadline.remainingMilliseconds, 1)).low
            offsets.append(PartitionOffset(partition, low))
        }
        try setOffsets(group: group, offsets, timeout: max(deadline.remainingMilliseconds, 1))
    }

    /// Names of all consumer groups.
    public func groups(timeout milliseconds: Int = 10_000) throws(KafkaError) -> [String] {
        try handle.retrying(until: Deadline(milliseconds: milliseconds)) { remaining throws(KafkaError) in
            var answer: UnsafePointer<rd_kafka_group_list>?
            try check(rd_kafka_list_groups(handle.pointer, nil, &answer, Int32(clamping: remaining)), "list the consumer groups")
            guard let answer else { return [] }
            defer { rd_kafka_group_list_destroy(answer) }
            return UnsafeBufferPointer(start: answer.pointee.groups, count: Int(answer.pointee.group_cnt)).map { String(cString: $0.group) }
        }
    }

    /// A consumer that never joins: it reads and writes the group's offsets like an outside tool. Works with every broker, which the
    /// requests of the admin API for group offsets do not.
    private func member(of group: String) throws(KafkaError) -> KafkaConsumer {
        try KafkaConsumer(settings, group: group)
    }

    private func partitions(of names: [String], until deadline: Deadline) throws(KafkaError) -> [TopicPartition] {
        let counts = try topics(timeout: max(deadline.remainingMilliseconds, 1))
        return names.flatMap { name in (0..<Int32(counts[name] ?? 0)).map { TopicPartition(name, $0) } }
    }
}
