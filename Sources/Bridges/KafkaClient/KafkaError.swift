import CRDKafka

/// What the Kafka client or a broker reported.
///
/// `message` is one sentence for a person; `code` and `name` are librdkafka's (`rd_kafka_resp_err_t`; negative codes and names that
/// start with `_` come from the client itself, the others from a broker).
public struct KafkaError: Error, Sendable, Equatable, CustomStringConvertible {
    /// `rd_kafka_resp_err_t`.
    public let code: Int32
    /// The code's name, such as `_TRANSPORT` or `MSG_SIZE_TOO_LARGE`.
    public let name: String
    /// One sentence.
    public let message: String
    /// The same call may succeed later: the broker is away, a group is rebalancing, a queue is full.
    public let isRetryable: Bool
    /// The client instance is unusable from now on: close it and make a new one.
    public let isFatal: Bool
    /// The current transaction can only be aborted; after the abort a new one may begin.
    public let requiresAbort: Bool
    /// The partition concerned, where known.
    public var topicPartition: TopicPartition?
    /// From `KafkaProducer.send`: the first record of the batch that was not queued.
    public var recordIndex: Int?
    /// From the producer: records that will never reach the broker.
    public var failedDeliveries = 0

    /// A record was refused for what it is, and will be again: larger than its topic takes, or not valid there.
    public var refusesRecord: Bool { Self.refusing.contains(code) }

    public var description: String {
        let place = topicPartition.map { " [\($0)]" } ?? ""
        return "\(message)\(place) (\(name))"
    }

    init(
        code: rd_kafka_resp_err_t, _ message: String, isRetryable: Bool? = nil, isFatal: Bool = false, requiresAbort: Bool = false,
        topicPartition: TopicPartition? = nil
    ) {
        self.code = code.rawValue
        name = String(cString: rd_kafka_err2name(code))
        self.message = message
        self.isRetryable = isRetryable ?? Self.retryable.contains(code.rawValue)
        self.isFatal = isFatal
        self.requiresAbort = requiresAbort
        self.topicPartition = topicPartition
    }

    /// `action` completes "Kafka could not …".
    init(code: rd_kafka_resp_err_t, doing action: String, topicPartition: TopicPartition? = nil) {
        let reason = String(cString: rd_kafka_err2str(code))
        self.init(code: code, "Kafka could not \(action): \(reason).", topicPartition: topicPartition)
    }

    /// Takes over and frees an error object of librdkafka.
    init(consuming error: OpaquePointer, doing action: String) {
        defer { rd_kafka_error_destroy(error) }
        let code = rd_kafka_error_code(error)
        self.init(
            code: code, "Kafka could not \(action): \(String(cString: rd_kafka_error_string(error))).",
            isRetryable: rd_kafka_error_is_retriable(error) != 0 || Self.retryable.contains(code.rawValue),
            isFatal: rd_kafka_error_is_fatal(error) != 0, requiresAbort: rd_kafka_error_txn_requires_abort(error) != 0)
    }

    /// The first fatal error of a client that reported `_FATAL`; that code alone does not say what happened.
    static func fatal(of client: OpaquePointer) -> KafkaError? {
        var reason = [CChar](repeating: 0, count: 512)
        let code = rd_kafka_fatal_error(client, &reason, reason.count)
        guard code != RD_KAFKA_RESP_ERR_NO_ERROR else { return nil }
        return KafkaError(
            code: code, "The Kafka client cannot go on and must be made anew: \(text(reason)).", isRetryable: false, isFatal: true)
    }

    static let closed = KafkaError(code: RD_KAFKA_RESP_ERR__DESTROY, "This Kafka client is closed.", isRetryable: false)

    /// The brokers may do the same a moment later, without anybody changing anything or polling meanwhile: no leader or coordinator yet, a topic
    /// that this broker has not heard of yet, a broker that starts, a connection that broke.
    var isBrokerNotReady: Bool { Self.notReady.contains(code) && !isFatal && !requiresAbort }

    private static let notReady: Set<Int32> = Set(
        [
            RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__RESOLVE, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, RD_KAFKA_RESP_ERR__TIMED_OUT,
            RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE, RD_KAFKA_RESP_ERR__WAIT_COORD, RD_KAFKA_RESP_ERR__WAIT_CACHE, RD_KAFKA_RESP_ERR__RETRY,
            RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION,
            RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
            RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE,
            RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
            RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NOT_COORDINATOR, RD_KAFKA_RESP_ERR_NOT_CONTROLLER,
            RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
            RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS, RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT, RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
            RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH, RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH, RD_KAFKA_RESP_ERR_LISTENER_NOT_FOUND,
            RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_ELIGIBLE_LEADERS_NOT_AVAILABLE,
        ].map(\.rawValue))

    /// Codes after which the same call may succeed, some of them only after the caller has polled or waited for room.
    private static let retryable: Set<Int32> = notReady.union(
        [
            RD_KAFKA_RESP_ERR__QUEUE_FULL, RD_KAFKA_RESP_ERR__IN_PROGRESS, RD_KAFKA_RESP_ERR__PREV_IN_PROGRESS,
            RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST, RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED, RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION,
            RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS,
        ].map(\.rawValue))

    private static let refusing: Set<Int32> = Set(
        [
            RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE,
            RD_KAFKA_RESP_ERR_INVALID_RECORD, RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP,
        ].map(\.rawValue))

    /// The text of a C buffer up to its NUL.
    static func text(_ buffer: [CChar]) -> String {
        String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// Throws unless `code` means success.
func check(_ code: rd_kafka_resp_err_t, _ action: @autoclosure () -> String) throws(KafkaError) {
    guard code != RD_KAFKA_RESP_ERR_NO_ERROR else { return }
    throw KafkaError(code: code, doing: action())
}

/// Throws if librdkafka returned an error object, which is freed.
func check(_ error: OpaquePointer?, _ action: @autoclosure () -> String) throws(KafkaError) {
    guard let error else { return }
    throw KafkaError(consuming: error, doing: action())
}
