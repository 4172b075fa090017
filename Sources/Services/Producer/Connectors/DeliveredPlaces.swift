import Contracts
import KafkaClient
import ServiceKit

/// Which records of a topic a former owner of a partition delivered beyond the committed offset: when they are read again they are left out.
///
/// Each commit says, in its metadata, how far our own topics reached when everything before it was delivered. What came of later records lies
/// behind that, so the next owner reads our topics from there and knows each record by its place in the source. An owner that was frozen for longer
/// than its session, and goes on, is not known to its successor: what it held then may come twice.
final class DeliveredPlaces: PartitionOwner {
    /// Seconds between two looks at how far our topics reach; what came since is read at a take-over.
    private static let lookInterval = 2.0

    /// What is known of one partition of the source.
    private struct Found {
        /// Offsets behind the committed one that were delivered.
        var offsets: Set<Int64> = []
        var last: Int64 = -1
        /// Our topics' ends of the commit that the partition came with: they count until everything in `offsets` is committed.
        let ends: TopicEnds
    }

    /// Where an event says which record it came from, if its id does not: `partition:offset`.
    static let header: StaticString = "source"

    let interval = 60.0
    private let source: String
    private let admin: KafkaAdmin
    private let tail: TopicTail
    /// As of the last look; never beyond what was delivered since.
    private var ends = TopicEnds()
    private var lastLook = -Double.infinity
    private var hasSent = true
    private var found: [Int32: Found] = [:]
    private let leftOut: Counter

    /// - Parameters:
    ///   - source: the topic that is read.
    ///   - topics: ours, on `kafka`: events and dead letters.
    init(source: String, topics: [String], kafka: KafkaSettings, group: String, service: Service) throws {
        self.source = source
        admin = try KafkaAdmin(kafka)
        tail = TopicTail(topics: topics, kafka: kafka, group: group, timeout: 30, service: service)
        leftOut = service.metrics.counter(
            "vyuha_source_delivered_before_total", "Records that were read again after a crash or a rebalance, had been delivered, and were left out."
        )
    }

    /// Whether this record was delivered by a former owner. Call for every record, in order.
    func contains(_ partition: Int32, _ offset: Int64) -> Bool {
        guard !found.isEmpty, found[partition]?.offsets.remove(offset) != nil else { return false }
        leftOut.add()
        return true
    }

    /// Something is on its way to our topics.
    func sent() { hasSent = true }

    // MARK: PartitionOwner

    func check(_ topic: String, partitions: Int) throws {}

    func take(_ committed: [PartitionOffset]) throws -> [PartitionOffset] {
        try look()
        var starts: [Int32: Int64] = [:]
        var from: TopicEnds?
        for place in committed {
            let partition = place.topicPartition.partition
            // Nothing was delivered before the first commit, which is made before anything is read.
            let ends = place.metadata.flatMap { TopicEnds(text: $0) } ?? self.ends
            found[partition] = Found(ends: ends)
            starts[partition] = place.offset
            from = from?.earlier(ends) ?? ends
        }
        if let from { try find(starts, from) }
        for partition in starts.keys where found[partition]?.offsets.isEmpty == true { found[partition] = nil }
        return committed
    }

    /// Reads our topics from `from` on for what came of the records behind `starts`.
    private func find(_ starts: [Int32: Int64], _ from: TopicEnds) throws {
        try tail.read(from: { [topics = tail.topics] place, range in
            let index = topics.firstIndex(of: place.topic) ?? 0
            let offset = from.offset(index, Int(place.partition))
            // A topic that was made anew is shorter than it was.
            return offset > range.high ? range.low : offset
        }) { topic, record, batch in
            guard let place = origin(of: record, in: batch, isLetter: topic == 1), let start = starts[place.partition], place.offset >= start else {
                return
            }
            found[place.partition]?.offsets.insert(place.offset)
            let last = found[place.partition]?.last ?? -1
            found[place.partition]?.last = max(last, place.offset)
        }
    }

