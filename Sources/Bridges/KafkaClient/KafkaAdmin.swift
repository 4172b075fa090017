import CRDKafka

/// A topic to be created.
public struct TopicSpec: Sendable, Equatable {
    public var name: String
    /// 1 or more.
    public var partitions: Int
    /// Copies of each partition; -1 takes the broker's default.
    public var replication: Int
    /// Topic properties, such as `retention.ms`.
    public var config: [String: String]

    public init(name: String, partitions: Int, replication: Int = -1, config: [String: String] = [:]) {
        self.name = name
        self.partitions = partitions
        self.replication = replication
        self.config = config
    }
}

/// Topics, groups and offsets of a cluster. Every call is a request and blocks until its answer or its timeout; while the brokers are not ready
/// for it, it is tried again until then (`ClientHandle.retrying`).
///
/// `@unchecked Sendable`: librdkafka's clients are thread-safe, and each call uses a queue of its own.
public final class KafkaAdmin: @unchecked Sendable {
    let handle: ClientHandle
    let settings: KafkaSettings

    public init(_ settings: KafkaSettings) throws(KafkaError) {
        self.settings = settings
        handle = try ClientHandle(
            RD_KAFKA_PRODUCER, settings,
            properties: [KafkaDefaults.common, [("bootstrap.servers", settings.bootstrapServers)], Array(settings.properties)])
    }

    /// One probe: returns when a broker answers. Loop on it while the error is retryable.
    public func waitForBroker(timeout milliseconds: Int) throws(KafkaError) {
        do throws(KafkaError) {
            _ = try handle.metadata(timeout: milliseconds)
        } catch  where error.isRetryable {
            throw KafkaError(
                code: rd_kafka_resp_err_t(error.code),
                "No Kafka broker answers at \(settings.bootstrapServers) yet; check that it runs and that KAFKA_BOOTSTRAP_SERVERS is right.",
                isRetryable: true)
        }
    }

    /// Every topic with its number of partitions. Never creates one.
    public func topics(timeout milliseconds: Int = 10_000) throws(KafkaError) -> [String: Int] {
        try handle.topics(until: Deadline(milliseconds: milliseconds))
    }

    /// The same, where these topics should be there: one that was created a moment ago is not known to every broker yet, so a topic that is
    /// missing, or has no leaders yet, is asked for again for two seconds.
    public func topics(expecting names: [String], timeout milliseconds: Int = 10_000) throws(KafkaError) -> [String: Int] {
        let deadline = Deadline(milliseconds: milliseconds)
        var found = try handle.topics(until: deadline)
        do throws(KafkaError) {
            try handle.retrying(until: min(deadline, Deadline(milliseconds: Self.propagation))) { remaining throws(KafkaError) in
                let topics = try handle.metadata(timeout: remaining)
                found = topics.mapValues(\.partitions)
                let missing = names.filter { topics[$0]?.hasLeaders != true }
                guard missing.isEmpty else {
                    throw KafkaError(
                        code: RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, "Kafka does not know \(missing.joined(separator: ", ")) yet.")
                }
            }
        } catch  where error.isBrokerNotReady {
            // They are missing indeed: the caller sees it.
        }
        return found
    }

    /// Milliseconds within which every broker hears of a new topic.
    private static let propagation = 2_000

    /// Number of partitions; `nil` where there is no such topic.
    public func partitions(of topic: String, timeout milliseconds: Int = 10_000) throws(KafkaError) -> Int? {
        try topics(timeout: milliseconds)[topic]
    }

    /// Creates what is missing. A topic that exists with as many partitions as asked is fine; another number is an error that names
    /// both, because a changed count moves every key. Returns when a broker that is asked knows the new topics.
    public func createTopics(_ specs: [TopicSpec], timeout milliseconds: Int = 30_000) throws(KafkaError) {
        let existing = try topics(timeout: milliseconds)
        for spec in specs {
            if let count = existing[spec.name], count != spec.partitions {
                throw KafkaError(
                    code: RD_KAFKA_RESP_ERR_INVALID_PARTITIONS,
                    "The topic \(spec.name) has \(count) partitions but \(spec.partitions) are wanted; "
                        + "change the wanted number, or delete the topic to start anew.")
            }
        }
        let missing = specs.filter { existing[$0.name] == nil }
        guard !missing.isEmpty else { return }
        var requests: [OpaquePointer?] = []
        defer { for request in requests { rd_kafka_NewTopic_destroy(request) } }
        for spec in missing {
            var reason = [CChar](repeating: 0, count: 512)
            guard
                let request = rd_kafka_NewTopic_new(
                    spec.name, Int32(clamping: spec.partitions), Int32(clamping: spec.replication), &reason, reason.count)
            else {
                throw KafkaError(
                    code: RD_KAFKA_RESP_ERR__INVALID_ARG, "The topic \(spec.name) cannot be created: \(KafkaError.text(reason)).")
            }
            requests.append(request)
            for (name, value) in spec.config {
                try check(rd_kafka_NewTopic_set_config(request, name, value), "set \(name) of the topic \(spec.name)")
            }
        }
        let names = missing.map(\.name).joined(separator: ", ")
        try request(RD_KAFKA_ADMIN_OP_CREATETOPICS, "create \(names)", milliseconds) { options, queue in
            rd_kafka_CreateTopics(handle.pointer, &requests, requests.count, options, queue)
        } read: { event throws(KafkaError) in
            var count = 0
            guard let results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count) else { return }
            try Self.checkTopics(results, count, "create", tolerating: RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        }
        _ = try topics(expecting: missing.map(\.name), timeout: milliseconds)
    }

