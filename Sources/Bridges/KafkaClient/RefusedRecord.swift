import CRDKafka
import Glibc

/// A record that a broker refused for what it is (`KafkaError.refusesRecord`), as it was sent.
public struct RefusedRecord: Sendable {
    public let topic: String
    public let key: [UInt8]?
    /// `nil`: a tombstone.
    public let value: [UInt8]?
    public let headers: [(name: String, value: [UInt8])]
    public let error: KafkaError

    /// The first header of that name.
    public func header(_ name: String) -> [UInt8]? { headers.first { $0.name == name }?.value }
}

extension RefusedRecord {
    /// From a delivery report, whose message still has its bytes.
    init(_ message: UnsafePointer<rd_kafka_message_t>, topic: String, _ error: KafkaError) {
        func copy(_ start: UnsafeRawPointer?, _ count: Int) -> [UInt8]? {
            start.map { Array(UnsafeRawBufferPointer(start: $0, count: count)) }
        }
        self.topic = topic
        self.error = error
        key = copy(message.pointee.key, message.pointee.key_len)
        value = copy(message.pointee.payload, message.pointee.len)
        var found: [(name: String, value: [UInt8])] = []
        var list: OpaquePointer?
        if rd_kafka_message_headers(message, &list) == RD_KAFKA_RESP_ERR_NO_ERROR, let list {
            var name: UnsafePointer<CChar>?
            var start: UnsafeRawPointer?
            var size = 0
            while rd_kafka_header_get_all(list, found.count, &name, &start, &size) == RD_KAFKA_RESP_ERR_NO_ERROR {
                found.append((name.map { String(cString: $0) } ?? "", copy(start, size) ?? []))
            }
        }
        headers = found
    }
}

extension OutgoingBatch {
    /// The record that `KafkaProducer.send` did not queue, by its `recordIndex`.
    public func refused(_ index: Int, _ error: KafkaError) -> RefusedRecord {
        let record = records[index]
        return RefusedRecord(
            topic: topics[record.topic], key: record.key.map { Array(bytes[$0]) }, value: record.value.map { Array(bytes[$0]) },
            headers: headers[record.headers].map { (String(decoding: bytes[$0.name], as: UTF8.self), Array(bytes[$0.value])) }, error: error)
    }
}
