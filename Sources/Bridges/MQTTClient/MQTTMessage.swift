/// A message as the broker delivered it.
public struct MQTTMessage: Sendable {
    public let topic: String
    public let payload: [UInt8]
    /// Packet identifier: the same when the broker delivers the message again; 0 where the quality of service is 0.
    public let id: UInt16
    /// Kept by the broker from before this client subscribed.
    public let isRetained: Bool
    /// The broker may have delivered it before, and has no acknowledgement.
    public let isDuplicate: Bool
}

/// An address such as `mqtt://broker:1883` or, with TLS, `mqtts://broker:8883`.
public struct MQTTServer: Sendable, Equatable, CustomStringConvertible {
    public let host: String
    public let port: Int
    public let usesTLS: Bool

    /// The port is 1883 or, with TLS, 8883 where the address names none.
    public init(url: String) throws(MQTTError) {
        func problem(_ sentence: String) -> MQTTError { MQTTError("The address of the MQTT broker \(sentence)", isRetryable: false) }
        if url.hasPrefix("mqtts://") {
            usesTLS = true
        } else if url.hasPrefix("mqtt://") {
            usesTLS = false
        } else {
            throw problem("begins with mqtt:// or, for TLS, mqtts://.")
        }
        var rest = url.dropFirst(usesTLS ? 8 : 7)
        if rest.hasSuffix("/") { rest.removeLast() }
        guard !rest.contains("@") else { throw problem("has no user and password in it; give them in the environment.") }
        guard !rest.contains("/") else { throw problem("ends with the host or its port.") }
        let colon = rest.hasSuffix("]") ? nil : rest.lastIndex(of: ":")
        var host = rest
        if let colon {
            host = rest[..<colon]
            guard let port = Int(rest[rest.index(after: colon)...]), (1...65_535).contains(port) else { throw problem("has a port that is none.") }
            self.port = port
        } else {
            port = usesTLS ? 8883 : 1883
        }
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard !host.isEmpty else { throw problem("names no host.") }
        self.host = String(host)
    }

    public var description: String { "\(usesTLS ? "mqtts" : "mqtt")://\(host.contains(":") ? "[\(host)]" : host):\(port)" }
}
