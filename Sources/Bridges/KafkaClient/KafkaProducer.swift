import CRDKafka
import Synchronization

/// An idempotent producer (`acks=all`): nothing is dropped, doubled or reordered within a partition without an error that says so.
///
/// Any thread may send. A thread of its own takes in delivery reports. Failed deliveries are sticky: from then on `send`, `flush` and
/// `waitForDelivery` throw, and `delivered` does not pass the failed send, until `clearFailures` (or a transaction's abort).
///
/// `@unchecked Sendable`: librdkafka's producer is thread-safe; our own state is under the locks of `topics` and `tracker`.
public final class KafkaProducer: @unchecked Sendable {
    let handle: ClientHandle
    let tracker = DeliveryTracker()
    private let reports: DeliveryThread

    private struct State {
        var isClosed = false
        /// librdkafka's topic objects, kept until the end: finding one per record would cost a lookup and a lock.
        var topics: [String: TopicObject] = [:]
    }
    private let state = Mutex(State())

    /// `@unchecked Sendable`: a thread-safe object of librdkafka that lives as long as its producer.
    private struct TopicObject: @unchecked Sendable {
        let pointer: OpaquePointer
    }

    /// - Parameters:
    ///   - transactionalID: `transactional.id`, stable per instance; makes this a transactional producer.
    ///   - defaults: under `settings.properties`: what suits this producer, unless a user has said otherwise.
    ///   - properties: over `settings.properties`, for this producer alone.
    public init(
        _ settings: KafkaSettings, transactionalID: String? = nil, defaults: [String: String] = [:], properties: [String: String] = [:]
    ) throws(KafkaError) {
        var own = [("bootstrap.servers", settings.bootstrapServers)]
        if let transactionalID { own += KafkaDefaults.transactional + [("transactional.id", transactionalID)] }
        handle = try ClientHandle(
            RD_KAFKA_PRODUCER, settings,
            properties: [KafkaDefaults.common, KafkaDefaults.producer, Array(defaults), own, Array(settings.properties), Array(properties)]
        ) { configuration in
            // Reports as events: librdkafka's own flush then leaves them to our thread, and one event brings many records.
            rd_kafka_conf_set_events(configuration, RD_KAFKA_EVENT_DR)
        }
        reports = try DeliveryThread(handle, tracker)
    }

    deinit {
        stop()
        for topic in state.withLock({ $0.topics.values }) { rd_kafka_topic_destroy(topic.pointer) }
    }

    /// Queues the records `start...` of a batch. Every byte is copied: the batch can be reused at once.
    ///
    /// Waits while the queue is full; never drops. Cost: 0.4 to 0.6 µs for a record of 150 bytes with one header.
    ///
    /// - Parameter milliseconds: longest wait for room in the queue, over the whole batch.
    /// - Returns: a ticket for `waitForDelivery`; an empty batch gives that of the latest send.
    /// - Throws: with `recordIndex` the first record that was not queued (all before it were): after `_QUEUE_FULL` go on from it, after
    ///   one that `refusesRecord` (larger than the client's `message.max.bytes`) from the one behind it. Without `recordIndex`, nothing was
    ///   queued: earlier deliveries failed, or the client is closed.
    @discardableResult
    public func send(
        _ batch: OutgoingBatch, from start: Int = 0, timeout milliseconds: Int = 30_000
    ) throws(KafkaError) -> DeliveryTicket {
        let topics = try topicObjects(batch.topics)
        let ticket = try tracker.open(max(batch.count - start, 0))
        var index = start
        // The array's closure cannot throw a typed error, so it returns one.
        let failure: KafkaError? = batch.bytes.withUnsafeBytes { bytes in
            var arguments = ProduceArguments(ticket: ticket)
            var deadline: Deadline?
            while index < batch.count {
                let record = batch.records[index]
                arguments.set(record, batch.headers, bytes, topic: topics[record.topic].pointer)
                guard let error = arguments.produce(to: handle.pointer) else {
                    index += 1
                    continue
                }
                let end = deadline ?? Deadline(milliseconds: milliseconds)
                deadline = end
                do throws(KafkaError) {
                    try waitForRoom(after: error, topic: batch.topics[record.topic], partition: record.partition, until: end)
                } catch {
                    return error
                }
            }
            return nil
        }
        guard var failure else { return ticket }
        tracker.takeBack(batch.count - index, of: ticket)
        failure.recordIndex = index
        throw failure
    }

