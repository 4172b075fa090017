import CRDKafka

/// Keeps librdkafka fetching while its prefetch queue is read.
///
/// A broker's thread stops fetching when the queue is full (`queued.min.messages`, `queued.max.messages.kbytes`), and librdkafka before 2.4 looks
/// at the queue again only when something else wakes that thread, or after a second: reading then goes at one queue a second. So the thread is
/// woken whenever a quarter of the queue was read, which is early enough for a fetch to be on its way before the rest is used up, and seldom
/// enough to cost nothing: a wake-up takes some microseconds, and at 10,000 records a second there are two of them.
///
/// Newer versions have a property for it (`fetch.queue.backoff.ms`), which is set where it is known; nothing is woken then.
struct PrefetchQueue {
    private static let backoffProperty = "fetch.queue.backoff.ms"

    private let client: OpaquePointer
    /// What is given to the client again to wake its threads.
    private let credentials: (username: String, password: String)
    private let isNeeded: Bool
    private let quarter: (records: Int, bytes: Int)
    private var read = (records: 0, bytes: 0)

    /// - Parameter properties: as they were set on the client, lists in rising precedence.
    init(_ client: OpaquePointer, properties: [[(String, String)]]) {
        func value(_ name: String) -> String? { properties.joined().last { $0.0 == name }?.1 }
        self.client = client
        credentials = (value("sasl.username") ?? "", value("sasl.password") ?? "")
        isNeeded = !Self.isSolved
        let records = value("queued.min.messages").flatMap { Int($0) } ?? 100_000
        let kibibytes = value("queued.max.messages.kbytes").flatMap { Int($0) } ?? 65_536
        quarter = (max(records / 4, 1), max(kibibytes * 256, 1))
    }

    /// The property that newer versions have for this, if this one has it.
    static let properties: [(String, String)] = isSolved ? [(backoffProperty, "10")] : []

    private static let isSolved: Bool = {
        guard let configuration = rd_kafka_conf_new() else { return false }
        defer { rd_kafka_conf_destroy(configuration) }
        return rd_kafka_conf_set(configuration, backoffProperty, "10", nil, 0) == RD_KAFKA_CONF_OK
    }()

    /// Records that were just taken off the queue.
    mutating func took(records: Int, bytes: Int) {
        read.records += records
        read.bytes += bytes
        guard isNeeded, read.records >= quarter.records || read.bytes >= quarter.bytes else { return }
        read = (0, 0)
        wakeBrokerThreads()
    }

    /// The one call of librdkafka's interface that wakes the threads of all brokers and costs no request: "credentials updated". They are the
    /// same as before; a connection that stands is not touched, and without SASL nobody reads them.
    private func wakeBrokerThreads() {
        if let error = rd_kafka_sasl_set_credentials(client, credentials.username, credentials.password) { rd_kafka_error_destroy(error) }
    }
}