    func metadata(of partition: TopicPartition, at offset: Int64) -> String? {
        if let known = found[partition.partition] {
            if offset <= known.last { return known.ends.text }
            found[partition.partition] = nil
        }
        return ends.text
    }

    func committed(_ partition: TopicPartition, _ offset: Int64) throws {}
    func finishStoring() throws {}
    func left(_ partitions: [TopicPartition]) { for place in partitions { found[place.partition] = nil } }

    func tick() throws {
        if hasSent, Clock.monotonicSeconds - lastLook >= Self.lookInterval { try look() }
    }

    /// Between batches, when all that was sent is delivered.
    private func look() throws {
        var offsets: [[Int64]] = []
        for topic in tail.topics {
            offsets.append(
                try (0..<(admin.partitions(of: topic) ?? 0)).map { try admin.watermarks(TopicPartition(topic, Int32($0))).high })
        }
        ends = TopicEnds(offsets)
        lastLook = Clock.monotonicSeconds
        hasSent = false
    }

    // MARK: Origins

    private func origin(of record: ConsumedRecord, in batch: borrowing RecordBatch, isLetter: Bool) -> (partition: Int32, offset: Int64)? {
        func text(_ name: StaticString) -> Substring? { batch.header(name, of: record).map { Substring(decoding: batch.bytes[$0], as: UTF8.self) } }
        if isLetter {
            guard text("source-topic") == source[...], let partition = text("source-partition").flatMap({ Int32($0) }),
                let offset = text("source-offset").flatMap({ Int64($0) })
            else { return nil }
            return (partition, offset)
        }
        guard let place = text(Self.header) ?? text("id").flatMap({ $0.hasPrefix(source + ":") ? $0.dropFirst(source.utf8.count + 1) : nil }) else {
            return nil
        }
        let parts = place.split(separator: ":")
        guard parts.count == 2, let partition = Int32(parts[0]), let offset = Int64(parts[1]) else { return nil }
        return (partition, offset)
    }
}

/// Where the partitions of some topics end: `[topic][partition]`, as text for a commit's metadata.
struct TopicEnds: Equatable {
    /// Brokers take 4,096 bytes (`offset.metadata.max.bytes`).
    private static let longest = 4_000

    private var offsets: [[Int64]]

    init(_ offsets: [[Int64]] = []) { self.offsets = offsets }

    /// - Returns: nil for what was not written by `text`.
    init?(text: String) {
        guard text.hasPrefix("ends ") else { return nil }
        offsets = []
        for topic in text.dropFirst(5).split(separator: ";", omittingEmptySubsequences: false) {
            let numbers = topic.split(separator: ",").map { Int64($0, radix: 36) }
            guard numbers.allSatisfy({ $0 != nil }) else { return nil }
            offsets.append(numbers.compactMap { $0 })
        }
    }

    /// Partitions that find no room are left out, and then read from their beginning.
    var text: String {
        var text = "ends " + offsets.map { $0.map { String($0, radix: 36) }.joined(separator: ",") }.joined(separator: ";")
        if text.utf8.count > Self.longest {
            let room = Self.longest / 2
            text =
                "ends "
                + offsets.map { topic in
                    var (list, size) = ([String](), 0)
                    for offset in topic {
                        let number = String(offset, radix: 36)
                        size += number.utf8.count + 1
                        guard size < room else { break }
                        list.append(number)
                    }
                    return list.joined(separator: ",")
                }.joined(separator: ";")
        }
        return text
    }

    func offset(_ topic: Int, _ partition: Int) -> Int64 {
        topic < offsets.count && partition < offsets[topic].count ? offsets[topic][partition] : 0
    }

    /// The earlier end of each partition.
    func earlier(_ other: TopicEnds) -> TopicEnds {
        TopicEnds(
            zip(offsets, other.offsets).map { mine, others in zip(mine, others).map { min($0, $1) } })
    }
}
