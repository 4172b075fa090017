import KafkaClient
import Synchronization
import TestSupport
import Testing

@testable import ServiceKit
@testable import Streaming

/// A sink that fills "files" of ten records, against the mock cluster.
@Suite struct BufferedSinkTests {
    /// Holds records until it has ten of a partition; `@unchecked` because only the loop's thread calls it and the rest is behind the mutex.
    private final class Files: BufferedSink, @unchecked Sendable {
        struct State {
            /// Per partition the offsets of each file.
            var files: [Int32: [[Int64]]] = [:]
            var held = 0
            var flushes = 0
            var forgotten = 0
            var failures = 0
            var emptyCalls = 0
        }

        struct Away: PassingError {
            let mayPass = true
        }

        let state = Mutex(State())
        private var open: [Int32: [Int64]] = [:]

        init(failures: Int = 0) { state.withLock { $0.failures = failures } }

        func take(_ batch: borrowing RecordBatch) throws -> [PartitionOffset] {
            var durable: [PartitionOffset] = []
            if batch.isEmpty { state.withLock { $0.emptyCalls += 1 } }
            for record in batch.records {
                open[record.partition, default: []].append(record.offset)
                if open[record.partition]?.count == 10 { durable += try close(record.partition) }
            }
            state.withLock { $0.held = open.values.map(\.count).reduce(0, +) }
            return durable
        }

        func flush(_ partitions: [TopicPartition]) throws -> [PartitionOffset] {
            state.withLock { $0.flushes += 1 }
            return try partitions.flatMap { try close($0.partition) }
        }

        func forget(_ partitions: [TopicPartition]) {
            state.withLock { $0.forgotten += 1 }
            for partition in partitions { open[partition.partition] = nil }
        }

        private func close(_ partition: Int32) throws -> [PartitionOffset] {
            guard let offsets = open[partition], let last = offsets.last else { return [] }
            let fails = state.withLock { state in
                state.failures -= 1
                return state.failures >= 0
            }
            if fails { throw Away() }
            state.withLock { $0.files[partition, default: []].append(offsets) }
            open[partition] = nil
            return [PartitionOffset(TopicPartition("t", partition), last + 1)]
        }
    }

    @Test("what a sink holds is not committed; it is read again after a failure, and a graceful stop makes it durable first")
    func holds() throws {
        let broker = try EmbeddedBroker(topics: [TopicSpec(name: "t", partitions: 2)])
        let producer = try KafkaProducer(broker.settings)
        var batch = OutgoingBatch(topics: ["t"])
        for number in 0..<50 { batch.append(topic: 0, partition: Int32(number % 2), key: nil, value: [UInt8(number)]) }
        try producer.send(batch)
        try producer.flush(timeout: 10_000)

        let (settings, service) = try ConsumerLoopTests.service(broker)
        // The first file cannot be stored for a while, as when a bucket is away.
        let sink = Files(failures: 2)
        let ended = Mutex(false)
        Threads.start("loop") {
            do { try ConsumerLoop(settings, service, topics: ["t"], group: "g", batch: 7).run(sink) } catch { Issue.record(error) }
            ended.withLock { $0 = true }
        }
        // Two files of ten per partition, five records held of each; empty batches come so that time can close a file.
        #expect(
            withDeadline(30) {
                sink.state.withLock { $0.files.values.map(\.count).reduce(0, +) == 4 && $0.held == 10 && $0.emptyCalls > 3 }
            })
        let partitions = (0..<2).map { TopicPartition("t", Int32($0)) }
        let admin = try KafkaAdmin(broker.settings)
        #expect(try withDeadline(10) { try admin.committed(group: "g", partitions, timeout: 5_000).map(\.offset) == [20, 20] })
        service.life.stop()
        #expect(withDeadline(10) { ended.withLock { $0 } })
        #expect(try admin.committed(group: "g", partitions, timeout: 5_000).map(\.offset) == [25, 25])
        let state = sink.state.withLock { $0 }
        #expect(state.forgotten >= 2, "each failure begins again from the committed offset")
        for files in state.files.values { #expect(files.flatMap { $0 } == Array(0..<25), "each record in one file, in order") }
        #expect(service.metrics.counter("vyuha_batch_retries_total", "").value == 2)
    }
}
