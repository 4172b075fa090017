import CRDKafka
import Glibc

typealias PartitionListPointer = UnsafeMutablePointer<rd_kafka_topic_partition_list_t>

/// The only way to librdkafka's partition lists: made, lent and freed here.
enum PartitionList {
    /// Lends a list of `offsets` to `body`.
    static func with<R>(
        _ offsets: [PartitionOffset], _ body: (PartitionListPointer) throws(KafkaError) -> R
    ) throws(KafkaError) -> R {
        guard let list = rd_kafka_topic_partition_list_new(Int32(clamping: offsets.count)) else {
            throw KafkaError(code: RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, "There is no memory left for a list of partitions.")
        }
        defer { rd_kafka_topic_partition_list_destroy(list) }
        for offset in offsets {
            guard let element = rd_kafka_topic_partition_list_add(list, offset.topicPartition.topic, offset.topicPartition.partition)
            else { continue }
            element.pointee.offset = offset.offset
            if let metadata = offset.metadata {
                // The list frees it, so it must come from malloc.
                element.pointee.metadata = UnsafeMutableRawPointer(strdup(metadata))
                element.pointee.metadata_size = metadata.utf8.count
            }
        }
        return try body(list)
    }

    /// Lends a list of partitions without offsets to `body`.
    static func with<R>(
        _ partitions: [TopicPartition], _ body: (PartitionListPointer) throws(KafkaError) -> R
    ) throws(KafkaError) -> R {
        try with(partitions.map { PartitionOffset($0, PartitionOffset.invalid) }, body)
    }

    /// The partitions of a list.
    static func partitions(_ list: UnsafePointer<rd_kafka_topic_partition_list_t>) -> [TopicPartition] {
        elements(list).map { TopicPartition(String(cString: $0.topic), $0.partition) }
    }

    /// The offsets of a list with their metadata.
    static func offsets(_ list: UnsafePointer<rd_kafka_topic_partition_list_t>) -> [PartitionOffset] {
        elements(list).map { element in
            var metadata: String?
            if let bytes = element.metadata, element.metadata_size > 0 {
                metadata = String(decoding: UnsafeRawBufferPointer(start: bytes, count: element.metadata_size), as: UTF8.self)
            }
            return PartitionOffset(TopicPartition(String(cString: element.topic), element.partition), element.offset, metadata: metadata)
        }
    }

    /// Throws the first error of a partition in the list.
    static func check(_ list: UnsafePointer<rd_kafka_topic_partition_list_t>, _ action: @autoclosure () -> String) throws(KafkaError) {
        for element in elements(list) where element.err != RD_KAFKA_RESP_ERR_NO_ERROR {
            let partition = TopicPartition(String(cString: element.topic), element.partition)
            throw KafkaError(code: element.err, doing: action(), topicPartition: partition)
        }
    }

    private static func elements(
        _ list: UnsafePointer<rd_kafka_topic_partition_list_t>
    ) -> UnsafeBufferPointer<rd_kafka_topic_partition_t> {
        UnsafeBufferPointer(start: list.pointee.elems, count: Int(list.pointee.cnt))
    }
}
