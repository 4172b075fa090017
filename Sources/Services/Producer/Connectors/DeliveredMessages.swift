import MQTTClient
import Text

/// Which MQTT messages Kafka has, so that one that the broker delivers again after a lost acknowledgement is left out.
///
/// A message is known by its packet identifier and its bytes, and only one that the broker marks as delivered before is looked for. Of two messages
/// that are alike in every byte, under the same identifier, a crash at the wrong moment can take the second for the first.
struct DeliveredMessages {
    /// By packet identifier: the bytes' hash.
    private var hashes: [UInt16: UInt64] = [:]

    static func hash(_ message: MQTTMessage) -> UInt64 {
        var hash = FNV1a()
        hash.combine(message.topic.utf8)
        hash.combine(0 as UInt8)
        hash.combine(message.payload)
        return hash.value
    }

    func contains(_ message: MQTTMessage) -> Bool { message.isDuplicate && message.id != 0 && hashes[message.id] == Self.hash(message) }

    mutating func add(_ message: MQTTMessage) { if message.id != 0 { hashes[message.id] = Self.hash(message) } }

    // MARK: In a record's header

    /// Text that says which message a record came from.
    static func mark(_ message: MQTTMessage) -> String { "\(message.id):\(Hexadecimal.text(hash(message)))" }

    /// Takes over what an earlier run delivered, in its order.
    mutating func add(mark: String) {
        let parts = mark.split(separator: ":")
        guard parts.count == 2, let id = UInt16(parts[0]), let hash = UInt64(parts[1], radix: 16) else { return }
        hashes[id] = hash
    }
}
