import KafkaClient
import ServiceKit
import Text

/// What an earlier run delivered after the last position that it stored: the ids at the ends of the topics.
///
/// A producer that is killed leaves at most `Delivery.window` records per topic behind its stored position, so no more than that many from
/// the end of each partition can be among them. They are read once at a restart and held as 64-bit hashes; with 10⁶ of them a false match
/// has a chance of 10⁻⁷ for the events that are asked about.
struct DeliveredTail {
    /// One set per topic of the outgoing batch.
    private var ids: [Set<UInt64>]
    /// Rows after the stored position that can have been delivered.
    private var questions: Int

    /// Nothing was delivered: the first run.
    init(topics: Int) {
        ids = Array(repeating: [], count: topics)
        questions = 0
    }

    /// Reads the tails. Cost: up to `window` records of every partition, about 1 µs each.
    /// - Throws: when the broker does not answer for `timeout` seconds.
    init(reading topics: [String], kafka: KafkaSettings, group: String, window: Int, timeout: Double, service: Service) throws {
        self.init(topics: topics.count)
        questions = window
        var found = ids
        try Self.read(topics, kafka: kafka, group: group, window: window, timeout: timeout, service: service) { topic, id in
            found[topic].insert(FNV1a.hash(id))
        }
        ids = found
    }

    /// Whether some of the last records of a topic are of a source: their ids begin with its name.
    static func hasRecords(of source: String, on topic: String, kafka: KafkaSettings, group: String, service: Service) throws -> Bool {
        let name = Array(source.utf8)
        let separators = Array(":#/".utf8)
        var isFound = false
        // A few of each partition will do: sources that share a topic take turns.
        try read([topic], kafka: kafka, group: group, window: 100, timeout: 10, service: service) { _, id in
            let rest = id.dropFirst(name.count)
            isFound = isFound || (id.starts(with: name) && rest.first.map(separators.contains) == true)
        }
        return isFound
    }

    /// Calls `body` with the id of each of the last `window` records of every partition.
    /// - Throws: when the broker does not answer for `timeout` seconds.
    private static func read(
        _ topics: [String], kafka: KafkaSettings, group: String, window: Int, timeout: Double, service: Service,
        _ body: (Int, ArraySlice<UInt8>) -> Void
    ) throws {
        let reader = TopicTail(topics: topics, kafka: kafka, group: group, timeout: timeout, service: service)
        try reader.read(from: { _, range in range.high - Int64(window) }) { topic, record, batch in
            if let id = batch.header("id", of: record) { body(topic, batch.bytes[id]) }
        }
    }

    /// Whether this record is already on its topic. Call for every record in order: after `window` rows the answer is always no.
    func contains(topic: Int, id: [UInt8]) -> Bool {
        questions > 0 && ids[topic].contains(FNV1a.hash(id[...]))
    }

    /// The hashes of the ids at the ends of a topic.
    func hashes(topic: Int) -> Set<UInt64> { ids[topic] }

    /// One more row has been asked about. Frees the memory behind the last that can match.
    mutating func passed() {
        guard questions > 0 else { return }
        questions -= 1
        if questions == 0 { ids = ids.map { _ in [] } }
    }
}
