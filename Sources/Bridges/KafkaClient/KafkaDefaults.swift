/// What this module sets where librdkafka's own default does not suit a low-latency service in a small container.
/// `KafkaSettings.properties` and a client's own `properties` win over these.
enum KafkaDefaults {
    /// For every client.
    static let common: [(String, String)] = [
        // Names the suite in the broker's logs and quotas.
        ("client.id", "vyuha"),
        // A broker that comes back is found within a second; librdkafka waits up to 10 s.
        ("reconnect.backoff.ms", "50"),
        ("reconnect.backoff.max.ms", "1000"),
        // Nagle's algorithm would hold small requests back.
        ("socket.nagle.disable", "true"),
        // Notices a peer that vanished without closing its connection.
        ("socket.keepalive.enable", "true"),
        // A closed idle connection is no event worth a log line.
        ("log.connection.close", "false"),
        // A new topic or leader is seen soon after it appears.
        ("topic.metadata.refresh.fast.interval.ms", "100"),
    ]

    static let consumer: [(String, String)] = [
        // Offsets are committed by the caller, after the effect of a record is durable.
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        // A new group starts with the oldest record: nothing is skipped.
        ("auto.offset.reset", "earliest"),
        // Only the partitions that move stop during a rebalance.
        ("partition.assignment.strategy", "cooperative-sticky"),
        // A killed member's partitions move after 6 s, the least that a broker allows by default.
        ("session.timeout.ms", "6000"),
        ("heartbeat.interval.ms", "1000"),
        // A broker answers as soon as there is a record, so a long wait costs no latency; idle, it makes two requests a second.
        ("fetch.wait.max.ms", "500"),
        ("fetch.error.backoff.ms", "100"),
        // Memory: at most 8 MiB or 20,000 records prefetched, plus one answer of each broker. A record costs librdkafka about 0.5 KB beside its
        // bytes. `PrefetchQueue` keeps the queue from running dry.
        ("queued.max.messages.kbytes", "8192"),
        ("queued.min.messages", "20000"),
        ("fetch.max.bytes", "2097152"),
        ("fetch.message.max.bytes", "262144"),
        // Reading a topic must never create it with a broker's default partition count.
        ("allow.auto.create.topics", "false"),
        // Records of aborted transactions stay invisible.
        ("isolation.level", "read_committed"),
    ]

    static let producer: [(String, String)] = [
        // A retry never duplicates or reorders a record.
        ("enable.idempotence", "true"),
        // Acknowledged means written by every replica in sync.
        ("acks", "all"),
        // Collects a request's worth of records; 0 would saturate a broker at 10,000 records a second.
        ("linger.ms", "1"),
        // Memory: bounded queue; send() waits when it is full.
        ("queue.buffering.max.messages", "20000"),
        ("queue.buffering.max.kbytes", "16384"),
        // A record larger than a broker's usual 1 MiB limit must still reach a dead-letter topic that allows it.
        ("message.max.bytes", "4194304"),
        // The hash of the Java client, so that keys land where other producers of the topic put them.
        ("partitioner", "murmur2_random"),
    ]

    /// A transaction of a dead instance blocks readers no longer than this.
    static let transactional: [(String, String)] = [("transaction.timeout.ms", "10000")]
}
