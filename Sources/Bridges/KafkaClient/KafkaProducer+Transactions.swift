import CRDKafka

/// Transactions: records and input offsets become visible together or not at all.
///
/// Every error says what to do: `isRetryable`: call the same function again; `requiresAbort`: call `abortTransaction`, then begin
/// anew from the committed offsets; `isFatal`: close the producer (another instance took over its id).
/// Specified in KIP-98 and KIP-447 of Apache Kafka.
extension KafkaProducer {
    /// Once, before the first transaction: fences off older instances with the same id and finishes what they left.
    public func initTransactions(timeout milliseconds: Int = 30_000) throws(KafkaError) {
        try requireOpen()
        try handle.retrying(until: Deadline(milliseconds: milliseconds)) { remaining throws(KafkaError) in
            try check(rd_kafka_init_transactions(handle.pointer, Int32(clamping: remaining)), "prepare transactions")
        }
    }

    public func beginTransaction() throws(KafkaError) {
        try requireOpen()
        try check(rd_kafka_begin_transaction(handle.pointer), "begin a transaction")
    }

    /// Makes these offsets of `consumer`'s group part of the transaction; call it on the consumer's thread, before the commit.
    /// - Parameter offsets: of the next record to read, per partition. They must not be committed in any other way.
    public func sendOffsetsToTransaction(
        _ offsets: [PartitionOffset], of consumer: KafkaConsumer, timeout milliseconds: Int = 30_000
    ) throws(KafkaError) {
        try requireOpen()
        try consumer.requireOpen()
        guard let group = rd_kafka_consumer_group_metadata(consumer.handle.pointer) else {
            throw KafkaError(code: RD_KAFKA_RESP_ERR__UNKNOWN_GROUP, "The consumer is not in a group, so its offsets cannot be committed.")
        }
        defer { rd_kafka_consumer_group_metadata_destroy(group) }
        try handle.retrying(until: Deadline(milliseconds: milliseconds)) { remaining throws(KafkaError) in
            try PartitionList.with(offsets) { list throws(KafkaError) in
                try check(
                    rd_kafka_send_offsets_to_transaction(handle.pointer, list, group, Int32(clamping: remaining)),
                    "add offsets to the transaction")
            }
        }
    }

    /// Delivers what was sent, then commits. After a retryable error call it again, until it says otherwise.
    public func commitTransaction(timeout milliseconds: Int = 30_000) throws(KafkaError) {
        try requireOpen()
        try handle.retrying(until: Deadline(milliseconds: milliseconds)) { remaining throws(KafkaError) in
            try check(rd_kafka_commit_transaction(handle.pointer, Int32(clamping: remaining)), "commit the transaction")
        }
        // The commit waits for the deliveries, but not for our own thread to have counted the last of them.
        try tracker.waitUntilEmpty(until: Deadline(milliseconds: 10_000))
    }

    /// Drops what the transaction sent and its offsets; failed deliveries of the transaction are forgotten with it.
    public func abortTransaction(timeout milliseconds: Int = 30_000) throws(KafkaError) {
        try requireOpen()
        let deadline = Deadline(milliseconds: milliseconds)
        try handle.retrying(until: deadline) { remaining throws(KafkaError) in
            try check(rd_kafka_abort_transaction(handle.pointer, Int32(clamping: remaining)), "abort the transaction")
        }
        // The abort purges queued records, and their reports must not be taken for failures of the next transaction.
        do throws(KafkaError) {
            try tracker.waitUntilEmpty(until: deadline)
        } catch {
            guard error.failedDeliveries > 0 else { throw error }
        }
        clearFailures()
    }
}
