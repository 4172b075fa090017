import KafkaClient
import ServiceKit

/// The environment of a program of the suite that this one starts: what this process was given, with some settings of its own.
///
/// A setting is there once: whoever gives a value takes away a file that stands for it (`REDIS_URL_FILE`), for a program refuses both.
public struct ChildEnvironment: Sendable {
    public private(set) var variables: [String: String]

    public init(_ inherited: [String: String] = SettingsReader.processEnvironment()) { variables = inherited }

    /// The value of a variable; nil removes the setting.
    public subscript(_ name: String) -> String? {
        get { variables[name] }
        set {
            variables[name] = newValue
            variables[name + "_FILE"] = nil
        }
    }

    /// Points the child to an embedded broker, with what suits it. What a user has set stays.
    public mutating func use(embeddedBroker servers: String) {
        self["KAFKA_BOOTSTRAP_SERVERS"] = servers
        for (property, value) in EmbeddedBroker.clientProperties { setDefault(kafka: property, value) }
    }

    /// A property of librdkafka, unless the user has set it.
    public mutating func setDefault(kafka property: String, _ value: String) {
        let name = SettingsReader.variable(ofKafka: property)
        if variables[name] == nil { self[name] = value }
    }
}
