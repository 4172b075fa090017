import KafkaClient
import RedisClient
import ServiceKit

/// What a service that reads or writes Kafka needs beside its own settings: the common ones and the brokers.
public struct StreamSettings: Sendable {
    public let common: CommonSettings
    /// The brokers; a service that reads from others changes them in its copy.
    public var kafka: KafkaSettings

    public var redis: RedisSettings { common.redis }

    public init(_ common: CommonSettings, kafka: KafkaSettings) {
        self.common = common
        self.kafka = kafka
    }

    /// Reads both; nil where the common ones are not in order.
    public init?(_ reader: inout SettingsReader, useCaseName: String, defaultPort: Int) {
        let kafka = CommonSettings.kafka(&reader)
        guard let common = CommonSettings(&reader, useCaseName: useCaseName, defaultPort: defaultPort) else { return nil }
        self.init(common, kafka: kafka)
    }
}

extension CommonSettings {
    /// `KAFKA_BOOTSTRAP_SERVERS`, and any librdkafka property as `VYUHA_KAFKA_<PROPERTY>` with underscores for dots.
    public static func kafka(_ reader: inout SettingsReader) -> KafkaSettings {
        let servers = reader.string("KAFKA_BOOTSTRAP_SERVERS", default: "127.0.0.1:9092", "Kafka brokers, host:port separated by commas.")
        return KafkaSettings(bootstrapServers: servers, properties: reader.kafkaProperties())
    }

    /// The same, nil where no broker is given.
    /// - Parameter help: what then happens.
    public static func optionalKafka(_ reader: inout SettingsReader, _ help: String) -> KafkaSettings? {
        let servers = reader.optionalString("KAFKA_BOOTSTRAP_SERVERS", "Kafka brokers, host:port separated by commas. " + help)
        let properties = reader.kafkaProperties()
        return servers.map { KafkaSettings(bootstrapServers: $0, properties: properties) }
    }

    /// librdkafka's properties for brokers that a service only reads from: `VYUHA_SOURCE_KAFKA_<PROPERTY>`, also as `…_FILE`.
    public static func kafkaSource(_ reader: inout SettingsReader) -> [String: String] {
        reader.kafkaProperties("VYUHA_SOURCE_KAFKA_")
    }
}

extension SettingsReader {
    private static let kafkaPrefix = "VYUHA_KAFKA_"

    /// librdkafka's properties (CONFIGURATION.md of librdkafka) that the environment passes through.
    mutating func kafkaProperties(_ prefix: String = kafkaPrefix) -> [String: String] {
        var properties: [String: String] = [:]
        for (name, value) in passThrough(prefix: prefix) {
            properties[String(name.dropFirst(prefix.count)).lowercased().map { $0 == "_" ? "." : String($0) }.joined()] = value
        }
        return properties
    }

    /// The variable that stands for a property of librdkafka.
    static func variable(ofKafka property: String) -> String {
        kafkaPrefix + property.uppercased().map { $0 == "." ? "_" : String($0) }.joined()
    }
}
