import CRDKafka

/// Where the consumer stands, and where it goes on. All of it on the consumer's thread.
extension KafkaConsumer {
    /// Commits offsets for the group; an offset is that of the *next* record to read.
    ///
    /// - Parameters:
    ///   - wait: `true` blocks for the broker's answer and throws what it says; `false` sends and returns, failures are
    ///     counted in `failedCommits` during later polls.
    ///   - milliseconds: how long a broker that is not ready is asked again, where it is waited for.
    public func commit(_ offsets: [PartitionOffset], wait: Bool, timeout milliseconds: Int = 5_000) throws(KafkaError) {
        try requireOpen()
        guard !offsets.isEmpty else { return }
        try handle.retrying(until: Deadline(milliseconds: wait ? milliseconds : 0)) { _ throws(KafkaError) in
            try PartitionList.with(offsets) { list throws(KafkaError) in
                let code = rd_kafka_commit(handle.pointer, list, wait ? 0 : 1)
                if wait { try PartitionList.check(list, "commit offsets") }
                try check(code, "commit offsets")
            }
        }
    }

    /// Remembers offsets in the client for `commitStored`; costs no request. The partitions must be assigned.
    /// Metadata is not kept here (librdkafka 2.0.2 drops it): use `commit` for offsets with metadata.
    public func store(_ offsets: [PartitionOffset]) throws(KafkaError) {
        try requireOpen()
        try PartitionList.with(offsets) { list throws(KafkaError) in
            let code = rd_kafka_offsets_store(handle.pointer, list)
            try PartitionList.check(list, "store offsets")
            try check(code, "store offsets")
        }
    }

    /// Commits what `store` remembered; nothing new to commit is fine.
    public func commitStored(wait: Bool) throws(KafkaError) {
        try requireOpen()
        try handle.retrying(until: Deadline(milliseconds: wait ? 5_000 : 0)) { _ throws(KafkaError) in
            let code = rd_kafka_commit(handle.pointer, nil, wait ? 0 : 1)
            if code != RD_KAFKA_RESP_ERR__NO_OFFSET { try check(code, "commit offsets") }
        }
    }

    /// The group's committed offsets and their metadata; `.invalid` where there is none. One request.
    public func committed(_ partitions: [TopicPartition], timeout milliseconds: Int = 5000) throws(KafkaError) -> [PartitionOffset] {
        try requireOpen()
        return try handle.retrying(until: Deadline(milliseconds: milliseconds)) { remaining throws(KafkaError) in
            try PartitionList.with(partitions) { list throws(KafkaError) in
                try check(rd_kafka_committed(handle.pointer, list, Int32(clamping: remaining)), "read committed offsets")
                try PartitionList.check(list, "read committed offsets")
                return PartitionList.offsets(list)
            }
        }
    }

    /// Offset of the next record that `poll` would return; `.invalid` before the first. No request.
    public func position(_ partitions: [TopicPartition]) throws(KafkaError) -> [PartitionOffset] {
        try requireOpen()
        return try PartitionList.with(partitions) { list throws(KafkaError) in
            try check(rd_kafka_position(handle.pointer, list), "read the position")
            return PartitionList.offsets(list)
        }
    }

    /// Every topic with its number of partitions; one request.
    public func topics(timeout milliseconds: Int = 5_000) throws(KafkaError) -> [String: Int] {
        try requireOpen()
        return try handle.topics(until: Deadline(milliseconds: milliseconds))
    }

    /// The partitions that are read now.
    public func assignment() throws(KafkaError) -> [TopicPartition] {
        try requireOpen()
        var list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>?
        try check(rd_kafka_assignment(handle.pointer, &list), "read the assignment")
        guard let list else { return [] }
        defer { rd_kafka_topic_partition_list_destroy(list) }
        return PartitionList.partitions(list)
    }

    /// Stops fetching; what was prefetched is dropped and fetched again after `resume`. Keep polling meanwhile, or the group
    /// takes the partitions away after `max.poll.interval.ms`.
    public func pause(_ partitions: [TopicPartition]) throws(KafkaError) {
        try requireOpen()
        try PartitionList.with(partitions) { list throws(KafkaError) in
            try check(rd_kafka_pause_partitions(handle.pointer, list), "pause partitions")
            try PartitionList.check(list, "pause partitions")
        }
    }

