import Simulation
import Testing

/// One trip as plain values.
private struct Trip: Equatable {
    var zone: Int64
    var dropoff: Int64
    var passengers: Int64
    var rateCode: Int64
    var payment: Int64
    var seconds: Int64
    var miles: Double
    var fare: Double
    var tip: Double
    var tolls: Double
    var total: Double
    var surcharges: Double
    var entity: Int
    var sequence: Int64
    var eventTime: Int64
    var start: Int64
    var end: Int64
    var kind: String
    var isJudged: Bool

    init?(_ event: SimulatedEvent, kinds: [String]) {
        func integer(_ index: Int) -> Int64 { if case .integer(let value) = event.values[index] { value } else { -1 } }
        func number(_ index: Int) -> Double { if case .number(let value) = event.values[index] { value } else { .nan } }
        guard event.values.count == 16, number(0) == Double(event.eventTime) / 1_000 else { return nil }
        (zone, dropoff, passengers, rateCode, payment, seconds) = (integer(1), integer(2), integer(3), integer(4), integer(5), integer(6))
        (miles, fare, tip, tolls, total) = (number(7), number(8), number(9), number(10), number(11))
        surcharges = number(12) + number(13) + number(14) + number(15)
        (entity, sequence, eventTime, isJudged) = (event.entity, event.sequence, event.eventTime, event.isJudged)
        (start, end) = event.episode
        kind = event.anomaly == 0 ? "" : kinds[event.anomaly - 1]
    }

    var unexplained: Double { ((total - fare - tip - tolls - surcharges) * 100).rounded() / 100 }
    /// What the meter shows over what it usually shows for such a trip.
    var charge: Double { (fare + tip + surcharges) / (2 + 1.8 * miles + 0.38 * Double(seconds) / 60 + surcharges) }
    /// Time taken over what the distance usually takes.
    var pace: Double { Double(seconds) / 60 / (3 + 3.5 * miles) }
}

/// Monday 1 January 2024.
private let monday: Int64 = 1_704_067_200_000
private let hour: Int64 = 3_600_000

private func settings(
    entities: Int = 100, interval: Int64 = 60_000, rate: Double = 0.05, seed: UInt64 = 7, start: Int64 = monday, kinds: [String] = []
) -> SimulatorSettings {
    var settings = SimulatorSettings(
        name: "nyc-taxi", entities: entities, interval: interval, anomalyRate: rate, seed: seed, start: start)
    settings.kinds = kinds
    return settings
}

