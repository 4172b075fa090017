/// Records on their way to Kafka: keys, values and headers in one arena. Make one, fill it, send it, `removeAll`, fill it again.
public struct OutgoingBatch: Sendable {
    /// What `append(topic:)` counts in.
    public let topics: [String]

    struct Record {
        let topic: Int
        let partition: Int32
        let timestamp: Int64
        /// `nil`: no key, no value (tombstone).
        let key: Range<Int>?
        let value: Range<Int>?
        var headers: Range<Int>
    }

    struct Header {
        /// The name in the arena is followed by a NUL, which is not counted.
        let name: Range<Int>
        let value: Range<Int>
    }

    private(set) var bytes: [UInt8]
    private(set) var records: [Record] = []
    private(set) var headers: [Header] = []

    public init(topics: [String]) {
        self.topics = topics
        // One byte, so that the arena always has an address and an empty value is not taken for a tombstone.
        bytes = [0]
    }

    public var count: Int { records.count }
    public var isEmpty: Bool { records.isEmpty }
    /// Bytes of all keys, values and headers.
    public var byteCount: Int { bytes.count - 1 }

    /// Empties the batch and keeps its memory.
    public mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        bytes.append(0)
        records.removeAll(keepingCapacity: true)
        headers.removeAll(keepingCapacity: true)
    }

    /// Adds a record.
    /// - Parameters:
    ///   - topic: index into `topics`.
    ///   - partition: -1 lets the hash of the key decide.
    ///   - key: `nil` for none.
    ///   - value: `nil` for a tombstone.
    ///   - timestamp: milliseconds since the epoch; 0 means now.
    public mutating func append(
        topic: Int, partition: Int32 = -1, key: UnsafeRawBufferPointer?, value: UnsafeRawBufferPointer?, timestamp: Int64 = 0
    ) {
        precondition(topics.indices.contains(topic), "OutgoingBatch.append: no topic has this index")
        let key = key.map { copy($0) }
        let value = value.map { copy($0) }
        records.append(
            Record(
                topic: topic, partition: partition, timestamp: timestamp, key: key, value: value, headers: headers.count..<headers.count))
    }

    /// Adds a record from arrays.
    public mutating func append(topic: Int, partition: Int32 = -1, key: [UInt8]?, value: [UInt8]?, timestamp: Int64 = 0) {
        append(
            topic: topic, partition: partition, keyOf: key ?? [], key.map { 0..<$0.count }, valueOf: value ?? [],
            value.map { 0..<$0.count },
            timestamp: timestamp)
    }

    /// Adds a record whose key and value are parts of larger arrays, such as a consumed batch and a writer's buffer.
    public mutating func append(
        topic: Int, partition: Int32 = -1, keyOf keySource: [UInt8], _ key: Range<Int>?, valueOf valueSource: [UInt8],
        _ value: Range<Int>?, timestamp: Int64 = 0
    ) {
        keySource.withUnsafeBytes { keyBytes in
            valueSource.withUnsafeBytes { valueBytes in
                append(
                    topic: topic, partition: partition, key: key.map { UnsafeRawBufferPointer(rebasing: keyBytes[$0]) },
                    value: value.map { UnsafeRawBufferPointer(rebasing: valueBytes[$0]) }, timestamp: timestamp)
            }
        }
    }

    /// Adds a header to the record that was appended last. The name must not contain a NUL.
    public mutating func header(_ name: StaticString, _ value: UnsafeRawBufferPointer) {
        name.withUTF8Buffer { header(named: UnsafeRawBufferPointer($0), value) }
    }

    /// Adds a header whose value is a part of a larger array.
    public mutating func header(_ name: StaticString, of source: [UInt8], _ value: Range<Int>) {
        source.withUnsafeBytes { header(name, UnsafeRawBufferPointer(rebasing: $0[value])) }
    }

    /// Adds a header with a text.
    public mutating func header(_ name: StaticString, _ value: String) {
        var value = value
        value.withUTF8 { header(name, UnsafeRawBufferPointer($0)) }
    }

    /// Adds a header whose name is known only at run time.
    public mutating func header(_ name: String, _ value: [UInt8]) {
        var name = name
        name.withUTF8 { name in value.withUnsafeBytes { header(named: UnsafeRawBufferPointer(name), $0) } }
    }

    private mutating func header(named name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        precondition(!records.isEmpty, "OutgoingBatch.header: append a record first")
        let name = copy(name)
        bytes.append(0)
        headers.append(Header(name: name, value: copy(value)))
        records[records.count - 1].headers = records[records.count - 1].headers.lowerBound..<headers.count
    }

    private mutating func copy(_ source: UnsafeRawBufferPointer) -> Range<Int> {
        let first = bytes.count
        bytes.append(contentsOf: source)
        return first..<bytes.count
    }
}
