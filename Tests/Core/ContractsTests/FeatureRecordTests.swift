import Contracts
import JSON
import Testing

@Suite("Feature and score records")
struct FeatureRecordTests {
    private static func record(revision: UInt32, isLate: Bool, window: Range<Int64>?) -> [UInt8] {
        let writer = FeatureRecordWriter(set: "minute", kind: window == nil ? "event" : "window", features: ["n"])
        var json = JSONWriter(capacity: 256)
        Array("id".utf8).withUnsafeBytes { id in
            let head = FeatureRecordWriter.Head(
                id: id, entity: id, eventTime: 60_000, window: window, producedAt: 1, offset: 2, sequence: 0, revision: revision, isLate: isLate)
            [2.5].withUnsafeBufferPointer { writer.write(head, values: $0, into: &json) }
        }
        return json.bytes
    }

    @Test("A first emission has the bytes that it always had; a revision and a late event say so")
    func wire() throws {
        #expect(
            String(decoding: Self.record(revision: 0, isLate: false, window: 0..<60_000), as: UTF8.self)
                == #"{"id":"id","kind":"window","set":"minute","entity":"id","event_time":60000,"window_start":0,"window_end":60000,"produced_at":1,"offset":2,"sequence":0,"features":{"n":2.5}}"#
        )
        var reader = try FeatureRecordReader(sets: [("minute", ["n"])])
        for (revision, isLate) in [(3, false), (0, true), (0, false)] as [(UInt32, Bool)] {
            let bytes = Self.record(revision: revision, isLate: isLate, window: isLate ? nil : 0..<60_000)
            #expect(reader.read(bytes, 0..<bytes.count) == nil)
            #expect(reader.revision == revision && reader.isLate == isLate && reader.isNews == (revision == 0 && !isLate))
        }
    }

    @Test("An anomaly's revision is read, and is 0 where none stands")
    func score() throws {
        let writer = ScoreRecordWriter(
            set: "minute", features: ["n"], statusNormal: "OK", statusAnomaly: "BAD", model: Array(#""ewma""#.utf8), version: 1)
        for revision in [0, 2] as [UInt32] {
            var json = JSONWriter(capacity: 256)
            Array("id".utf8).withUnsafeBytes { id in
                var head = ScoreRecordWriter.Head(
                    id: id, kind: id, entity: id, eventTime: 60_000, window: 0..<60_000, producedAt: 1, scoredAt: 2, offset: 3, score: 0.9,
                    isAnomaly: true, confidence: 1)
                head.revision = revision
                writer.write(head, reason: nil, into: &json)
            }
            #expect(try Anomaly(parsing: json.bytes, 0..<json.bytes.count).revision == revision)
            #expect(String(decoding: json.bytes, as: UTF8.self).contains("revision") == (revision > 0))
        }
    }
}
