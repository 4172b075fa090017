import JSON
import KafkaClient

extension RecordBatch {
    /// The record's identity, the same for all who read it: the header `id`; or, where it has none or an empty one, topic, partition and offset.
    ///
    /// Bytes of the header that are not UTF-8 become U+FFFD, since the identity travels on as text.
    /// - Parameter buffer: gets the id's UTF-8 bytes; reused, so nothing is allocated once it has grown and where the id is ASCII.
    public borrowing func identity(of record: ConsumedRecord, into buffer: inout [UInt8]) {
        buffer.removeAll(keepingCapacity: true)
        if let range = header("id", of: record), !range.isEmpty {
            if bytes[range].allSatisfy({ $0 < 0x80 }) {
                buffer.append(contentsOf: bytes[range])
            } else {
                buffer.append(contentsOf: String(decoding: bytes[range], as: UTF8.self).utf8)
            }
        } else {
            buffer.append(contentsOf: topics[record.topic].utf8)
            buffer.append(UInt8(ascii: "-"))
            NumberText.append(Int64(record.partition), to: &buffer)
            buffer.append(UInt8(ascii: "-"))
            NumberText.append(record.offset, to: &buffer)
        }
    }
}
