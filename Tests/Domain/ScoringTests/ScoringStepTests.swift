import Detectors
import JSON
import Text
import Testing

@testable import Scoring

/// What a reader sees of one record.
private struct Seen: Equatable {
    var score: String
    var anomaly: String?
}

/// One partition that is scored in batches of any size.
private struct Partition {
    let step: ScoringStep
    var state: ScoringState

    init(_ scoring: ScoringCase) throws {
        step = try ScoringStep(scoring.useCase)
        state = ScoringState(step, entityLimit: 100)
    }

    /// - Returns: what was written, by offset.
    func score(_ offsets: Range<Int64>, batch: Int64, replayEnd: Int64 = 0) -> [Int64: Seen] {
        var seen: [Int64: Seen] = [:]
        for start in stride(from: offsets.lowerBound, to: offsets.upperBound, by: Int64.Stride(batch)) {
            for offset in start..<min(start + batch, offsets.upperBound) {
                let bytes = ScoringCase.record(offset)
                let intake = step.take(
                    bytes, 0..<bytes.count, partition: 0, offset: offset, state: state, isReplay: offset < replayEnd)
                #expect(intake == .taken)
            }
            step.score(at: 7) { outcome in
                var (score, anomaly) = (JSONWriter(capacity: 256), JSONWriter(capacity: 256))
                outcome.writeScore(into: &score)
                let isAnomaly = outcome.writeAnomaly(into: &anomaly)
                seen[outcome.head.offset] = Seen(
                    score: String(decoding: score.bytes, as: UTF8.self), anomaly: isAnomaly ? String(decoding: anomaly.bytes, as: UTF8.self) : nil)
            }
        }
        return seen
    }
}

@Suite("The scoring step")
struct ScoringStepTests {
    @Test(
        "a kill at any record, in whatever batches, changes no outcome",
        arguments: [DetectorKind.ewma, .halfSpaceTrees, .randomCutForest, .kmeans, .isolationForest, .spectralResidual])
    func kill(_ kind: DetectorKind) throws {
        let scoring = try ScoringCase(kind)
        let (swap, end) = (Int64(35), Int64(70))
        let calm = try Partition(scoring)
        calm.state.use(scoring.generation(1))
        var expected = calm.score(0..<swap, batch: 7)
        calm.state.use(scoring.generation(2))
        expected.merge(calm.score(swap..<end, batch: 7)) { $1 }
        #expect(expected.values.contains { $0.anomaly?.contains("\"is_anomaly\":true") == true })
        #expect(expected.values.contains { $0.anomaly?.contains("\"cleared\"") == true })

        var random = SplitMix64(seed: 11)
        for kill in 1..<end {
            // A full snapshot, an increment of it, and records that were committed after both.
            let full = Int64.random(in: 0...kill, using: &random)
            let increment = Int64.random(in: full...kill, using: &random)
            let first = try Partition(scoring)
            var parts: [[UInt8]] = []
            var seen: [Int64: Seen] = [:]
            func go(_ partition: Partition, _ offsets: Range<Int64>, replayEnd: Int64 = 0) {
                let batch = Int64.random(in: 1...20, using: &random)
                if offsets.contains(swap) {
                    seen.merge(partition.score(offsets.lowerBound..<swap, batch: batch, replayEnd: replayEnd)) { $1 }
                    partition.state.use(scoring.generation(2))
                    seen.merge(partition.score(swap..<offsets.upperBound, batch: batch, replayEnd: replayEnd)) { $1 }
                } else {
                    seen.merge(partition.score(offsets, batch: batch, replayEnd: replayEnd)) { $1 }
                }
            }
            first.state.use(scoring.generation(1))
            go(first, 0..<full)
            parts.append(first.state.write(isFull: true))
            go(first, full..<increment)
            parts.append(first.state.write(isFull: false))
            go(first, increment..<kill)

            let second = try Partition(scoring)
            try second.state.restore(parts) { _, version in scoring.models[Int(version) - 1] }
            go(second, increment..<end, replayEnd: kill)
            #expect(seen == expected, "full snapshot at \(full), increment at \(increment), killed at \(kill)")
        }
    }

    @Test("a record that came before has no outcome and teaches nothing; one that is no feature record says why")
    func intake() throws {
        let scoring = try ScoringCase(.ewma)
        let partition = try Partition(scoring)
        partition.state.use(scoring.generation(1))
        let bytes = ScoringCase.record(3)
        func take(_ bytes: [UInt8], _ offset: Int64) -> ScoringStep.Intake {
            partition.step.take(bytes, bytes.isEmpty ? nil : 0..<bytes.count, partition: 0, offset: offset, state: partition.state, isReplay: false)
        }
        #expect(take(bytes, 0) == .taken)
        #expect(take(bytes, 1) == .duplicate)
        #expect(take([], 2) == .refused("The record has no bytes."))
        #expect(take(Array("{}".utf8), 3) == .refused("The field id must be a string."))
        var count = 0
        partition.step.score(at: 0) { _ in count += 1 }
        partition.step.score(at: 0) { _ in count += 1 }
        #expect(count == 1)
    }

    @Test("an entity that went missing is an anomaly of its own kind, and its return ends it")
    func absence() throws {
        let scoring = try ScoringCase(.isolationForest)
        let partition = try Partition(scoring)
        partition.state.use(scoring.generation(1))
        for (offset, kind) in ["missing", "resumed"].enumerated() {
            let bytes = Array(
                """
                {"id":"silence:s1:\(offset)","kind":"\(kind)","set":"silence","entity":"s1","event_time":\(offset),"produced_at":1,\
                "offset":\(offset),"sequence":0,"features":{"expected_interval":1,"silence":5}}
                """.utf8)
            let intake = partition.step.take(
                bytes, 0..<bytes.count, partition: 1, offset: Int64(offset), state: partition.state, isReplay: false)
            #expect(intake == .taken)
        }
        var told: [String] = []
        partition.step.score(at: 0) { outcome in
            var json = JSONWriter(capacity: 256)
            #expect(outcome.partition == 1)
            if outcome.writeAnomaly(into: &json) { told.append(String(decoding: json.bytes, as: UTF8.self)) }
        }
        #expect(told.count == 2)
        #expect(told[0].contains(#""is_anomaly":true"#) && told[0].contains(#""anomaly_type":"missing""#))
        #expect(told[1].contains(#""is_anomaly":false"#) && told[1].contains(#""kind":"resumed""#))
    }
}