private func trips(_ settings: SimulatorSettings, skipping: Int64 = 0, count: Int) throws -> [Trip] {
    var simulator = try Simulators.make(settings)
    simulator.skip(skipping)
    var event = SimulatedEvent()
    var all: [Trip] = []
    all.reserveCapacity(count)
    for _ in 0..<count {
        simulator.next(into: &event)
        all.append(try #require(Trip(event, kinds: simulator.anomalyKinds)))
    }
    return all
}

private func quantile(_ values: [Double], _ share: Double) -> Double {
    let sorted = values.sorted()
    return sorted[min(sorted.count - 1, Int(share * Double(sorted.count)))]
}

private func correlation(_ x: [Double], _ y: [Double]) -> Double {
    let count = Double(x.count)
    let (mx, my) = (x.reduce(0, +) / count, y.reduce(0, +) / count)
    let xy = zip(x, y).reduce(0) { $0 + ($1.0 - mx) * ($1.1 - my) }
    let (xx, yy) = (x.reduce(0) { $0 + ($1 - mx) * ($1 - mx) }, y.reduce(0) { $0 + ($1 - my) * ($1 - my) })
    return xy / (xx * yy).squareRoot()
}

@Suite("Taxi trip simulator")
struct TaxiTripsTests {
    @Test("The same seed gives the same trips, and a restart goes on where it stopped")
    func seeded() throws {
        let first = try trips(settings(), count: 4_000)
        #expect(try trips(settings(), count: 4_000) == first)
        #expect(try trips(settings(seed: 8), count: 4_000) != first)
        #expect(try trips(settings(), skipping: 1_234, count: 2_766) == Array(first[1_234...]))
    }

    @Test("A zone's trips do not depend on how many zones there are")
    func independentOfSize() throws {
        func fares(_ entities: Int, _ count: Int) throws -> [Double] {
            try trips(settings(entities: entities), count: count).filter { $0.zone == 1 }.map(\.fare)
        }
        let (few, many) = (try fares(5, 2_000), try fares(50, 10_000))
        let common = min(few.count, many.count)
        #expect(common > 50)
        #expect(few.prefix(common) == many.prefix(common))
    }

    @Test("Trips are in order of time, in whole seconds, and a zone's are numbered without a gap", arguments: [10, 60_000, 3_600_000] as [Int64])
    func order(interval: Int64) throws {
        let all = try trips(settings(interval: interval), count: 20_000)
        #expect(zip(all, all.dropFirst()).allSatisfy { $0.eventTime <= $1.eventTime })
        #expect(all.allSatisfy { $0.eventTime % 1_000 == 0 })
        for zone in 0..<100 {
            let numbers = all.filter { $0.entity == zone }.map(\.sequence)
            #expect(numbers == (0..<Int64(numbers.count)).map { $0 })
        }
    }

    @Test("Values stay within what the use case allows")
    func values() throws {
        for trip in try trips(settings(entities: 265, rate: 0.3), count: 30_000) {
            #expect((1...265).contains(trip.zone) && (1...265).contains(trip.dropoff) && trip.zone == Int64(trip.entity) + 1)
            #expect((1...6).contains(trip.passengers) && (1...2).contains(trip.rateCode) && (1...4).contains(trip.payment))
            #expect((1...86_400).contains(trip.seconds) && (0.1...500).contains(trip.miles) && (2.5...5_000).contains(trip.fare))
            #expect((0...2_000).contains(trip.tip) && trip.tolls >= 0 && (0...6_000).contains(trip.total))
        }
    }

    @Test("What belongs together goes together: miles, time and fare, cards and tips, long trips and tolls, the total and its parts")
    func belongsTogether() throws {
        let all = try trips(settings(rate: 0), count: 20_000)
        let standard = all.filter { $0.rateCode == 1 }
        #expect(correlation(standard.map(\.miles), standard.map { Double($0.seconds) }) > 0.65)
        #expect(correlation(standard.map(\.miles), standard.map(\.fare)) > 0.9)
        #expect(all.allSatisfy { $0.unexplained == 0 && $0.kind.isEmpty && $0.isJudged })
        #expect(all.allSatisfy { $0.payment == 1 || $0.tip == 0 })
        #expect(all.allSatisfy { $0.tolls == 0 || $0.miles >= 7 })
        #expect(all.filter { $0.rateCode == 2 }.allSatisfy { $0.fare == 52 && $0.miles > 10 })
    }

    /// The quantiles of the 22,000 records in the use case's sample that nobody altered.
    @Test("Trips are distributed as in the real sample")
    func calibrated() throws {
        let all = try trips(settings(rate: 0), count: 40_000)
        let real: [(values: [Double], low: Double, middle: Double, high: Double)] = [
            (all.map(\.miles), 0.45, 1.57, 10.5), (all.map { Double($0.seconds) / 60 }, 2.85, 10.8, 36.1), (all.map(\.fare), 4, 9, 36),
            (all.map(\.total), 5.8, 11.76, 46.3), (all.map(\.charge), 0.96, 1.16, 1.31),
        ]
        for (values, low, middle, high) in real {
            #expect(abs(quantile(values, 0.05) / low - 1) < 0.3)
            #expect(abs(quantile(values, 0.5) / middle - 1) < 0.15)
            #expect(abs(quantile(values, 0.95) / high - 1) < 0.25)
        }
        #expect(abs(Double(all.count { $0.payment == 1 }) / 40_000 - 0.70) < 0.02)
        #expect(abs(Double(all.count { $0.rateCode == 2 }) / 40_000 - 0.0225) < 0.015)
    }

    @Test("Zones differ: a tenth of them makes half of the trips")
    func zones() throws {
        let all = try trips(settings(rate: 0), count: 40_000)
        var counts = [Int](repeating: 0, count: 100)
        for trip in all { counts[trip.entity] += 1 }
        counts.sort(by: >)
        let top = Double(counts.prefix(10).reduce(0, +)) / 40_000
        #expect(top > 0.4 && top < 0.62)
        #expect(counts[60] < 100)
    }

    @Test("The hours are those of the city: quiet before dawn, a rush in the evening, later on a Sunday")
    func hours() throws {
        /// Trips of the hour that begins so many hours after Monday's midnight.
        func count(_ hours: Int64) throws -> Int {
            let start = monday + hours * hour
            return try trips(settings(rate: 0, start: start), count: 9_000).prefix { $0.eventTime < start + hour }.count
        }
        let (dawn, rush) = (try count(4), try count(18))
        #expect(rush > 6 * dawn)
        let (sunday, tuesday) = (try count(6 * 24 + 1), try count(24 + 1))
        #expect(sunday > 2 * tuesday)
        #expect(try count(24 + 8) > 3 * count(6 * 24 + 8) / 2)
    }

    @Test("Without odd demand, pickups of a week come at the rate that is set")
    func rate() throws {
        // Forty zones with a trip a quarter of an hour.
        let all = try trips(settings(entities: 40, interval: 900_000, rate: 0), count: 26_880)
        let weeks = Double(try #require(all.last).eventTime - monday) / Double(7 * 24 * hour)
        #expect(abs(weeks - 1) < 0.2)
    }

    @Test("Odd trips are the share that is set, and each looks like one")
    func oddTrips() throws {
        let kinds = ["overcharge", "distance_inflation", "long_trip", "clock_glitch", "tip_fraud", "total_mismatch"]
        let all = try trips(settings(rate: 0.06, kinds: kinds), count: 60_000)
        #expect(abs(Double(all.count { !$0.kind.isEmpty }) / 60_000 - 0.06) < 0.006)
        for kind in kinds {
            let odd = all.filter { $0.kind == kind }
            #expect(abs(Double(odd.count) - 600) < 120)
            #expect(odd.allSatisfy { $0.isJudged && $0.start == $0.eventTime && $0.end == $0.eventTime })
            for trip in odd {
                switch kind {
                case "overcharge": #expect(trip.charge > 1.5)
                case "distance_inflation": #expect(trip.pace < 1.2 && trip.miles >= 5)
                case "long_trip": #expect(trip.pace > 2)
                case "clock_glitch": #expect(trip.seconds <= 50 && trip.miles > 1.2)
                case "tip_fraud": #expect(trip.tip > 2 * trip.fare && trip.payment == 1)
                default: #expect(trip.unexplained >= 20)
                }
                #expect(kind == "total_mismatch" || trip.unexplained == 0)
            }
        }
    }

    @Test("A surge is three to six times the usual trips for about an hour; its trips are as they should be and not judged one by one")
    func surges() throws {
        let usual = try trips(settings(entities: 10, rate: 0), count: 40_000)
        let all = try trips(settings(entities: 10, rate: 0.3, kinds: ["surge"]), count: 60_000)
        let odd = all.filter { $0.kind == "surge" }
        #expect(Double(odd.count) / 60_000 > 0.15 && Double(odd.count) / 60_000 < 0.45)
        #expect(odd.allSatisfy { !$0.isJudged && $0.unexplained == 0 && $0.start <= $0.eventTime + 1_000 && $0.eventTime < $0.end })
        #expect(all.allSatisfy { $0.isJudged || !$0.kind.isEmpty })
        let episodes = Set(odd.map { [Int64($0.entity), $0.start, $0.end] })
        #expect(episodes.count > 20)
        #expect(episodes.allSatisfy { $0[2] - $0[1] >= 2_600_000 && $0[2] - $0[1] <= 4_600_000 })
        // The same zones in the same hours of the same seed.
        let last = min(try #require(usual.last).eventTime, try #require(all.last).eventTime)
        let inside = episodes.filter { $0[1] >= monday && $0[2] < last }
        func count(_ list: [Trip]) -> Int {
            list.count { trip in inside.contains { Int64(trip.entity) == $0[0] && trip.eventTime >= $0[1] && trip.eventTime < $0[2] } }
        }
        let ratio = Double(count(all)) / Double(count(usual))
        #expect(ratio > 3.5 && ratio < 5.5)
    }

    @Test("In an outage hardly anybody is picked up, for as much of the time as there are surges")
    func outages() throws {
        let all = try trips(settings(entities: 10, interval: 20_000, rate: 0.5, kinds: ["surge", "outage"]), count: 60_000)
        let outages = Set(all.filter { $0.kind == "outage" }.map { [Int64($0.entity), $0.start, $0.end] })
        let surges = Set(all.filter { $0.kind == "surge" }.map { [Int64($0.entity), $0.start, $0.end] })
        #expect(outages.count > 10 && surges.count > 10)
        let zone = all.filter { $0.entity == 3 }
        let outage = try #require(outages.first { $0[0] == 3 })
        func count(_ from: Int64, _ to: Int64) -> Double { Double(zone.count { $0.eventTime >= from && $0.eventTime < to }) / Double(to - from) }
        #expect(count(outage[1], outage[2]) < 0.4 * count(outage[1] - 2 * hour, outage[1]))
    }

    @Test("New York has 265 zones; a larger simulation is refused")
    func tooMany() throws {
        let error = #expect(throws: SimulationError.self) { try Simulators.make(settings(entities: 266)) }
        #expect(error?.setting == "entities")
        #expect(Simulators.usual("nyc-taxi").interval == 60_000)
        #expect(Simulators.usual("iot-sensors").interval == 1_000)
    }
}
