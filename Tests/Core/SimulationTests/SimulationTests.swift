import Simulation
import Testing

/// One reading of a soldier as plain numbers.
private struct Reading: Equatable {
    var soldier: Int64
    var heartRate: Double
    var stamina: Double
    var timestamp: Double
    var sequence: Int64
    var eventTime: Int64
    var anomaly: Int

    init?(_ event: SimulatedEvent) {
        guard case .integer(let soldier) = event.values[0], case .number(let heartRate) = event.values[1],
            case .number(let stamina) = event.values[2], case .number(let timestamp) = event.values[3]
        else { return nil }
        self.soldier = soldier
        self.heartRate = heartRate
        self.stamina = stamina
        self.timestamp = timestamp
        sequence = event.sequence
        eventTime = event.eventTime
        anomaly = event.anomaly
    }

    /// Beats a minute above what the stamina lets one expect; the same line as in the use case's features.
    var effortGap: Double { heartRate - (210 - 1.5 * stamina) }
}

private func settings(entities: Int = 100, interval: Int64 = 1_000, rate: Double = 0.05, seed: UInt64 = 7, kinds: [String] = []) -> SimulatorSettings
{
    var settings = SimulatorSettings(
        name: "battlefield", entities: entities, interval: interval, anomalyRate: rate, seed: seed, start: 1_700_000_000_000)
    settings.kinds = kinds
    return settings
}

private let poisons = ["nerve-agent", "stimulant"]

