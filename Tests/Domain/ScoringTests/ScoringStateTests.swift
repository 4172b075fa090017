import Detectors
import Testing

@testable import Scoring

@Suite("What scoring remembers of a partition")
struct ScoringStateTests {
    @Test("anomalies that are open come back as they were, within the limit")
    func anomalousEntities() throws {
        var (known, copy) = (AnomalousEntities(limit: 16), AnomalousEntities(limit: 16))
        func name(_ number: Int64) -> [UInt8] { Array("entity-\(number)".utf8) }
        for round in 0..<8 as Range<Int64> {
            for number in 0..<10 as Range<Int64> { name(round * 4 + number).withUnsafeBytes { known.began(1, $0, offset: round * 20 + number) } }
            for number in 0..<3 as Range<Int64> { _ = name(round * 4 + number).withUnsafeBytes { known.ended(1, $0) } }
            var writer = StateWriter()
            known.write(whole: round == 3, into: &writer)
            var reader = StateReader(writer.bytes)
            try copy.read(from: &reader)
            try reader.finish()
            #expect(known.count <= 16)
            #expect(copy.count == known.count)
        }
        for number in 0..<50 as Range<Int64> {
            let (one, two) = (name(number).withUnsafeBytes { known.ended(1, $0) }, name(number).withUnsafeBytes { copy.ended(1, $0) })
            #expect(one == two, "entity \(number)")
        }
        #expect(known.count == 0 && copy.count == 0)
    }

    @Test("a restore after a great many were forgotten takes one look at each", .timeLimit(.minutes(1)))
    func manyForgotten() throws {
        let model = try ScoringCase(.ewma).models[0].model
        let limit = 40_000
        let (states, copy) = (EntityStates(model, limit: limit), EntityStates(model, limit: limit))
        func name(_ number: Int) -> ArraySlice<UInt8> { Array("entity-\(number)".utf8)[...] }
        for round in 0..<3 {
            for number in round * limit..<(round + 1) * limit {
                let slot = states.slot(of: name(number), offset: Int64(number))
                states.states[slot].numbers[0] = Double(number)
                if number % 500 == 0 { states.batchIsOver() }
            }
            states.batchIsOver()
            var writer = StateWriter()
            states.write(whole: false, into: &writer)
            var reader = StateReader(writer.bytes)
            try copy.read(from: &reader)
            try reader.finish()
            #expect(copy.entities == states.entities)
        }
        for number in [3 * limit - 1, 3 * limit - 100] {
            #expect(copy.states[copy.slot(of: name(number), offset: 1_000_000)].numbers[0] == Double(number))
        }
        // The first are forgotten: they begin anew.
        #expect(copy.states[copy.slot(of: name(1), offset: 1_000_001)].numbers[0] != 1)
    }

    @Test("a state of a partition that is damaged or of another layout says that it is rebuilt, not that a model must be trained")
    func damagedState() throws {
        var damaged = StateReader([7], of: .partitionState)
        let flag = #expect(throws: DetectorError.self) { try damaged.flag() }
        #expect(flag?.message.hasPrefix("The stored state of a partition is damaged") == true)
        var foreign = StateReader([3], of: .partitionState)
        let layout = #expect(throws: DetectorError.self) { try foreign.version(4, of: "scorer's state") }
        for message in [flag?.message, layout?.message] {
            #expect(message?.contains("it is rebuilt from the records in Kafka") == true)
            #expect(message?.contains("train") == false)
        }
        var model = StateReader([7])
        #expect(#expect(throws: DetectorError.self) { try model.flag() }?.message.contains("train it anew") == true)
    }

    @Test("states of many entities come back as they were, forgotten ones do not")
    func entityStates() throws {
        let model = try ScoringCase(.ewma).models[0].model
        let states = EntityStates(model, limit: 64)
        let copy = EntityStates(model, limit: 64)
        func name(_ number: Int64) -> ArraySlice<UInt8> { Array("entity-\(number)".utf8)[...] }
        for round in 0..<6 as Range<Int64> {
            for number in 0..<50 as Range<Int64> {
                let slot = states.slot(of: name(round * 17 + number), offset: round * 50 + number)
                states.states[slot].numbers[0] = Double(round * 1000 + number)
            }
            states.batchIsOver()
            var writer = StateWriter()
            states.write(whole: round == 3, into: &writer)
            var reader = StateReader(writer.bytes)
            try copy.read(from: &reader)
            try reader.finish()
            #expect(copy.entities == states.entities)
            #expect(states.entities <= 64)
        }
        #expect(states.takeEvictions() > 0)
        for number in 100..<135 as Range<Int64> {
            let (one, two) = (states.slot(of: name(number), offset: 1000 + number), copy.slot(of: name(number), offset: 1000 + number))
            #expect(states.states[one] == copy.states[two])
        }
    }
}
