import Contracts
import KafkaClient

/// How much of a record a dead letter may have. No service knows the limit of the broker's topic, so it is learnt: a letter is whole until
/// one was refused for its size.
struct LetterSize {
    /// What fits where a broker has its usual limit of 1 MiB.
    private static let usual = 900_000
    /// A topic that does not even take this is wrong, not the letter.
    private static let least = 1_000

    /// Most bytes of key and value together.
    private(set) var limit = Int.max
    /// Letters, bytes of the last of them, and records at all that are under way.
    private var (letters, bytes, records) = (0, 0, 0)

    var isLeast: Bool { limit <= Self.least }

    /// Bytes of key and value that a letter may have of these.
    mutating func room(key: Int, value: Int) -> (key: Int, value: Int) {
        let keyRoom = key + value <= limit ? key : min(key, limit / 4)
        let room = (keyRoom, min(value, limit - keyRoom))
        letters += 1
        bytes = room.0 + room.1
        return room
    }

    /// So many records, letters among them, are sent.
    mutating func sent(_ count: Int) { records += count }

    /// A letter that was refused when it was alone was too large: the next ones are shorter.
    mutating func learn(from error: KafkaError) {
        if error.refusesRecord, letters == 1, records == 1 { limit = bytes > Self.usual ? Self.usual : max(Self.least, bytes / 2) }
        settled()
    }

    /// Nothing is under way any more.
    mutating func settled() { (letters, bytes, records) = (0, 0, 0) }
}

extension RecordSink {
    /// Adds a dead letter of a consumed record: its key and value, and headers that say where it came from and what was wrong.
    /// - Parameters:
    ///   - topic: index of the dead-letter topic in the batch.
    ///   - field: the wrong field, several separated by commas, or empty.
    ///   - detail: one sentence for people.
    public func addDeadLetter(
        topic: Int, _ record: ConsumedRecord, of source: borrowing RecordBatch, id: [UInt8], reason: DeadLetterReason, field: String,
        detail: String
    ) {
        addDeadLetter(
            topic: topic, keyOf: source.bytes, record.key, valueOf: source.bytes, record.value,
            .record(topic: source.topics[record.topic], partition: record.partition, offset: record.offset, timestamp: record.timestamp), id: id,
            reason: reason, field: field, detail: detail)
    }

    /// Adds a dead letter of a record whose key and value are parts of larger arrays.
    /// - Parameters:
    ///   - origin: where the original of a dead letter is.
    ///   - stage: nil: the service's own.
    public func addDeadLetter(
        topic: Int, keyOf keySource: [UInt8], _ key: Range<Int>?, valueOf valueSource: [UInt8], _ value: Range<Int>?, _ origin: DeadLetter.Origin,
        id: [UInt8], reason: DeadLetterReason, field: String, detail: String, stage: DeadLetter.Stage? = nil
    ) {
        let size = (key?.count ?? 0) + (value?.count ?? 0)
        let room = letters.room(key: key?.count ?? 0, value: value?.count ?? 0)
        let partition: Int32 =
            switch origin {
            case .record(_, let partition, _, _), .outbox(_, _, let partition, _, _): partition
            case .row: -1
            }
        batch.append(
            topic: topic, partition: keepsPartition ? partition : -1, keyOf: keySource, key.map { $0.prefix(room.key) }, valueOf: valueSource,
            value.map { $0.prefix(room.value) })
        let letter = DeadLetter(
            id: "", origin: origin, stage: stage ?? DeadLetter.Stage(service: service.name), reason: reason, field: field, detail: detail,
            service: service.name, originalSize: room.key + room.value < size ? size : nil)
        batch.headers(of: letter, id: id)
    }

    /// Sends the dead letter that `add` adds; one that is refused for its size is added again, shorter.
    public func deliverLetter(_ add: () -> Void) throws(KafkaError) {
        while true {
            add()
            do throws(KafkaError) {
                return try deliver()
            } catch {
                // A transaction has to be aborted first: the loop does that, and comes again.
                guard error.refusesRecord, !isTransactional, !letters.isLeast else { throw error }
                producer.clearFailures()
            }
        }
    }
}

extension OutgoingBatch {
    /// Adds the headers of a dead letter to the record that was appended last.
    /// - Parameter id: the event's, byte by byte, in place of the letter's own.
    public mutating func headers(of letter: DeadLetter, id: [UInt8]) {
        header("id", of: id, 0..<id.count)
        for header in letter.headers.dropFirst() { self.header(header.name, header.value) }
    }
}

extension RecordBatch {
    /// The record as a dead letter; nil where it is none.
    public func deadLetter(_ record: ConsumedRecord) -> DeadLetter? {
        DeadLetter { name in header(name, of: record).map { String(decoding: bytes[$0], as: UTF8.self) } }
    }
}