private func readings(_ settings: SimulatorSettings, skipping: Int64 = 0, count: Int) throws -> [Reading] {
    var simulator = try Simulators.make(settings)
    simulator.skip(skipping)
    var event = SimulatedEvent()
    var all: [Reading] = []
    for _ in 0..<count {
        simulator.next(into: &event)
        all.append(try #require(Reading(event)))
    }
    return all
}

/// The best recall that a cut through one number reaches while fewer than 5 % of the normal readings lie beyond it.
private func bestRecall(_ values: [(value: Double, anomalous: Bool)]) -> Double {
    let normal = values.filter { !$0.anomalous }.map(\.value).sorted()
    let anomalous = values.filter(\.anomalous).map(\.value)
    let allowed = Int(Double(normal.count) * 0.05) - 1
    let (low, high) = (normal[allowed], normal[normal.count - 1 - allowed])
    let below = anomalous.count { $0 < low }
    let above = anomalous.count { $0 > high }
    return Double(max(below, above)) / Double(anomalous.count)
}

@Suite("Battlefield simulator")
struct BattlefieldTests {
    @Test("The same seed gives the same events, another seed gives others")
    func seeded() throws {
        let first = try readings(settings(), count: 5_000)
        #expect(try readings(settings(), count: 5_000) == first)
        #expect(try readings(settings(seed: 8), count: 5_000) != first)
    }

    @Test("An event is the same on every machine and in every version: these are the first two of seed 7")
    func pinned() throws {
        let first = try readings(settings(), count: 2)
        #expect(first.map(\.heartRate) == [168.5, 165.4])
        #expect(first.map(\.stamina) == [27.4, 29.3])
    }

    @Test("A restart that skips to its position goes on with exactly the events that would have come")
    func skipping() throws {
        let all = try readings(settings(), count: 3_000)
        #expect(try readings(settings(), skipping: 1_234, count: 1_766) == Array(all[1_234...]))
    }

    @Test("A soldier's events do not depend on how many soldiers there are")
    func independentOfSize() throws {
        let few = try readings(settings(entities: 10), count: 1_000).filter { $0.soldier == 7 }
        let many = try readings(settings(entities: 100), count: 10_000).filter { $0.soldier == 7 }
        #expect(few.map(\.heartRate) == many.map(\.heartRate))
        #expect(few.map(\.anomaly) == many.map(\.anomaly))
    }

    @Test("Events are in order of time, spread over the second, one a second for each soldier")
    func timing() throws {
        let all = try readings(settings(), count: 1_000)
        #expect(all.map(\.eventTime) == (0..<1_000).map { 1_700_000_000_000 + Int64($0) * 10 })
        #expect(all[205].soldier == 6)
        #expect(all[205].sequence == 2)
        #expect(all[205].timestamp == 1_700_000_002.05)
    }

    @Test("A hundred thousand soldiers stay in order within the interval")
    func large() throws {
        let all = try readings(settings(entities: 100_000), count: 200_000)
        #expect(zip(all, all.dropFirst()).allSatisfy { $0.eventTime <= $1.eventTime })
        #expect(all[199_999].eventTime == 1_700_000_001_999)
    }

    @Test("The share of poisoned events is as set, over a day and in any minute", arguments: [0.02, 0.05, 0.2])
    func share(rate: Double) throws {
        let all = try readings(settings(rate: rate, seed: 3), count: 360_000)
        let share = Double(all.count { $0.anomaly > 0 }) / 360_000
        #expect(abs(share - rate) < 0.1 * rate)
        let minute = all[0..<6_000].count { $0.anomaly > 0 }
        #expect(abs(Double(minute) / 6_000 - rate) < 0.5 * rate)
    }

    @Test("With a share of 0 nobody is poisoned")
    func healthy() throws {
        #expect(try readings(settings(rate: 0), count: 100_000).allSatisfy { $0.anomaly == 0 })
    }

    @Test("Every ailment occurs, in episodes, and every reading is within its range")
    func kinds() throws {
        let all = try readings(settings(), count: 200_000)
        #expect(Set(all.map(\.anomaly)) == [0, 1, 2, 3, 4, 5])
        #expect(all.allSatisfy { (20...250).contains($0.heartRate) && (0...100).contains($0.stamina) })
        let soldier = all.filter { $0.soldier == 1 }.map { $0.anomaly > 0 }
        let changes = zip(soldier, soldier.dropFirst()).count { $0 != $1 }
        #expect(changes < 10)
    }

    @Test(
        "No cut through the heart rate finds the poisoned, the gap between heart rate and stamina does", arguments: [7, 8, 9] as [UInt64])
    func separation(seed: UInt64) throws {
        let all = try readings(settings(seed: seed, kinds: poisons), count: 120_000)
        #expect(bestRecall(all.map { ($0.heartRate, $0.anomaly > 0) }) < 0.5)
        #expect(bestRecall(all.map { (abs($0.effortGap), $0.anomaly > 0) }) > 0.99)
    }

    @Test("Exertion overlaps poisoning: healthy heart rates cover those of the poisoned")
    func overlap() throws {
        let all = try readings(settings(kinds: poisons), count: 120_000)
        let healthy = all.filter { $0.anomaly == 0 }.map(\.heartRate)
        let (low, high) = (try #require(healthy.min()), try #require(healthy.max()))
        let poisoned = all.filter { $0.anomaly > 0 }
        #expect(Double(poisoned.count { (low...high).contains($0.heartRate) }) > 0.95 * Double(poisoned.count))
    }
}

@Suite("A simulated network")
struct DisturbedTests {
    private func events(late: Double, missing: Double, skipping: Int64 = 0, count: Int = 20_000) throws -> [SimulatedEvent] {
        var settings = settings()
        (settings.late, settings.lateness, settings.missing) = (late, 3_000, missing)
        var simulator = try Simulators.make(settings)
        simulator.skip(skipping)
        return (0..<count).map { _ in
            var event = SimulatedEvent()
            simulator.next(into: &event)
            return event
        }
    }

    @Test("Late events come behind younger ones, no later than is set, and as many as are set")
    func late() throws {
        let all = try events(late: 0.1, missing: 0)
        var newest = Int64.min
        var late: [Int64] = []
        for event in all {
            if event.eventTime < newest { late.append(newest - event.eventTime) }
            newest = max(newest, event.eventTime)
        }
        #expect(abs(Double(late.count) - 2_000) < 200)
        #expect(try #require(late.max()) <= 3_010)
        #expect(try #require(late.max()) > 2_500)
    }

    @Test("Missing events are as many as are set, and no event comes twice")
    func missing() throws {
        let all = try events(late: 0.05, missing: 0.2)
        #expect(Set(all.map { "\($0.entity):\($0.sequence)" }).count == all.count)
        let rounds = Double(try #require(all.map(\.sequence).max()) + 1)
        #expect(abs(Double(all.count) / (rounds * 100) - 0.8) < 0.02)
    }

    @Test("A restart goes on with exactly what would have come")
    func skipping() throws {
        let all = try events(late: 0.1, missing: 0.1, count: 3_000)
        let rest = try events(late: 0.1, missing: 0.1, skipping: 1_000, count: 2_000)
        #expect(rest.map(\.eventTime) == all[1_000...].map(\.eventTime))
    }

    @Test("Only the kinds that are asked for occur, and an unknown one is refused")
    func kinds() throws {
        var settings = settings()
        settings.kinds = ["bleeding"]
        var simulator = try Simulators.make(settings)
        var seen: Set<String> = []
        var event = SimulatedEvent()
        for _ in 0..<50_000 {
            simulator.next(into: &event)
            if event.anomaly > 0 { seen.insert(simulator.anomalyKinds[event.anomaly - 1]) }
            if event.anomaly > 0 { #expect(event.episode.start <= event.eventTime && event.eventTime - event.episode.start < 200_000) }
        }
        #expect(seen == ["bleeding"])
        settings.kinds = ["measles"]
        #expect(throws: SimulationError.self) { try Simulators.make(settings) }
    }
}

@Suite("Simulator settings")
struct SimulatorSettingsTests {
    @Test(
        "A setting out of range is refused by name",
        arguments: [
            ("entities", settings(entities: 0)), ("entities", settings(entities: 2_000_000)), ("interval", settings(interval: 5)),
            ("anomaly_rate", settings(rate: 0.6)), ("anomaly_rate", settings(rate: .nan)),
            ("name", SimulatorSettings(name: "battelfield", start: 0)),
        ])
    func refused(setting: String, settings: SimulatorSettings) {
        let error = #expect(throws: SimulationError.self) { try Simulators.make(settings) }
        #expect(error?.setting == setting)
    }

    @Test("Every simulator is known by its name and tells its fields")
    func known() throws {
        for name in Simulators.names {
            let simulator = try Simulators.make(SimulatorSettings(name: name, start: 0))
            #expect(Simulators.fields(of: name) == simulator.fields)
        }
        #expect(Simulators.fields(of: "nothing") == nil)
    }
}
