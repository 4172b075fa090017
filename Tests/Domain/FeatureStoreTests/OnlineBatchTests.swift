import Testing

@testable import FeatureStore

@Suite("Reducing a batch to the newest record per entity")
struct OnlineBatchTests {
    @Test("The record with the greatest (event time, offset) of an entity stays, whatever the order")
    func newest() {
        let records: [(time: Int64, offset: Int64)] = [(5, 1), (7, 0), (7, 2), (6, 9), (7, 1), (-3, 40)]
        for rotation in records.indices {
            var batch = OnlineBatch(features: 1)
            for record in records[rotation...] + records[..<rotation] {
                batch.add(entity: "a", id: "\(record)", eventTime: record.time, offset: record.offset, vector: [Double(record.offset)])
            }
            #expect(batch.records == records.count)
            #expect(batch.entities == 1)
            #expect(batch.entries[0].eventTime == 7)
            #expect(batch.entries[0].offset == 2)
            #expect(batch.vectors == [2])
            #expect(batch.bytes[batch.entries[0].id].elementsEqual("(time: 7, offset: 2)".utf8))
        }
    }

    @Test("Thousands of entities are kept apart, and the batch can be used again")
    func many() {
        var batch = OnlineBatch(features: 2)
        for round in 0..<3 {
            batch.removeAll()
            for offset in 0..<10_000 {
                batch.add(
                    entity: "e\(offset % 5_000)", id: "\(offset)", eventTime: 0, offset: Int64(offset),
                    vector: [Double(offset), Double(round)])
            }
            #expect(batch.records == 10_000)
            #expect(batch.entities == 5_000)
            for (index, entry) in batch.entries.enumerated() {
                let name = String(decoding: batch.bytes[entry.entity], as: UTF8.self)
                #expect(name == "e\(entry.offset - 5_000)")
                #expect(batch.vectors[2 * index] == Double(entry.offset))
                #expect(batch.vectors[2 * index + 1] == Double(round))
            }
        }
    }

    @Test("The vector is taken from the given place of a matrix")
    func place() {
        var batch = OnlineBatch(features: 2)
        [UInt8(1)].withUnsafeBytes { name in
            batch.add(entity: name, id: name, eventTime: 1, offset: 1, vector: [0, 1, 2, 3, 4, 5], at: 2)
        }
        #expect(batch.vectors == [2, 3])
    }
}
