import Contracts
import Detectors
import Foundation
import JSON
import Testing

@testable import Scoring

/// What version 0.1.0 stored in Redis and wrote on Kafka, kept as real bytes under `Tests/Fixtures/0.1.0`: it must be read for good.
///
/// `<detector>.model` is a model of the registry, `<detector>.state` and `<detector>.change` are a scorer's snapshot after 100 records and what
/// changed in the 20 after them, `<detector>.scores` and `<detector>.anomalies` what it then wrote about 80 more.
@Suite("What version 0.1.0 stored")
struct StoredStateTests {
    private static let folder = #filePath.components(separatedBy: "/Tests/")[0] + "/Tests/Fixtures/0.1.0/"

    private static func bytes(_ name: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(filePath: folder + name))) }
    private static func lines(_ name: String) throws -> [String] {
        String(decoding: try bytes(name), as: UTF8.self).split(separator: "\n").map(String.init)
    }

    private static func go(
        _ step: ScoringStep, _ state: ScoringState, _ offsets: Range<Int64>
    ) -> (scores: [String], anomalies: [String]) {
        var (scores, anomalies): ([String], [String]) = ([], [])
        for offset in offsets {
            let bytes = ScoringCase.record(offset)
            #expect(step.take(bytes, 0..<bytes.count, partition: 0, offset: offset, state: state, isReplay: false) == .taken)
        }
        step.score(at: 7) { outcome in
            var json = JSONWriter(capacity: 256)
            outcome.writeScore(into: &json)
            scores.append(String(decoding: json.bytes, as: UTF8.self))
            json.removeAll()
            if outcome.writeAnomaly(into: &json) { anomalies.append(String(decoding: json.bytes, as: UTF8.self)) }
        }
        return (scores, anomalies)
    }

    /// Made once, by version 0.1.0; never again.
    @Test("is written when it is asked for", .enabled(if: ProcessInfo.processInfo.environment["VYUHA_WRITE_FIXTURES"] != nil))
    func write() throws {
        for kind in [DetectorKind.ewma, .halfSpaceTrees, .isolationForest] {
            let scoring = try ScoringCase(kind, isSmall: true)
            let step = try ScoringStep(scoring.useCase)
            let state = ScoringState(step, entityLimit: 100)
            func save(_ bytes: [UInt8], _ ending: String) throws {
                try Data(bytes).write(to: URL(filePath: Self.folder + kind.rawValue + ending))
            }
            try save(scoring.models[0].model.encoded(), ".model")
            state.use(scoring.generation(1))
            _ = Self.go(step, state, 0..<100)
            try save(state.write(isFull: true), ".state")
            _ = Self.go(step, state, 100..<120)
            try save(state.write(isFull: false), ".change")
            let (scores, anomalies) = Self.go(step, state, 120..<200)
            try save(Array(scores.joined(separator: "\n").utf8), ".scores")
            try save(Array(anomalies.joined(separator: "\n").utf8), ".anomalies")
        }
    }

    @Test("goes on with the same scores, to the last digit", arguments: [DetectorKind.ewma, .halfSpaceTrees, .isolationForest])
    func goesOn(_ kind: DetectorKind) throws {
        let useCase = try ScoringCase(.ewma).useCase
        let model = try TrainedModel(decoding: try Self.bytes(kind.rawValue + ".model"))
        let active = try #require(ActiveModel(model, version: 1, set: 0, of: useCase))
        let step = try ScoringStep(useCase)
        let state = ScoringState(step, entityLimit: 100)
        try state.restore([try Self.bytes(kind.rawValue + ".state"), try Self.bytes(kind.rawValue + ".change")]) { _, version in
            version == 1 ? active : nil
        }
        let (scores, anomalies) = Self.go(step, state, 120..<200)
        for (now, ending) in [(scores, ".scores"), (anomalies, ".anomalies")] {
            let before = try Self.lines(kind.rawValue + ending)
            #expect(before.count == now.count && !before.isEmpty)
            for (old, new) in zip(before, now) { try Self.expectSame(old, new) }
        }
    }

    /// Each field of version 0.1.0 is there with its value; new ones may be beside it.
    private static func expectSame(_ old: String, _ new: String) throws {
        let (old, new) = (try JSONValue.parse(Array(old.utf8)), try JSONValue.parse(Array(new.utf8)))
        for member in old.object ?? [] { #expect(new[member.name] == member.value, "\(member.name) of \(old)") }
    }

    @Test("records of anomalies are read as they were, and with fields that nobody knows yet")
    func anomalies() throws {
        for line in try Self.lines("ewma.anomalies") {
            let later = line.dropLast() + #","added_later":{"deep":[1,2,{"x":null}]}}"#
            let (old, new) = (Array(line.utf8), Array(later.utf8))
            let anomaly = try Anomaly(parsing: old, 0..<old.count)
            #expect(anomaly == (try Anomaly(parsing: new, 0..<new.count)))
            #expect(anomaly.id.hasPrefix("x:") && anomaly.set == "reading" && anomaly.model == "ewma" && anomaly.version == 1)
        }
    }
}