    /// Returns when it is worth trying again after a full queue; throws for any other error and after the deadline. Frees `error`.
    private func waitForRoom(
        after error: OpaquePointer, topic: String, partition: Int32, until deadline: Deadline
    ) throws(KafkaError) {
        let isFull = rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR__QUEUE_FULL
        var reason = KafkaError(consuming: error, doing: "queue a record for the topic \(topic)")
        if isFull, try tracker.waitForProgress(until: deadline) { return }
        if let fatal = KafkaError.fatal(of: handle.pointer), reason.code == RD_KAFKA_RESP_ERR__FATAL.rawValue { reason = fatal }
        reason.topicPartition = TopicPartition(topic, partition)
        throw reason
    }

    /// Records that are queued or on their way.
    public var outstanding: Int { tracker.outstanding }

    /// Every record of the sends up to and including this ticket is on the broker.
    public var delivered: DeliveryTicket { tracker.delivered }

    /// Waits until every record sent up to `ticket` is on the broker: what must be true before input offsets are committed.
    /// - Throws: a failed delivery (with count and first cause), or `_TIMED_OUT`.
    public func waitForDelivery(of ticket: DeliveryTicket, timeout milliseconds: Int) throws(KafkaError) {
        try tracker.wait(for: ticket, until: Deadline(milliseconds: milliseconds))
    }

    /// Waits until nothing is outstanding.
    /// - Throws: if any delivery failed since the last `clearFailures`, with their count and the first cause; `_TIMED_OUT`.
    public func flush(timeout milliseconds: Int) throws(KafkaError) {
        try requireOpen()
        let deadline = Deadline(milliseconds: milliseconds)
        // Ends the linger of what is queued; 0 does not wait.
        rd_kafka_flush(handle.pointer, 0)
        try tracker.waitUntilEmpty(until: deadline)
    }

    /// Forgets failed deliveries once the caller has dealt with them; returns how many records they were.
    @discardableResult
    public func clearFailures() -> Int { tracker.clearFailures() }

    /// Whether deliveries failed and nobody has dealt with that yet.
    public var hasFailed: Bool { tracker.hasFailed }

    /// The records that brokers refused for what they are, unless other deliveries failed too; from now on they count as dealt with.
    public func takeRefused() -> [RefusedRecord] { tracker.takeRefused() }

    /// Delivers what is queued, then stops. Idempotent. The producer is closed even when it throws.
    /// A producer that is released without it drops what is still queued.
    public func close(timeout milliseconds: Int = 10_000) throws(KafkaError) {
        guard !state.withLock({ $0.isClosed }) else { return }
        defer { stop() }
        try flush(timeout: milliseconds)
    }

    /// No new sends, then no thread. The rest is freed in `deinit`, when no other thread can still be inside `send`.
    private func stop() {
        let wasClosed = state.withLock { state in
            defer { state.isClosed = true }
            return state.isClosed
        }
        if !wasClosed { reports.stop() }
    }

    private func topicObjects(_ names: [String]) throws(KafkaError) -> [TopicObject] {
        let found: Result<[TopicObject], KafkaError> = state.withLock { state in
            guard !state.isClosed else { return .failure(.closed) }
            var objects: [TopicObject] = []
            for name in names {
                if let known = state.topics[name] {
                    objects.append(known)
                } else if let topic = rd_kafka_topic_new(handle.pointer, name, nil) {
                    state.topics[name] = TopicObject(pointer: topic)
                    objects.append(TopicObject(pointer: topic))
                } else {
                    return .failure(KafkaError(code: rd_kafka_last_error(), doing: "use the topic name \"\(name)\""))
                }
            }
            return .success(objects)
        }
        return try found.get()
    }

    func requireOpen() throws(KafkaError) {
        if state.withLock({ $0.isClosed }) { throw .closed }
    }
}