    /// Goes on where `pause` stopped.
    public func resume(_ partitions: [TopicPartition]) throws(KafkaError) {
        try requireOpen()
        try PartitionList.with(partitions) { list throws(KafkaError) in
            try check(rd_kafka_resume_partitions(handle.pointer, list), "resume partitions")
            try PartitionList.check(list, "resume partitions")
        }
    }

    /// Continues at these offsets (or `.beginning`, `.end`); what was prefetched is dropped. The partitions must be assigned.
    public func seek(_ offsets: [PartitionOffset], timeout milliseconds: Int = 5000) throws(KafkaError) {
        try requireOpen()
        let deadline = Deadline(milliseconds: milliseconds)
        try PartitionList.with(offsets) { list throws(KafkaError) in
            while true {
                do throws(KafkaError) {
                    try check(rd_kafka_seek_partitions(handle.pointer, list, Int32(clamping: milliseconds)), "seek")
                    return try PartitionList.check(list, "seek")
                } catch {
                    // librdkafka 2.0 waits for as many microseconds; it is asked again until the time is really up.
                    if error.name != "_TIMED_OUT" || deadline.hasPassed { throw error }
                }
            }
        }
    }

    /// - Parameter cached: `true` takes what the last fetch said, without a request, and asks the broker only when there was none.
    public func watermarks(
        _ partition: TopicPartition, cached: Bool = true, timeout milliseconds: Int = 5000
    ) throws(KafkaError) -> Watermarks {
        try requireOpen()
        if cached {
            var low: Int64 = 0
            var high: Int64 = 0
            let code = rd_kafka_get_watermark_offsets(handle.pointer, partition.topic, partition.partition, &low, &high)
            if code == RD_KAFKA_RESP_ERR_NO_ERROR, high >= 0 { return Watermarks(low: max(low, 0), high: high) }
        }
        return try handle.queryWatermarks(partition, timeout: milliseconds)
    }

    /// Records of each assigned partition that `poll` has not returned yet. A request only for partitions that have not been
    /// read; those count from their committed offset, or from the oldest record.
    public func lag() throws(KafkaError) -> [TopicPartition: Int64] {
        let positions = try position(assignment())
        let unread = positions.filter { $0.offset < 0 }.map(\.topicPartition)
        let starts = unread.isEmpty ? [] : try committed(unread)
        var lag: [TopicPartition: Int64] = [:]
        for position in positions.filter({ $0.offset >= 0 }) + starts {
            let watermarks = try watermarks(position.topicPartition)
            let next = position.offset >= 0 ? position.offset : watermarks.low
            lag[position.topicPartition] = max(watermarks.high - next, 0)
        }
        return lag
    }
}

extension ClientHandle {
    /// Two requests, one after the other. `rd_kafka_query_watermark_offsets` sends both at once and forgets the error of the one that is answered
    /// first: right after a topic was created it may call the end the beginning.
    func queryWatermarks(_ partition: TopicPartition, timeout milliseconds: Int) throws(KafkaError) -> Watermarks {
        let deadline = Deadline(milliseconds: milliseconds)
        let low = try offset(of: partition, at: PartitionOffset.beginning, until: deadline)
        return Watermarks(low: low, high: max(low, try offset(of: partition, at: PartitionOffset.end, until: deadline)))
    }

    /// - Parameter time: `PartitionOffset.beginning` or `.end`, which the protocol takes as times.
    private func offset(of partition: TopicPartition, at time: Int64, until deadline: Deadline) throws(KafkaError) -> Int64 {
        try retrying(until: deadline) { remaining throws(KafkaError) in
            try PartitionList.with([PartitionOffset(partition, time)]) { list throws(KafkaError) in
                let code = rd_kafka_offsets_for_times(pointer, list, Int32(clamping: remaining))
                guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
                    throw KafkaError(code: code, doing: "read the watermarks", topicPartition: partition)
                }
                try PartitionList.check(list, "read the watermarks")
                return PartitionList.offsets(list).first?.offset ?? 0
            }
        }
    }
}
