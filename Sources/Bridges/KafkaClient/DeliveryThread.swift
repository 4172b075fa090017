import CRDKafka
import Glibc
import Synchronization

/// The thread that takes delivery reports off a producer's queue as events, many records at a time.
///
/// It keeps the client handle alive while it runs, never the producer, so that releasing the producer ends it.
/// `@unchecked Sendable`: librdkafka's queues and clients are thread-safe; the client's context is touched on this thread only.
final class DeliveryThread: @unchecked Sendable {
    private let handle: ClientHandle
    private let queue: OpaquePointer
    private let tracker: DeliveryTracker
    private let shouldStop = Atomic(false)
    private var thread = pthread_t()

    init(_ handle: ClientHandle, _ tracker: DeliveryTracker) throws(KafkaError) {
        self.handle = handle
        self.tracker = tracker
        guard let queue = rd_kafka_queue_get_main(handle.pointer) else {
            throw KafkaError(code: RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, "There is no memory left for a Kafka producer.")
        }
        self.queue = queue
        let body = Unmanaged.passRetained(self)
        let code = pthread_create(&thread, nil, runDeliveryThread, body.toOpaque())
        guard code == 0 else {
            body.release()
            throw KafkaError(
                code: RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, "No thread could be started for Kafka's delivery reports (errno \(code)).")
        }
    }

    deinit { rd_kafka_queue_destroy(queue) }

    /// Ends the thread and waits for it. Called once, by the producer.
    func stop() {
        shouldStop.store(true, ordering: .releasing)
        rd_kafka_queue_yield(queue)
        pthread_join(thread, nil)
    }

    fileprivate func run() {
        var reports: [DeliveryTracker.Report] = []
        while !shouldStop.load(ordering: .acquiring) {
            guard let event = rd_kafka_queue_poll(queue, 1_000) else { continue }
            if rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR { collect(event, into: &reports) }
            // Destroying the event frees its messages' room in the queue, which those who wait for room must find.
            rd_kafka_event_destroy(event)
            if !reports.isEmpty {
                tracker.add(reports)
                reports.removeAll(keepingCapacity: true)
            }
            while let error = handle.context.takeError() { tracker.fail(error) }
        }
    }

    /// Joins neighbouring records of one send and one outcome.
    private func collect(_ event: OpaquePointer, into reports: inout [DeliveryTracker.Report]) {
        var current = DeliveryTracker.Report(ticket: 0, count: 0)
        var code = RD_KAFKA_RESP_ERR_NO_ERROR
        while let message = rd_kafka_event_message_next(event) {
            let ticket = UInt64(UInt(bitPattern: message.pointee._private))
            // Refused records may be of several topics, and each is kept.
            if ticket != current.ticket || message.pointee.err != code || !current.refused.isEmpty {
                if current.count > 0 { reports.append(current) }
                code = message.pointee.err
                current = DeliveryTracker.Report(ticket: ticket, count: 0)
                if code != RD_KAFKA_RESP_ERR_NO_ERROR { current.error = error(of: message.pointee) }
            }
            current.count += 1
            if let error = current.error, error.refusesRecord {
                current.refused.append(RefusedRecord(message, topic: error.topicPartition?.topic ?? "", error))
            }
        }
        if current.count > 0 { reports.append(current) }
    }

    private func error(of message: rd_kafka_message_t) -> KafkaError {
        let topic = message.rkt.flatMap { rd_kafka_topic_name($0) }.map { String(cString: $0) } ?? ""
        return KafkaError(
            code: message.err, doing: "deliver a record", topicPartition: TopicPartition(topic, message.partition))
    }
}

/// A free function, so that it belongs to no actor.
private func runDeliveryThread(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    let thread = Unmanaged<DeliveryThread>.fromOpaque(argument).takeRetainedValue()
    thread.run()
    return nil
}
