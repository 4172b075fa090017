import CRDKafka

/// What happens to this consumer's partitions in its group.
public enum RebalanceEvent: Sendable, Equatable {
    /// These are ours from now on.
    case assigned([TopicPartition])
    /// These will be given up when the handler returns: commit here, they are still ours.
    case revoked([TopicPartition])
    /// These already belong to somebody else (a session expired): do not commit.
    case lost([TopicPartition])
}

/// Runs on the polling thread, inside `poll` or `close`.
///
/// For `.assigned` it may return where to start reading; a partition that it does not mention starts at its committed offset. The
/// result is ignored for the other events.
public typealias RebalanceHandler = (KafkaConsumer, RebalanceEvent) -> [PartitionOffset]

/// A consumer that copies whole batches out of librdkafka. One thread owns it.
///
/// Offsets are never committed or stored on their own: the caller commits once the effect of the records is durable.
/// A poll costs 0.3 to 0.4 µs of its thread per record of 150 bytes, librdkafka's part included.
public final class KafkaConsumer {
    let handle: ClientHandle
    private let queue: OpaquePointer
    private let slots: UnsafeMutablePointer<UnsafeMutablePointer<rd_kafka_message_t>?>
    private static let slotCount = 10_000
    private var prefetch: PrefetchQueue
    private var rebalance: RebalanceHandler?
    private(set) var isClosed = false
    private var isSubscribed = false
    private var wasAssigned = false

    /// Commits made with `wait: false` that failed so far.
    public var failedCommits: Int { handle.context.failedCommits }
    /// The latest of them. A failed commit during a rebalance is usual and harmless: the next one covers it.
    public var lastCommitError: KafkaError? { handle.context.lastCommitError }

    /// - Parameters:
    ///   - group: `group.id`; also names the committed offsets when partitions are assigned by hand.
    ///   - instanceID: `group.instance.id`: a member with a stable name keeps its partitions over a restart, but its graceful leave
    ///     is noticed only when its session expires.
    ///   - properties: over `settings.properties`, for this consumer alone.
    public init(
        _ settings: KafkaSettings, group: String, instanceID: String? = nil, properties: [String: String] = [:],
        rebalance: RebalanceHandler? = nil
    ) throws(KafkaError) {
        self.rebalance = rebalance
        var own = [("bootstrap.servers", settings.bootstrapServers), ("group.id", group)]
        if let instanceID { own.append(("group.instance.id", instanceID)) }
        let all = [
            KafkaDefaults.common, KafkaDefaults.consumer, PrefetchQueue.properties, own, Array(settings.properties), Array(properties),
        ]
        handle = try ClientHandle(RD_KAFKA_CONSUMER, settings, properties: all) { configuration in
            rd_kafka_conf_set_rebalance_cb(configuration, onRebalance)
            rd_kafka_conf_set_offset_commit_cb(configuration, onCommit)
        }
        prefetch = PrefetchQueue(handle.pointer, properties: all)
        // One queue for records, rebalances and errors.
        rd_kafka_poll_set_consumer(handle.pointer)
        guard let queue = rd_kafka_queue_get_consumer(handle.pointer) else {
            throw KafkaError(code: RD_KAFKA_RESP_ERR__INVALID_ARG, "A consumer needs a group name that is not empty.")
        }
        self.queue = queue
        slots = .allocate(capacity: Self.slotCount)
        slots.initialize(repeating: nil, count: Self.slotCount)
        // A poll that waits for records must end when a rebalance is announced, which it does not by itself.
        handle.context.onRebalance = { rd_kafka_queue_yield(queue) }
    }

    deinit {
        if !isClosed {
            // The handler must not get hold of an object that is going away.
            rebalance = nil
            shutDown()
        }
        handle.context.onRebalance = nil
        slots.deallocate()
        rd_kafka_queue_destroy(queue)
    }

