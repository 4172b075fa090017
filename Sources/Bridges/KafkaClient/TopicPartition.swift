import CRDKafka

/// One partition of one topic.
public struct TopicPartition: Hashable, Sendable, CustomStringConvertible {
    public let topic: String
    public let partition: Int32

    public init(_ topic: String, _ partition: Int32) {
        self.topic = topic
        self.partition = partition
    }

    public var description: String { "\(topic)-\(partition)" }
}

/// An offset in a partition, with the text that may be committed beside it.
public struct PartitionOffset: Sendable, Equatable {
    public let topicPartition: TopicPartition
    /// A record's offset (0 or more), or one of the constants below.
    public let offset: Int64
    /// Free text stored with a committed offset; at most 4096 bytes on a broker's default settings.
    public let metadata: String?

    public init(_ topicPartition: TopicPartition, _ offset: Int64, metadata: String? = nil) {
        self.topicPartition = topicPartition
        self.offset = offset
        self.metadata = metadata
    }

    /// The oldest record.
    public static let beginning = Int64(RD_KAFKA_OFFSET_BEGINNING)
    /// Behind the newest record.
    public static let end = Int64(RD_KAFKA_OFFSET_END)
    /// The group's committed offset.
    public static let stored = Int64(RD_KAFKA_OFFSET_STORED)
    /// No offset: nothing committed, nothing read.
    public static let invalid = Int64(RD_KAFKA_OFFSET_INVALID)
}

/// Offsets of the oldest record of a partition and of the next one to be written.
public struct Watermarks: Sendable, Equatable {
    public let low: Int64
    public let high: Int64

    public init(low: Int64, high: Int64) {
        self.low = low
        self.high = high
    }
}
