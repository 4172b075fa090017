/// How to reach a Kafka cluster; shared by consumers, producers and the admin client.
public struct KafkaSettings: Sendable {
    /// Comma-separated `host:port` pairs to start from (`bootstrap.servers`).
    public var bootstrapServers: String
    /// Any librdkafka property, such as `security.protocol` or `sasl.password`. These win over every default of this module.
    /// A wrong name or value is a `KafkaError` that names the property when a client is made.
    public var properties: [String: String]
    /// Receives librdkafka's log lines and connection errors, on librdkafka's threads; it must be quick. `nil` drops them.
    public var log: (@Sendable (KafkaLogLine) -> Void)?
    /// Receives librdkafka's statistics as a JSON text, every `statistics.interval.ms` (a property, off by default).
    public var statistics: (@Sendable (String) -> Void)?

    public init(
        bootstrapServers: String, properties: [String: String] = [:], log: (@Sendable (KafkaLogLine) -> Void)? = nil,
        statistics: (@Sendable (String) -> Void)? = nil
    ) {
        self.bootstrapServers = bootstrapServers
        self.properties = properties
        self.log = log
        self.statistics = statistics
    }
}

/// One line that librdkafka would otherwise print on standard error.
public struct KafkaLogLine: Sendable, Equatable {
    /// Syslog severity, 0 (emergency) to 7 (debug).
    public let level: Int32
    /// Which part of librdkafka speaks, such as `FAIL` or `REQTMOUT`.
    public let facility: String
    /// The line itself.
    public let message: String
    /// librdkafka's name of the client instance, such as `rdkafka#consumer-1`.
    public let client: String

    /// The facility of this module's own line: a call is tried again, see `ClientHandle.retrying`.
    public static let retry = "RETRY"
}
