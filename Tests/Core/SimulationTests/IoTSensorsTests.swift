import Simulation
import Testing

/// One reading as plain values.
private struct Reading: Equatable {
    var sensor: String
    var metric: String
    var unit: String
    var location: String
    var value: Double
    var eventTime: Int64
    var anomaly: Int

    init?(_ event: SimulatedEvent) {
        func text(_ index: Int) -> String? {
            guard case .text(let range) = event.values[index] else { return nil }
            return String(decoding: event.text[range], as: UTF8.self)
        }
        guard let sensor = text(0), let metric = text(2), let unit = text(4), let location = text(5), case .number(let value) = event.values[3],
            case .number(let time) = event.values[1], time == Double(event.eventTime) / 1_000
        else { return nil }
        (self.sensor, self.metric, self.unit, self.location, self.value) = (sensor, metric, unit, location, value)
        eventTime = event.eventTime
        anomaly = event.anomaly
    }
}

private func settings(
    entities: Int = 400, interval: Int64 = 1_000, rate: Double = 0.05, seed: UInt64 = 7, start: Int64 = 1_760_000_000_250
) -> SimulatorSettings {
    SimulatorSettings(name: "iot-sensors", entities: entities, interval: interval, anomalyRate: rate, seed: seed, start: start)
}

private func readings(_ settings: SimulatorSettings, skipping: Int64 = 0, count: Int) throws -> [Reading] {
    var simulator = try Simulators.make(settings)
    simulator.skip(skipping)
    var event = SimulatedEvent()
    var all: [Reading] = []
    all.reserveCapacity(count)
    for _ in 0..<count {
        simulator.next(into: &event)
        all.append(try #require(Reading(event)))
    }
    return all
}

@Suite("Sensor simulator")
struct IoTSensorsTests {
    @Test("The same seed gives the same readings, another seed and another place in the stream give others")
    func seeded() throws {
        let first = try readings(settings(), count: 5_000)
        #expect(try readings(settings(), count: 5_000) == first)
        #expect(try readings(settings(seed: 8), count: 5_000) != first)
        #expect(try readings(settings(), skipping: 1_234, count: 3_766) == Array(first[1_234...]))
    }

    @Test("A reading names sensor, metric, unit and zone, and sensors send in order, evenly over the interval")
    func shape() throws {
        let all = try readings(settings(), count: 4_000)
        #expect(all[0].sensor == "sensor_000001" && all[0].metric == "temperature" && all[0].unit == "celsius" && all[0].location == "zone_1")
        #expect(all[399].sensor == "sensor_000400" && all[399].metric == "vibration" && all[399].location == "zone_100")
        #expect(zip(all, all.dropFirst()).allSatisfy { (2...3).contains($1.eventTime - $0.eventTime) })
        let one = all.filter { $0.sensor == "sensor_000399" }.map(\.eventTime)
        #expect(zip(one, one.dropFirst()).allSatisfy { $1 - $0 == 1_000 })
        #expect(Set(all.map(\.metric)) == ["temperature", "humidity", "pressure", "vibration"])
    }

    @Test("The share of faulty readings is as set, and each kind has its part", arguments: [0.05, 0.1])
    func share(rate: Double) throws {
        let all = try readings(settings(entities: 4_000, rate: rate), count: 160_000)
        let counts = (1...4).map { kind in all.count { $0.anomaly == kind } }
        #expect(abs(Double(counts.reduce(0, +)) / 160_000 - rate) < 0.15 * rate)
        for count in counts { #expect(abs(Double(count) / 160_000 - rate / 4) < 0.5 * rate / 4) }
        #expect(try readings(settings(rate: 0), count: 40_000).allSatisfy { $0.anomaly == 0 })
    }

    @Test("A spike stands out for one reading, a stuck value does not move, noise scatters, drift walks away")
    func kinds() throws {
        let all = try readings(settings(entities: 200), count: 200 * 1_200)
        let noise = ["temperature": 0.2, "humidity": 0.5, "pressure": 0.15, "vibration": 0.1]
        var seen: Set<Int> = []
        for sensor in 0..<200 {
            let own = stride(from: sensor, to: all.count, by: 200).map { all[$0] }
            let unit = try #require(noise[own[0].metric])
            var first = 0
            while first < own.count {
                let kind = own[first].anomaly
                var end = first + 1
                while end < own.count, own[end].anomaly == kind { end += 1 }
                defer { first = end }
                // Episodes that began and ended in view.
                guard kind > 0, first > 0, end < own.count else { continue }
                seen.insert(kind)
                let before = own[first - 1].value
                let values = own[first..<end].map(\.value)
                let steps = zip(values, values.dropFirst()).map { abs($1 - $0) / unit }
                switch kind {
                case 1: #expect(end - first == 1 && abs(values[0] - before) > 8 * unit)
                case 2: #expect(abs((values.last ?? 0) - before) > 30 * unit)
                case 3: #expect(values.allSatisfy { $0 == before })
                default: #expect(steps.reduce(0, +) / Double(steps.count) > 6)
                }
            }
        }
        #expect(seen == [1, 2, 3, 4])
    }

    @Test("Temperatures are highest in the afternoon, and weekends swing less")
    func cycles() throws {
        // Monday 6 October 2025, 00:00 UTC; a reading every quarter of an hour for a week.
        let all = try readings(settings(entities: 200, interval: 900_000, rate: 0, start: 1_759_708_800_000), count: 200 * 96 * 7)
        func mean(day: Int, hour: Int) -> Double {
            let round = (day * 24 + hour) * 4
            let values = all[(round * 200)..<((round + 1) * 200)].filter { $0.metric == "temperature" }.map(\.value)
            return values.reduce(0, +) / Double(values.count)
        }
        let swing = (0..<7).map { mean(day: $0, hour: 15) - mean(day: $0, hour: 3) }
        #expect(abs(swing[1] - 8) < 0.8)
        #expect(abs(swing[5] - 4) < 0.8)
    }
}
