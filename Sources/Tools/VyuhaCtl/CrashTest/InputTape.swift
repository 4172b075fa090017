import KafkaClient
import ServiceKit

/// The events of a run, kept so that another run gets the same bytes, headers, partitions and Kafka timestamps in the same order.
/// All in memory: about 200 bytes an event.
struct InputTape {
    private struct Event {
        var partition: Int32
        var timestamp: Int64
        var key: Range<Int>?
        var value: Range<Int>?
        var id: Range<Int>?
    }

    private var bytes: [UInt8] = []
    private var events: [Event] = []
    var count: Int { events.count }

    mutating func note(_ record: ConsumedRecord, of batch: borrowing RecordBatch) {
        func keep(_ range: Range<Int>?) -> Range<Int>? {
            guard let range else { return nil }
            let start = bytes.count
            bytes.append(contentsOf: batch.bytes[range])
            return start..<bytes.count
        }
        let (key, value, id) = (keep(record.key), keep(record.value), keep(batch.header("id", of: record)))
        events.append(Event(partition: record.partition, timestamp: record.timestamp, key: key, value: value, id: id))
    }

    /// Appends the events of `range` to a batch whose only topic gets them.
    func fill(_ batch: inout OutgoingBatch, _ range: Range<Int>) {
        for event in events[range] {
            batch.append(
                topic: 0, partition: event.partition, keyOf: bytes, event.key, valueOf: bytes, event.value, timestamp: event.timestamp)
            if let id = event.id { batch.header("id", of: bytes, id) }
        }
    }
}