    /// Deletes topics with all their records; one that does not exist is fine.
    public func deleteTopics(_ names: [String], timeout milliseconds: Int = 30_000) throws(KafkaError) {
        guard !names.isEmpty else { return }
        var requests: [OpaquePointer?] = names.map { rd_kafka_DeleteTopic_new($0) }
        defer { for request in requests { rd_kafka_DeleteTopic_destroy(request) } }
        try request(RD_KAFKA_ADMIN_OP_DELETETOPICS, "delete \(names.joined(separator: ", "))", milliseconds) { options, queue in
            rd_kafka_DeleteTopics(handle.pointer, &requests, requests.count, options, queue)
        } read: { event throws(KafkaError) in
            var count = 0
            guard let results = rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count) else { return }
            try Self.checkTopics(results, count, "delete", tolerating: RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        }
    }

    /// Oldest offset and next offset of a partition.
    public func watermarks(_ partition: TopicPartition, timeout milliseconds: Int = 10_000) throws(KafkaError) -> Watermarks {
        try handle.queryWatermarks(partition, timeout: milliseconds)
    }

    private static func checkTopics(
        _ results: UnsafeMutablePointer<OpaquePointer?>, _ count: Int, _ verb: String, tolerating: rd_kafka_resp_err_t
    ) throws(KafkaError) {
        for index in 0..<count {
            guard let result = results[index] else { continue }
            let code = rd_kafka_topic_result_error(result)
            guard code != RD_KAFKA_RESP_ERR_NO_ERROR, code != tolerating else { continue }
            let name = String(cString: rd_kafka_topic_result_name(result))
            let reason = rd_kafka_topic_result_error_string(result).map { String(cString: $0) } ?? String(cString: rd_kafka_err2str(code))
            throw KafkaError(code: code, "Kafka could not \(verb) the topic \(name): \(reason).")
        }
    }

    /// Sends a request of the admin API, again while the brokers are not ready for it, and hands its answer to `read`; frees options, queue and
    /// answer.
    func request(
        _ kind: rd_kafka_admin_op_t, _ action: String, _ milliseconds: Int, send: (OpaquePointer, OpaquePointer) -> Void,
        read: (OpaquePointer) throws(KafkaError) -> Void
    ) throws(KafkaError) {
        try handle.retrying(until: Deadline(milliseconds: milliseconds)) { remaining throws(KafkaError) in
            try requestOnce(kind, action, remaining, send: send, read: read)
        }
    }

    private func requestOnce(
        _ kind: rd_kafka_admin_op_t, _ action: String, _ milliseconds: Int, send: (OpaquePointer, OpaquePointer) -> Void,
        read: (OpaquePointer) throws(KafkaError) -> Void
    ) throws(KafkaError) {
        guard let options = rd_kafka_AdminOptions_new(handle.pointer, kind) else {
            throw KafkaError(code: RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, "There is no memory left to \(action).")
        }
        defer { rd_kafka_AdminOptions_destroy(options) }
        guard let queue = rd_kafka_queue_new(handle.pointer) else {
            throw KafkaError(code: RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, "There is no memory left to \(action).")
        }
        defer { rd_kafka_queue_destroy(queue) }
        var reason = [CChar](repeating: 0, count: 512)
        try check(
            rd_kafka_AdminOptions_set_request_timeout(options, Int32(clamping: milliseconds), &reason, reason.count),
            "use the timeout \(milliseconds) ms")
        send(options, queue)
        // The request times out by itself; a little later the answer must be there.
        guard let event = rd_kafka_queue_poll(queue, Int32(clamping: milliseconds + 1000)) else {
            throw KafkaError(code: RD_KAFKA_RESP_ERR__TIMED_OUT, doing: action)
        }
        defer { rd_kafka_event_destroy(event) }
        let code = rd_kafka_event_error(event)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            let reason = rd_kafka_event_error_string(event).map { String(cString: $0) } ?? String(cString: rd_kafka_err2str(code))
            throw KafkaError(code: code, "Kafka could not \(action): \(reason).")
        }
        try read(event)
    }
}

extension ClientHandle {
    /// Every topic with its number of partitions.
    func topics(until deadline: Deadline) throws(KafkaError) -> [String: Int] {
        try retrying(until: deadline) { remaining throws(KafkaError) in try metadata(timeout: remaining) }.mapValues(\.partitions)
    }

    /// One request to one broker.
    func metadata(timeout milliseconds: Int) throws(KafkaError) -> [String: (partitions: Int, hasLeaders: Bool)] {
        var answer: UnsafePointer<rd_kafka_metadata>?
        // All topics at once: asking for one by name makes some brokers create it.
        try check(rd_kafka_metadata(pointer, 1, nil, &answer, Int32(clamping: milliseconds)), "list the topics")
        guard let answer else { return [:] }
        defer { rd_kafka_metadata_destroy(answer) }
        let topics = UnsafeBufferPointer(start: answer.pointee.topics, count: Int(answer.pointee.topic_cnt))
        return Dictionary(
            topics.filter { $0.err == RD_KAFKA_RESP_ERR_NO_ERROR }.map { topic in
                let partitions = UnsafeBufferPointer(start: topic.partitions, count: Int(topic.partition_cnt))
                return (String(cString: topic.topic), (partitions.count, partitions.allSatisfy { $0.leader >= 0 }))
            }
        ) { first, _ in first }
    }
}
