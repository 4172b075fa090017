import CRDKafka
import Glibc
import Synchronization

/// A Kafka broker inside this process: librdkafka's mock cluster, reachable over TCP on a free port of the loopback interface.
///
/// For demonstrations and tests; nothing is written to disk. Known limits (librdkafka 2.0.2):
/// - a partition keeps about 5 MB and then forgets its oldest records;
/// - joining a consumer group takes 3 to 5 seconds, and commits of its members are refused meanwhile;
/// - the `CreateTopics` and `DeleteTopics` requests are unknown: topics are made with `createTopic`, in the process that hosts it;
/// - a request for the metadata of an unknown topic creates it;
/// - aborted transactions stay visible, and offsets sent to a transaction are not stored;
/// - a fetch on an idle partition is answered only when `fetch.wait.max.ms` is over.
///
/// `@unchecked Sendable`: librdkafka's mock functions lock the cluster themselves; `isClosed` is under a lock.
public final class EmbeddedBroker: @unchecked Sendable {
    private let handle: ClientHandle
    private let cluster: OpaquePointer
    private let isClosed = Mutex(false)
    /// `host:port` for `KafkaSettings`.
    public let bootstrapServers: String
    /// For clients of this broker, with what suits it.
    public var settings: KafkaSettings { KafkaSettings(bootstrapServers: bootstrapServers, properties: Self.clientProperties) }

    /// What its clients need and those of a real broker do not.
    public static let clientProperties = [
        // An idle fetch waits out its time, also when a record comes meanwhile.
        "fetch.wait.max.ms": "2"
    ]

    public init(topics: [TopicSpec] = [], log: (@Sendable (KafkaLogLine) -> Void)? = nil) throws(KafkaError) {
        let settings = KafkaSettings(bootstrapServers: "", log: log)
        let handle = try ClientHandle(RD_KAFKA_PRODUCER, settings, properties: [[("client.id", "vyuha-embedded-broker")]])
        guard let cluster = rd_kafka_mock_cluster_new(handle.pointer, 1) else {
            throw KafkaError(
                code: RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, "The embedded Kafka broker cannot listen on the loopback interface.")
        }
        self.handle = handle
        self.cluster = cluster
        bootstrapServers = String(cString: rd_kafka_mock_cluster_bootstraps(cluster))
        Self.sendAtOnce(bootstrapServers)
        for topic in topics { try createTopic(topic) }
    }

    /// Switches Nagle's algorithm off on the cluster's listening socket, and so on every connection that it accepts (tcp(7): inherited).
    /// The mock cluster leaves it on: answers to several produce requests on their way at once then wait up to 40 ms for the client's
    /// delayed acknowledgement, which no real broker does. There is no function to ask for the socket, so it is found by its port.
    private static func sendAtOnce(_ bootstrapServers: String) {
        guard let port = bootstrapServers.split(separator: ":").last.flatMap({ UInt16($0) }) else { return }
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        for socket in 0..<Int32(min(limit.rlim_cur, 4096)) {
            var address = sockaddr_in()
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let found = withUnsafeMutableBytes(of: &address) { bytes in
                bytes.withMemoryRebound(to: sockaddr.self) { getsockname(socket, $0.baseAddress, &length) }
            }
            guard found == 0, address.sin_port == port.bigEndian else { continue }
            var on: Int32 = 1
            setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        }
    }

    deinit { close() }

    /// Creates a topic; one that exists already with as many partitions is left alone.
    public func createTopic(_ spec: TopicSpec) throws(KafkaError) {
        let code = isClosed.withLock { isClosed in
            isClosed ? RD_KAFKA_RESP_ERR__DESTROY : rd_kafka_mock_topic_create(cluster, spec.name, Int32(clamping: spec.partitions), 1)
        }
        guard code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS else { return }
        try check(code, "create the topic \(spec.name) on the embedded broker")
    }

    /// Drops every connection and refuses new ones; records and committed offsets stay.
    public func setDown() {
        isClosed.withLock { if !$0 { rd_kafka_mock_broker_set_down(cluster, -1) } }
    }

    /// Accepts connections again.
    public func setUp() {
        isClosed.withLock { if !$0 { rd_kafka_mock_broker_set_up(cluster, -1) } }
    }

    /// Refuses the records of the next produce requests as too large, and stores none of them.
    public func refuseAsTooLarge(requests: Int) {
        let errors = [rd_kafka_resp_err_t](repeating: RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, count: requests)
        isClosed.withLock { if !$0 { rd_kafka_mock_push_request_errors_array(cluster, Self.produceRequest, requests, errors) } }
    }

    /// ApiKey of Kafka's protocol.
    private static let produceRequest: Int16 = 0

    /// Frees the cluster with all its records. Idempotent.
    public func close() {
        isClosed.withLock { isClosed in
            guard !isClosed else { return }
            isClosed = true
            rd_kafka_mock_cluster_destroy(cluster)
        }
    }
}
