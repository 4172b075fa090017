import CRDKafka
import Glibc

/// One consumed record; its ranges point into `RecordBatch.bytes`.
public struct ConsumedRecord: Sendable {
    /// Index into `RecordBatch.topics`.
    public let topic: Int
    public let partition: Int32
    public let offset: Int64
    /// Milliseconds since the epoch; -1 where the record has none.
    public let timestamp: Int64
    /// `nil` where the record has no key; it need not be UTF-8.
    public let key: Range<Int>?
    /// `nil` is a tombstone; an empty range is an empty value.
    public let value: Range<Int>?
    /// Into `RecordBatch.headers`.
    public let headers: Range<Int>
}

/// A header of a consumed record; ranges point into `RecordBatch.bytes`.
public struct RecordHeader: Sendable {
    public let name: Range<Int>
    public let value: Range<Int>?
}

/// The records of one poll, copied into one arena: librdkafka's messages are freed before poll returns, and no pointer comes out.
///
/// Make one and use it for every poll: it grows to the largest batch and then no longer allocates.
public struct RecordBatch: Sendable {
    /// Bytes readable after the last record's last byte, as SIMD parsers want it.
    public static let slack = 64

    /// Keys, values and headers of all records, followed by `slack` zero bytes.
    public private(set) var bytes: [UInt8] = []
    /// In the order of arrival; within a partition that is the order of offsets.
    public private(set) var records: [ConsumedRecord] = []
    public private(set) var headers: [RecordHeader] = []
    /// Every topic seen so far; an index stays valid for the life of this value.
    public private(set) var topics: [String] = []

    public init(byteCapacity: Int = 1 << 16, recordCapacity: Int = 1024) {
        bytes.reserveCapacity(byteCapacity)
        records.reserveCapacity(recordCapacity)
    }

    public var count: Int { records.count }
    public var isEmpty: Bool { records.isEmpty }

    /// The value of the last header with this name, as a range of `bytes`.
    public func header(_ name: StaticString, of record: ConsumedRecord) -> Range<Int>? {
        bytes.withUnsafeBytes { bytes in
            for index in record.headers.reversed() {
                let header = headers[index]
                guard header.name.count == name.utf8CodeUnitCount, let base = bytes.baseAddress,
                    memcmp(base + header.name.lowerBound, name.utf8Start, header.name.count) == 0
                else { continue }
                return header.value
            }
            return nil
        }
    }

    /// The batch with one of its records alone; shares the bytes.
    public borrowing func only(_ index: Int) -> RecordBatch {
        var one = copy self
        one.records = [records[index]]
        return one
    }

    /// A batch of one record without key and headers, for tests of code that takes batches.
    static func of(_ topic: String, partition: Int32, offset: Int64, value: [UInt8]) -> RecordBatch {
        var batch = RecordBatch(byteCapacity: 0, recordCapacity: 1)
        batch.topics = [topic]
        batch.bytes = value
        batch.records = [
            ConsumedRecord(topic: 0, partition: partition, offset: offset, timestamp: -1, key: nil, value: 0..<value.count, headers: 0..<0)
        ]
        batch.seal()
        return batch
    }

    mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        records.removeAll(keepingCapacity: true)
        headers.removeAll(keepingCapacity: true)
    }

    mutating func seal() {
        bytes.append(contentsOf: repeatElement(0, count: Self.slack))
    }

    /// Index of a topic by its C name; called once per topic and poll.
    mutating func topicIndex(_ name: UnsafePointer<CChar>) -> Int {
        let name = String(cString: name)
        if let known = topics.firstIndex(of: name) { return known }
        topics.append(name)
        return topics.count - 1
    }

    /// Copies one message that carries no error.
    mutating func append(_ message: UnsafeMutablePointer<rd_kafka_message_t>, topic: Int) {
        let key = copy(message.pointee.key, message.pointee.key_len)
        let value = copy(message.pointee.payload, message.pointee.len)
        let first = headers.count
        var list: OpaquePointer?
        if rd_kafka_message_headers(message, &list) == RD_KAFKA_RESP_ERR_NO_ERROR, let list { append(headers: list) }
        records.append(
            ConsumedRecord(
                topic: topic, partition: message.pointee.partition, offset: message.pointee.offset,
                timestamp: rd_kafka_message_timestamp(message, nil), key: key, value: value, headers: first..<headers.count))
    }

    private mutating func append(headers list: OpaquePointer) {
        var index = 0
        var name: UnsafePointer<CChar>?
        var value: UnsafeRawPointer?
        var size = 0
        while rd_kafka_header_get_all(list, index, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR {
            index += 1
            guard let text = name, let range = copy(text, strlen(text)) else { continue }
            headers.append(RecordHeader(name: range, value: copy(value, size)))
        }
    }

    private mutating func copy(_ start: UnsafeRawPointer?, _ count: Int) -> Range<Int>? {
        guard let start else { return nil }
        let first = bytes.count
        bytes.append(contentsOf: UnsafeRawBufferPointer(start: start, count: count))
        return first..<(first + count)
    }
}
