import Simulation
import Testing

/// One access line as plain values.
private struct Line: Equatable {
    var host: String
    var client: String
    var method: String
    var path: String
    var route: String
    var status: Int64
    var bytes: Int64
    var duration: Double
    var entity: Int
    var sequence: Int64
    var eventTime: Int64
    var anomaly: Int

    init?(_ event: SimulatedEvent) {
        func text(_ index: Int) -> String? {
            guard case .text(let range) = event.values[index] else { return nil }
            return String(decoding: event.text[range], as: UTF8.self)
        }
        guard let host = text(0), let client = text(2), let method = text(3), let path = text(4), let route = text(5),
            case .integer(let status) = event.values[6], case .integer(let bytes) = event.values[7],
            case .number(let duration) = event.values[8]
        else { return nil }
        (self.host, self.client, self.method, self.path, self.route) = (host, client, method, path, route)
        (self.status, self.bytes, self.duration) = (status, bytes, duration)
        (entity, sequence, eventTime, anomaly) = (event.entity, event.sequence, event.eventTime, event.anomaly)
    }
}

private func settings(entities: Int = 20, interval: Int64 = 200, rate: Double = 0.05, seed: UInt64 = 7, start: Int64 = 1_760_000_000_000)
    -> SimulatorSettings
{
    SimulatorSettings(name: "server-logs", entities: entities, interval: interval, anomalyRate: rate, seed: seed, start: start)
}

private func lines(_ settings: SimulatorSettings, skipping: Int64 = 0, count: Int) throws -> [Line] {
    var simulator = try Simulators.make(settings)
    simulator.skip(skipping)
    var event = SimulatedEvent()
    var all: [Line] = []
    all.reserveCapacity(count)
    for _ in 0..<count {
        simulator.next(into: &event)
        all.append(try #require(Line(event)))
    }
    return all
}

@Suite("Access line simulator")
struct ServerLogsTests {
    @Test("The same seed gives the same lines, and a restart goes on where it stopped")
    func seeded() throws {
        let first = try lines(settings(), count: 4_000)
        #expect(try lines(settings(), count: 4_000) == first)
        #expect(try lines(settings(seed: 8), count: 4_000) != first)
        #expect(try lines(settings(), skipping: 1_234, count: 2_766) == Array(first[1_234...]))
    }

    @Test("Lines are in order of time, and a host's are numbered without a gap")
    func order() throws {
        let all = try lines(settings(rate: 0.3), count: 20_000)
        #expect(zip(all, all.dropFirst()).allSatisfy { $0.eventTime <= $1.eventTime })
        for host in 0..<20 {
            let numbers = all.filter { $0.entity == host }.map(\.sequence)
            #expect(numbers == (0..<Int64(numbers.count)).map { $0 })
        }
        #expect(Set(all.map(\.host)).count == 20)
    }

    @Test("Values stay within what the use case allows")
    func values() throws {
        for line in try lines(settings(rate: 0.2), count: 20_000) {
            #expect((100...599).contains(line.status) && line.bytes >= 0 && (0...3_600).contains(line.duration))
            #expect(["GET", "POST"].contains(line.method) && line.path.hasPrefix("/") && !line.client.isEmpty)
        }
    }

    @Test("Attacks are about the share of lines that is set; without them nothing is anomalous")
    func share() throws {
        let all = try lines(settings(entities: 2_000, interval: 1_000), count: 150_000)
        let share = Double(all.count { $0.anomaly > 0 }) / Double(all.count)
        #expect(abs(share - 0.05) < 0.025)
        #expect(Set(all.map(\.anomaly)) == [0, 1, 2, 3, 4])
        #expect(try lines(settings(rate: 0), count: 20_000).allSatisfy { $0.anomaly == 0 })
    }

    @Test("Each attack looks like one")
    func attacks() throws {
        for line in try lines(settings(entities: 400, interval: 1_000, rate: 0.3), count: 40_000) {
            switch line.anomaly {
            case 1: #expect(line.status == 401 && line.route == "login" && line.client.hasPrefix("203.0.113."))
            case 2: #expect([403, 404].contains(line.status) && line.path.hasPrefix("/backup/"))
            case 3: #expect(line.route == "home" && line.client.hasPrefix("198.51.100."))
            case 4: #expect(line.status >= 500 && line.client.hasPrefix("10."))
            default: #expect(line.client.hasPrefix("10."))
            }
        }
    }

    @Test("There are more visitors in the afternoon than at night")
    func cycle() throws {
        func seconds(_ start: Int64) throws -> Int64 {
            let all = try lines(settings(rate: 0, start: start), count: 5_000)
            return (all.last?.eventTime ?? start) - start
        }
        // Wednesday 8 October 2025, 03:00 and 15:00 UTC.
        let night = try seconds(1_759_892_400_000)
        let day = try seconds(1_759_935_600_000)
        #expect(night > 2 * day)
    }
}
