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
    var left = count
    while left > 0 {
        simulator.next(into: &event)
        left -= 1
        // What a machine says of itself is no line.
        if case .missing = event.values[2] { continue }
        all.append(try #require(Line(event)))
    }
    return all
}

/// What a machine says of itself.
private struct Sample: Equatable {
    var entity: Int
    var eventTime: Int64
    var cpu: Double
    var memory: Double
    var disk: Double
    var networkIn: Double
    var networkOut: Double
    var anomaly: Int
    var start: Int64

    init?(_ event: SimulatedEvent) {
        guard case .number(let cpu) = event.values[9], case .number(let memory) = event.values[10], case .number(let disk) = event.values[11],
            case .number(let incoming) = event.values[12], case .number(let outgoing) = event.values[13]
        else { return nil }
        (self.cpu, self.memory, self.disk, networkIn, networkOut) = (cpu, memory, disk, incoming, outgoing)
        (entity, eventTime, anomaly, start) = (event.entity, event.eventTime, event.anomaly, event.episode.start)
    }
}

/// The samples among so many events, and how many requests the host had since its sample before.
private func samples(_ settings: SimulatorSettings, count: Int) throws -> [(sample: Sample, requests: Int)] {
    var simulator = try Simulators.make(settings)
    var event = SimulatedEvent()
    var all: [(Sample, Int)] = []
    var requests = [Int](repeating: 0, count: settings.entities)
    for _ in 0..<count {
        simulator.next(into: &event)
        guard let sample = Sample(event) else {
            requests[event.entity] += 1
            continue
        }
        #expect(event.values[2...8].allSatisfy { $0 == .missing })
        all.append((sample, requests[event.entity]))
        requests[event.entity] = 0
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
        let rest = try lines(settings(), skipping: 1_234, count: 2_766)
        #expect(rest == Array(first.suffix(rest.count)) && rest.count > 2_600)
    }

    @Test("Lines are in order of time, and a host's are numbered without a gap")
    func order() throws {
        let all = try lines(settings(rate: 0.3), count: 20_000)
        #expect(zip(all, all.dropFirst()).allSatisfy { $0.eventTime <= $1.eventTime })
        var simulator = try Simulators.make(settings(rate: 0.3))
        var event = SimulatedEvent()
        var next = [Int64](repeating: 0, count: 20)
        for _ in 0..<20_000 {
            simulator.next(into: &event)
            #expect(event.sequence == next[event.entity])
            next[event.entity] += 1
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

    @Test("Every host sends a sample of its machine each five seconds, and load shows in it") func machines() throws {
        let all = try samples(settings(rate: 0), count: 60_000)
        for host in 0..<20 {
            let times = all.filter { $0.sample.entity == host }.map(\.sample.eventTime)
            #expect(times.count > 50 && zip(times, times.dropFirst()).allSatisfy { (4_900...5_100).contains($1 - $0) })
        }
        #expect(all.allSatisfy { $0.sample.anomaly == 0 })
        for (sample, requests) in all.dropFirst(20) {
            #expect(abs(sample.cpu - 6 - Double(requests)) < 8, "five seconds, five points for each request a second")
            #expect(abs(sample.networkOut / (2 + 12 * Double(requests) / 5) - 1) < 0.3)
            #expect((20...60).contains(sample.memory) && (40...60).contains(sample.disk))
        }
    }

    @Test("Each trouble of a machine looks like one, and is as frequent as set") func troubles() throws {
        var only = settings(entities: 200, interval: 1_000, rate: 0.2)
        only.kinds = ["cpu-saturation", "memory-leak", "disk-full", "network-storm"]
        let all = try samples(only, count: 400_000).map(\.sample)
        #expect(Set(all.map(\.anomaly)) == [0, 5, 6, 7, 8])
        for sample in all {
            switch sample.anomaly {
            case 5: #expect(sample.cpu > 90)
            case 6: #expect(sample.memory > 35)
            case 7: #expect(sample.disk > 45)
            case 8: #expect(sample.networkIn > 150)
            default: #expect(sample.networkIn < 150 && sample.memory < 75 && sample.disk < 75)
            }
        }
        let share = Double(all.count { $0.anomaly > 0 }) / Double(all.count)
        #expect(abs(share - 0.18) < 0.05, "a little less than set, since a leak does not show at once")
        let host = all.filter { $0.entity == 1 && $0.anomaly > 0 }
        #expect(Set(host.map(\.start)).count < max(2, host.count / 20), "an episode has one start")
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
