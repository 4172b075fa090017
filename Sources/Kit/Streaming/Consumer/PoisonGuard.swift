import Contracts
import KafkaClient
import RedisClient
import ServiceKit

/// Finds the record that breaks its handler, also where it ends the whole process, and bounds how often it is tried.
///
/// A partition that was begun at one committed offset several times without a commit in between, or whose batch broke the handler, is
/// suspected: its next records are handled one by one, and each is counted in Redis before it is tried. What was counted more often than the
/// limit is poison. The counts live in the hash `RedisKeys.attempts`: a field per partition (`<topic>-<partition>`: committed offset and
/// beginnings) and one per record under trial (`<topic>-<partition>@<offset>`). In steady operation nothing is written.
///
/// Without Redis the counts are this process's own.
final class PoisonGuard {
    /// Beginnings without progress that make a partition suspect, and tries of one record.
    static let limit = 3
    /// Seconds after which the counts are forgotten: long enough for any replay of what is below the committed offset.
    private static let memory = "604800"

    private let client: RedisClient
    private let key: String
    private let service: Service
    private let deadLetters: Counter
    /// Offsets up to which a partition's records are handled one by one.
    private var suspects: [TopicPartition: Int64] = [:]
    /// Partitions that have not committed anything since they came.
    private var unproven: Set<TopicPartition> = []
    private var poison: [TopicPartition: Set<Int64>] = [:]
    private var tries: [String: Int] = [:]
    /// What each record under trial did when it was tried alone.
    private var errors: [String: String] = [:]

    init(_ common: CommonSettings, _ service: Service) {
        var settings = common.redis
        // Counting must not hold the loop up where Redis is away.
        settings.connectTimeout = 500
        settings.commandTimeout = 500
        client = RedisClient(settings)
        key = RedisKeys(useCase: common.useCaseName).attempts(service: service.name)
        self.service = service
        deadLetters = service.metrics.counter("vyuha_poison_records_total", "Records that became dead letters because they broke their handler.")
    }

    // MARK: Partitions

    /// Counts the beginnings at these committed offsets.
    func took(_ committed: [PartitionOffset], batch: Int) {
        guard let stored = try? client.command("HGETALL", key).fields else { return }
        let known = Dictionary(stored.map { ($0.name, String(decoding: $0.value, as: UTF8.self)) }) { $1 }
        var writes = RedisPipeline()
        for place in committed {
            let partition = place.topicPartition
            let name = Self.name(partition)
            let before = known[name].flatMap { $0.split(separator: ":").last.flatMap { Int($0) } } ?? 0
            let isSame = known[name]?.hasPrefix("\(place.offset):") == true
            let count = isSame ? before + 1 : 1
            writes.append("HSET", key, name, "\(place.offset):\(count)")
            unproven.insert(partition)
            if count > Self.limit {
                service.log.warning(
                    "a partition was begun again and again without progress; its records are handled one by one",
                    ["partition": name, "offset": place.offset, "beginnings": count])
                // The batch that did it had at most so many records; markers of transactions lie between them.
                suspects[partition] = max(suspects[partition] ?? 0, max(place.offset, 0) + Int64(2 * batch))
            }
            poison[partition] = Set(
                known.filter { $0.key.hasPrefix(name + "@") && Int($0.value) ?? 0 > Self.limit }.compactMap {
                    Int64($0.key.dropFirst(name.utf8.count + 1))
                })
        }
        writes.append("EXPIRE", key, Self.memory)
        _ = try? client.run(writes)
    }

    /// Offsets were committed: these partitions work.
    func progressed(_ committed: [PartitionOffset]) {
        guard !unproven.isEmpty else { return }
        let proven = committed.map(\.topicPartition).filter { unproven.remove($0) != nil }
        guard !proven.isEmpty else { return }
        var writes = RedisPipeline()
        for partition in proven { writes.append("HDEL", key, Self.name(partition)) }
        _ = try? client.run(writes)
    }

    // MARK: Records

    /// The batch broke its handler.
    func suspect(_ spans: BatchSpans) {
        for span in spans.spans { suspects[span.place] = max(suspects[span.place] ?? 0, span.next) }
    }

    /// Whether records of the batch must be handled one by one.
    func suspects(_ spans: BatchSpans) -> Bool {
        if suspects.isEmpty, poison.isEmpty { return false }
        var found = false
        for span in spans.spans {
            if let end = suspects[span.place] {
                if span.first < end { found = true } else { suspects[span.place] = nil }
            }
            if let offsets = poison[span.place], offsets.contains(where: { (span.first..<span.next).contains($0) }) { found = true }
        }
        return found
    }

    /// Counts one more try of a batch's only record.
    /// - Returns: whether it was tried often enough already.
    func isPoison(_ record: borrowing RecordBatch) -> Bool {
        let (partition, offset) = Self.place(record)
        if poison[partition]?.contains(offset) == true { return true }
        let name = Self.name(record)
        let counted = (try? client.command("HINCRBY", key, name, "1").integer).map { Int($0) }
        let count = max(counted ?? 0, (tries[name] ?? 0) + 1)
        tries[name] = count
        guard count > Self.limit else { return false }
        poison[partition, default: []].insert(offset)
        deadLetters.add()
        service.log.error("a record breaks its handler and becomes a dead letter", ["record": name, "tries": Self.limit])
        return true
    }

    /// A batch's only record broke its handler.
    func broke(_ record: borrowing RecordBatch, _ error: any Error) { errors[Self.name(record)] = "\(error)" }

    /// What it did last; nil where that was in another life of this service.
    func error(of record: borrowing RecordBatch) -> String? { errors[Self.name(record)] }

    /// A batch's only record was handled, or was dead-lettered, for good.
    func survived(_ record: borrowing RecordBatch) {
        let (partition, offset) = Self.place(record)
        let name = Self.name(record)
        errors[name] = nil
        guard tries.removeValue(forKey: name) != nil, poison[partition]?.contains(offset) != true else { return }
        _ = try? client.command("HDEL", key, name)
    }

    private static func name(_ partition: TopicPartition) -> String { "\(partition.topic)-\(partition.partition)" }

    private static func name(_ record: borrowing RecordBatch) -> String {
        let (partition, offset) = place(record)
        return "\(name(partition))@\(offset)"
    }

    private static func place(_ record: borrowing RecordBatch) -> (TopicPartition, Int64) {
        let only = record.records[0]
        return (TopicPartition(record.topics[only.topic], only.partition), only.offset)
    }
}

extension RecordSink {
    /// Sends a batch's only record to the dead letters: it broke its handler.
    func deliverPoison(_ record: borrowing RecordBatch, topic: Int, attempts: Int, error: String?) throws(KafkaError) {
        var id: [UInt8] = []
        record.identity(of: record.records[0], into: &id)
        let how = error.map { ", last so: \($0)" } ?? "; its log says how."
        let detail = "The service \(service.name) failed on this record \(attempts) times" + how
        try deliverLetter {
            addDeadLetter(topic: topic, record.records[0], of: record, id: id, reason: .failedRepeatedly, field: "", detail: detail)
        }
    }
}