    /// Joins the group for these topics; names that start with `^` are regular expressions.
    public func subscribe(_ topics: [String]) throws(KafkaError) {
        try requireOpen()
        let partitions = topics.map { TopicPartition($0, RD_KAFKA_PARTITION_UA) }
        isSubscribed = true
        try PartitionList.with(partitions) { list throws(KafkaError) in
            try check(rd_kafka_subscribe(handle.pointer, list), "subscribe to \(topics.joined(separator: ", "))")
        }
    }

    /// Leaves the group; the rebalance handler runs in the next `poll`.
    public func unsubscribe() throws(KafkaError) {
        try requireOpen()
        try check(rd_kafka_unsubscribe(handle.pointer), "unsubscribe")
    }

    /// Reads these partitions from these offsets, without a group's help; `[]` ends it.
    public func assign(_ offsets: [PartitionOffset]) throws(KafkaError) {
        try requireOpen()
        try PartitionList.with(offsets) { list throws(KafkaError) in
            try check(rd_kafka_assign(handle.pointer, list), "assign partitions")
        }
    }

    /// Fills the batch with what is there.
    ///
    /// Returns as soon as one record has come, with whatever else is queued by then, or after the timeout with an empty batch.
    /// Rebalances run here. One that is announced while records are collected runs at the start of the *next* poll, so the
    /// records of this one are still ours when they are returned.
    ///
    /// - Parameters:
    ///   - maximum: 1 to 10,000 records.
    ///   - milliseconds: longest wait for the first record; 0 only looks.
    /// - Returns: the number of records.
    /// - Throws: what the client reports, such as an offset out of range where `auto.offset.reset` is `error`. Records that came
    ///   with it are returned first and the error is thrown by the next poll. After a retryable error just poll again. A partition
    ///   whose offset was out of range stands still until it is assigned anew; `seek` does not move it.
    @discardableResult
    public func poll(into batch: inout RecordBatch, maximum: Int = 1000, timeout milliseconds: Int) throws(KafkaError) -> Int {
        try requireOpen()
        batch.removeAll()
        rebalanceNow()
        if let error = handle.context.takeError() { throw error }
        let limit = min(max(maximum, 1), Self.slotCount)
        // librdkafka waits for a full batch; asking for one record and then for what is queued waits for none.
        var count = rd_kafka_consume_batch_queue(queue, Int32(clamping: milliseconds), slots, 1)
        if count == 1, limit > 1 {
            count += max(rd_kafka_consume_batch_queue(queue, 0, slots + 1, limit - 1), 0)
        }
        take(max(count, 0), into: &batch)
        prefetch.took(records: batch.count, bytes: batch.bytes.count)
        if batch.isEmpty {
            rebalanceNow()
            if let error = handle.context.takeError() { throw error }
        }
        return batch.count
    }

    /// Copies the messages of `slots` and frees them.
    private func take(_ count: Int, into batch: inout RecordBatch) {
        guard count > 0 else { return }
        var topic: OpaquePointer?
        var topicIndex = 0
        for index in 0..<count {
            guard let message = slots[index] else { continue }
            if message.pointee.err != RD_KAFKA_RESP_ERR_NO_ERROR {
                handle.context.add(Self.error(of: message, client: handle.pointer))
                continue
            }
            // Its messages keep a topic object alive until they are freed below, so the pointer identifies it.
            if message.pointee.rkt != topic, let name = rd_kafka_topic_name(message.pointee.rkt) {
                topic = message.pointee.rkt
                topicIndex = batch.topicIndex(name)
            }
            batch.append(message, topic: topicIndex)
        }
        batch.seal()
        for index in 0..<count {
            if let message = slots[index] { rd_kafka_message_destroy(message) }
        }
    }

    private static func error(of message: UnsafeMutablePointer<rd_kafka_message_t>, client: OpaquePointer) -> KafkaError {
        let code = message.pointee.err
        if code == RD_KAFKA_RESP_ERR__FATAL, let fatal = KafkaError.fatal(of: client) { return fatal }
        let reason = rd_kafka_message_errstr(message).map { String(cString: $0) } ?? String(cString: rd_kafka_err2str(code))
        var partition: TopicPartition?
        if let topic = message.pointee.rkt, let name = rd_kafka_topic_name(topic) {
            partition = TopicPartition(String(cString: name), message.pointee.partition)
        }
        return KafkaError(code: code, "Kafka could not deliver records: \(reason).", topicPartition: partition)
    }

