/// What went wrong between this client and an MQTT broker.
public struct MQTTError: Error, CustomStringConvertible, Sendable {
    public let message: String
    /// Whether connecting again may help without anybody changing a setting.
    public let isRetryable: Bool

    public init(_ message: String, isRetryable: Bool) {
        self.message = message
        self.isRetryable = isRetryable
    }

    public var description: String { message }
}
