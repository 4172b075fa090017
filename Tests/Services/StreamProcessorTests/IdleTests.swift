import Contracts
import Features
import JSON
import KafkaClient
import RedisClient
@testable import Streaming
import TestSupport
import Testing

@testable import ServiceKit
@testable import StreamProcessor

/// One partition of the processor with its state in Redis, driven as the pipeline drives it; a pause is said, not waited for.
private final class Processor {
    let partitions: StatefulPartitions<ProcessorState>
    private(set) var records: [String] = []
    private(set) var late = 0
    private var writers: FeatureWriters
    private let place = TopicPartition("mins.events", 0)

    init(_ server: RedisServer, _ plan: FeaturePlan) throws {
        let service = Service(
            name: "stream-processor", log: Logger(service: "stream-processor", level: .error, format: .text), metrics: Metrics(), life: Lifecycle())
        writers = FeatureWriters(plan)
        var told: (OwnedPartition<ProcessorState>, EventTimeAdvance, Bool) throws -> Void = { _, _, _ in }
        partitions = StatefulPartitions(
            service, redis: try RedisSettings(url: server.url),
            store: { StateStore($0, keys: RedisKeys(useCase: "mins"), service: "stream-processor") }, interval: 1, idleAfter: 0,
            make: { ProcessorState(plan, partition: $0) }, carryOut: { try told($0, $1, $2) })
        told = { [unowned self] owned, advance, isReplay in
            var emissions = Emissions()
            owned.state.partition.advance(to: advance.rawValue, into: &emissions)
            if !isReplay { note(emissions, owned.next, isClocks: true) }
        }
    }

    /// Takes the partition over and returns the offset to read from.
    func take(committed: Int64) throws -> Int64 { try partitions.take([PartitionOffset(place, committed)])[0].offset }

    func commit(_ offset: Int64) throws {
        try partitions.committed(place, offset)
        try partitions.finishStoring()
    }

    func apply(_ times: [Int64], from offset: Int64) throws {
        for (index, time) in times.enumerated() {
            let offset = offset + Int64(index)
            try partitions.apply(0, at: offset) { owned, isReplay in
                owned.state.noteOffset(offset)
                var emissions = Emissions()
                let outcome = owned.state.partition.apply(
                    row: [0, Double(time), 1], entity: Array("p1".utf8), eventTime: time, kafkaTimestamp: 1, into: &emissions)
                if outcome != .applied { late += 1 }
                if !isReplay { note(emissions, offset) }
            }
        }
    }

    /// No record for so long.
    func pause(_ silence: Int64, at offset: Int64) throws {
        var owned: OwnedPartition<ProcessorState>?
        partitions.forEach { owned = $0 }
        if let owned, offset >= owned.next { try partitions.pass(silence, in: owned) }
    }

    private func note(_ emissions: Emissions, _ offset: Int64, isClocks: Bool = false) {
        for (sequence, item) in emissions.items.enumerated() {
            var json = JSONWriter(capacity: 256)
            emissions.bytes.withUnsafeBytes { bytes in
                emissions.values.withUnsafeBufferPointer { values in
                    writers.write(
                        item, bytes, values, eventID: UnsafeRawBufferPointer(start: nil, count: 0), producedAt: 0, offset: offset,
                        sequence: isClocks ? -1 : sequence, into: &json)
                }
            }
            records.append(String(decoding: json.bytes, as: UTF8.self))
        }
    }
}

@Suite("Pauses")
struct IdleTests {
    private static func plan() throws -> FeaturePlan {
        try FeaturePlan(
            schema: EventSchema(
                fields: [EventField("pump_id", .string), EventField("at", .timestamp), EventField("pressure", .number)], entity: "pump_id", time: "at"
            ),
            sets: [
                FeatureSetDefinition(
                    name: "minute", scope: .window(length: 60_000, slide: 60_000),
                    features: [FeatureDefinition("n", "count()"), FeatureDefinition("mean", "mean(pressure)")])
            ], time: EventTimeRules(outOfOrderness: 5_000, maximumFuture: nil))
    }

    /// 160 readings, one a second, of which 40 come every 40 s.
    private static let batches = (0..<4 as Range<Int64>).map { batch in
        (0..<40 as Range<Int64>).map { 1_796_086_440_000 + (batch * 40 + $0) * 1_000 }
    }

    /// n and revision of the last record of each window.
    private static func last(_ records: [String]) throws -> [String: String] {
        var last: [String: String] = [:]
        for record in records {
            let json = try JSONValue.parse(Array(record.utf8))
            let id = try #require(json["id"]?.string)
            last[id] = "\(json["features"]?["n"]?.double ?? .nan)/\(json["revision"]?.integer ?? 0)"
        }
        return last
    }

    @Test("A source that uploads its last 40 s every 40 s loses nothing: windows of 60, 60 and 40, whoever crashes where")
    func uploads() throws {
        let plan = try Self.plan()
        let server = try RedisServer(appendOnly: false)
        let undisturbed = try Processor(server, plan)
        #expect(try undisturbed.take(committed: -1) == 0)
        for (index, batch) in Self.batches.enumerated() {
            let offset = Int64(index) * 40
            try undisturbed.apply(batch, from: offset)
            for silence in [30_000, 35_000, 39_000] as [Int64] { try undisturbed.pause(silence, at: offset + 40) }
        }
        #expect(undisturbed.late == 0)
        #expect(try Self.last(undisturbed.records).sorted { $0.key < $1.key }.map(\.value) == ["60.0/1", "60.0/0", "40.0/0"])

        // The same, and at every batch somebody else takes over: after the decision was put on record and told, before a snapshot has it.
        for cut in 0..<4 {
            let server = try RedisServer(appendOnly: false)
            var processor = try Processor(server, plan)
            _ = try processor.take(committed: -1)
            var records: [String] = []
            for (index, batch) in Self.batches.enumerated() {
                let offset = Int64(index) * 40
                try processor.apply(batch, from: offset)
                if index <= cut { try processor.commit(offset + 20 * Int64(index % 2)) }
                try processor.commit(offset + 40)
                for silence in [30_000, 35_000, 39_000] as [Int64] { try processor.pause(silence, at: offset + 40) }
                guard index == cut else { continue }
                records += processor.records
                processor = try Processor(server, plan)
                // Everything is committed; the decision comes again, under the same identity, before the next record.
                #expect(try processor.take(committed: offset + 40) == offset + 40)
            }
            records += processor.records
            #expect(processor.late == 0)
            #expect(Set(records) == Set(undisturbed.records), "cut at \(cut)")
            #expect(try Self.last(records) == Self.last(undisturbed.records))
        }
    }

    @Test("Nothing is decided twice: once everything was told, an idle partition leaves Redis alone")
    func settles() throws {
        let plan = try Self.plan()
        let state = ProcessorState(plan)
        var emissions = Emissions()
        for time in Self.batches[0] {
            _ = state.partition.apply(row: [0, Double(time), 1], entity: [0x61], eventTime: time, into: &emissions)
        }
        #expect(state.decisionDue(silence: 10_000) == nil)
        let advance = try #require(state.decisionDue(silence: 30_000))
        state.partition.advance(to: advance.rawValue, into: &emissions)
        #expect(emissions.items.count == 1)
        for silence in [30_000, 31_000, 3_600_000, 86_400_000] as [Int64] { #expect(state.decisionDue(silence: silence) == nil) }
    }
}