    // MARK: Rebalances

    /// Carries out the rebalances that librdkafka announced.
    private func rebalanceNow() {
        while !handle.context.pendingRebalances.isEmpty {
            carryOut(handle.context.pendingRebalances.removeFirst())
        }
    }

    private func carryOut(_ change: PendingRebalance) {
        let client = handle.pointer
        let isCooperative = rd_kafka_rebalance_protocol(client).map { String(cString: $0) } == "COOPERATIVE"
        do throws(KafkaError) {
            switch change.code {
            case RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS:
                wasAssigned = true
                let starts = rebalance?(self, .assigned(change.partitions)) ?? []
                let chosen = Dictionary(starts.map { ($0.topicPartition, $0.offset) }) { _, last in last }
                let offsets = change.partitions.map { PartitionOffset($0, chosen[$0] ?? PartitionOffset.stored) }
                try PartitionList.with(offsets) { list throws(KafkaError) in
                    if isCooperative {
                        try check(rd_kafka_incremental_assign(client, list), "take over partitions")
                    } else {
                        try check(rd_kafka_assign(client, list), "take over partitions")
                    }
                }
            case RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS:
                let isLost = rd_kafka_assignment_lost(client) != 0
                _ = rebalance?(self, isLost ? .lost(change.partitions) : .revoked(change.partitions))
                if isCooperative {
                    try PartitionList.with(change.partitions) { list throws(KafkaError) in
                        try check(rd_kafka_incremental_unassign(client, list), "give up partitions")
                    }
                } else {
                    try check(rd_kafka_assign(client, nil), "give up partitions")
                }
            default:
                // The group protocol failed; without an assignment the client joins anew.
                try check(rd_kafka_assign(client, nil), "leave its partitions")
                handle.context.add(KafkaError(code: change.code, doing: "rebalance the group"))
            }
        } catch {
            handle.context.add(error)
        }
    }

    // MARK: End

    /// Runs the handler for the partitions that are left, leaves the group and frees the prefetched records. Idempotent.
    /// Every other call throws afterwards. A consumer that is released without it leaves its group too, but without the handler.
    public func close() {
        guard !isClosed else { return }
        shutDown()
    }

    private func shutDown() {
        rebalanceNow()
        // From here librdkafka waits inside its close for the rebalance, which must therefore happen in the callback.
        handle.context.onRebalance = { self.rebalanceNow() }
        rd_kafka_consumer_close(handle.pointer)
        handle.context.onRebalance = nil
        // librdkafka 2.0.2 ends the process when a member is destroyed that joined cooperatively and never got an assignment
        // (https://github.com/confluentinc/librdkafka/issues/4312). It has left its group by now; what remains of it is little, and a service
        // that is stopped so early ends soon.
        handle.isAbandoned = isSubscribed && !wasAssigned
        isClosed = true
    }

    func requireOpen() throws(KafkaError) {
        if isClosed { throw .closed }
    }
}

// MARK: C callbacks, on the polling thread.

private func onRebalance(
    _ client: OpaquePointer?, _ code: rd_kafka_resp_err_t, _ partitions: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>?,
    _ opaque: UnsafeMutableRawPointer?
) {
    guard let context = context(opaque) else { return }
    context.pendingRebalances.append(PendingRebalance(code: code, partitions: partitions.map { PartitionList.partitions($0) } ?? []))
    context.onRebalance?()
}

private func onCommit(
    _ client: OpaquePointer?, _ code: rd_kafka_resp_err_t, _ offsets: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>?,
    _ opaque: UnsafeMutableRawPointer?
) {
    guard let context = context(opaque), code != RD_KAFKA_RESP_ERR__NO_OFFSET else { return }
    do throws(KafkaError) {
        try check(code, "commit offsets")
        if let offsets { try PartitionList.check(offsets, "commit offsets") }
    } catch {
        context.failedCommits += 1
        context.lastCommitError = error
    }
}
