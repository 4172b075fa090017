import Text

/// What can be odd about trips or about their number.
enum TaxiOddity: Int, CaseIterable, Sendable {
    /// A fare of two to four times what the meter should show.
    case overcharge = 1
    /// Five to nine times the distance that was driven.
    case distanceInflation
    /// Six to fifteen times the time that it takes.
    case longTrip
    /// The clock stood still: seconds for miles.
    case clockGlitch
    /// A tip of more than twice the fare.
    case tipFraud
    /// A total that is more than its parts.
    case totalMismatch
    /// Three to six times the zone's pickups, for about an hour.
    case surge
    /// One pickup in twenty, for about an hour.
    case outage

    var name: String {
        switch self {
        case .overcharge: "overcharge"
        case .distanceInflation: "distance_inflation"
        case .longTrip: "long_trip"
        case .clockGlitch: "clock_glitch"
        case .tipFraud: "tip_fraud"
        case .totalMismatch: "total_mismatch"
        case .surge: "surge"
        case .outage: "outage"
        }
    }

    var isAboutDemand: Bool { self == .surge || self == .outage }
}

/// The constants of a simulation: how often what is odd, and how demand moves.
struct TaxiRules: Sendable {
    let trips: [TaxiOddity]
    let demand: [TaxiOddity]
    /// The share of trips that are odd by themselves.
    let oddTrips: Double
    /// The share of a zone's time in which its demand is odd.
    let oddTime: Double
    /// Steps of an interval.
    let steps: Int64
    /// A zone's demand wanders by a tenth and forgets itself within an hour and a half, however long a step is.
    let wanderGain: Double
    let wanderScale: Double

    /// Pickups in a surge, as a multiple of the usual: from, and so much more at most.
    static let surge = (least: 3.0, more: 3.0)
    static let outage = 0.05

    init(_ settings: SimulatorSettings, steps: Int64) {
        let kinds = TaxiOddity.allCases.filter { settings.kinds.isEmpty || settings.kinds.contains($0.name) }
        self.steps = steps
        let seconds = Double(settings.interval) / 1_000 / Double(steps)
        wanderGain = seconds / (seconds + 5_400)
        wanderScale = 0.1 * (wanderGain * (2 - wanderGain)).squareRoot()
        trips = kinds.filter { !$0.isAboutDemand }
        demand = kinds.filter(\.isAboutDemand)
        let shares = trips.count + (kinds.contains(.surge) || trips.isEmpty ? 1 : 0)
        let each = settings.anomalyRate / Double(shares)
        oddTrips = each * Double(trips.count)
        oddTime = min(0.5, Double(demand.count) * each / (Self.surge.least + Self.surge.more / 2))
    }
}

/// What a district is for decides when people want to leave it.
enum TaxiDistrict: Int, CaseIterable, Sendable {
    case homes, offices, bars, airport
}

/// The hour of the week as the zones see it; the same for all, so it is read once a step.
struct TaxiClock: Sendable {
    /// 0...23
    let hour: Int
    let isWeekend: Bool
    /// Pickups of the whole city, relative to the week's mean.
    let city: Double
    /// The same of each `TaxiDistrict`.
    let districts: (Double, Double, Double, Double)

    /// Pickups by hour of the day relative to the day's mean, in the 22,000 records of November 2018 to January 2019.
    private static let weekday = [
        0.50, 0.33, 0.20, 0.15, 0.17, 0.27, 0.62, 1.08, 1.27, 1.17, 1.17, 1.15, 1.28, 1.22, 1.36, 1.34, 1.25, 1.38, 1.67, 1.56, 1.38, 1.38, 1.23,
        0.90,
    ]
    private static let weekend = [
        1.23, 1.00, 0.83, 0.53, 0.35, 0.17, 0.26, 0.39, 0.63, 0.94, 1.10, 1.25, 1.49, 1.41, 1.34, 1.32, 1.42, 1.23, 1.47, 1.31, 1.18, 0.97, 1.22,
        0.96,
    ]
    /// By day of the week, Monday first.
    private static let days = [0.95, 0.98, 1.01, 1.06, 1.09, 1.01, 0.89]
    /// By district, three hours each, relative to the city.
    private static let habits: [[Double]] = [
        [0.9, 0.9, 1.3, 1.2, 1.0, 0.9, 0.9, 1.0], [0.6, 0.6, 1.1, 1.25, 1.35, 1.35, 1.0, 0.7], [1.7, 1.2, 0.6, 0.7, 0.8, 0.9, 1.1, 1.6],
        [0.6, 0.8, 1.0, 1.0, 1.0, 1.1, 1.1, 0.9],
    ]

    /// - Parameter time: milliseconds since 1970 on the meter's clock.
    init(at time: Int64) {
        let hours = Double(time) / 3_600_000
        let whole = hours.rounded(.down)
        let fraction = hours - whole
        let first = Self.level(whole)
        let second = Self.level(whole + 1)
        func between(_ district: TaxiDistrict) -> Double {
            first.city * Self.habit(district, first) * (1 - fraction) + second.city * Self.habit(district, second) * fraction
        }
        hour = first.hour
        isWeekend = first.isWeekend
        city = first.city * (1 - fraction) + second.city * fraction
        districts = (between(.homes), between(.offices), between(.bars), between(.airport))
    }

    private static func level(_ hours: Double) -> (hour: Int, isWeekend: Bool, city: Double) {
        let days = (hours / 24).rounded(.down)
        let hour = Int(hours - days * 24)
        // 1 January 1970 was a Thursday.
        let sinceMonday = days + 3
        let day = Int(sinceMonday - (sinceMonday / 7).rounded(.down) * 7)
        return (hour, day >= 5, (day >= 5 ? weekend : weekday)[hour] * Self.days[day])
    }

    private static func habit(_ district: TaxiDistrict, _ level: (hour: Int, isWeekend: Bool, city: Double)) -> Double {
        habits[district.rawValue][level.hour / 3] * (level.isWeekend && district == .offices ? 0.6 : 1)
    }

    subscript(district: TaxiDistrict) -> Double {
        switch district {
        case .homes: districts.0
        case .offices: districts.1
        case .bars: districts.2
        case .airport: districts.3
        }
    }
}

/// One taxi zone, step by step and trip by trip.
struct TaxiZone: Sendable {
    private var random: SplitMix64
    private let district: TaxiDistrict
    /// Pickups relative to the mean of all zones.
    private let size: Double
    /// Of its own demand; forgets itself within an hour or two.
    private var wander = 0.0
    private var sequence: Int64 = 0
    /// The episode of odd demand that is next or now, its kind and what it multiplies pickups by.
    private var episode: (start: Int64, end: Int64)
    private var kind = TaxiOddity.surge
    private var factor = 1.0
    private var isOdd = false

    init(index: Int, seed: UInt64, rules: TaxiRules, start: Int64) {
        random = SplitMix64(seed: seed, stream: UInt64(index))
        district = index % 32 == 5 ? .airport : TaxiDistrict.allCases[index % 3]
        // The golden ratio spreads the places evenly over the sizes, however many zones there are.
        let turn = 0.31 + Double(index) * 0.618_033_988_749_894_9
        let place = max(0, 1 - (turn - turn.rounded(.down)) / 0.45)
        size = 0.03 + 6.45 * place * place
        episode = (.max, .max)
        guard rules.oddTime > 0 else { return }
        var shared = SplitMix64(seed: seed, stream: .max)
        let phase = shared.unit() + Double(index) * 0.618_033_988_749_894_9
        plan(rules, after: start)
        let elapsed = Int64((phase - phase.rounded(.down)) * Double(episode.end - start))
        episode = (episode.start - elapsed, episode.end - elapsed)
    }

    /// The next cycle, as usual first and odd at its end.
    private mutating func plan(_ rules: TaxiRules, after time: Int64) {
        let odd = 3_600_000 * (0.75 + 0.5 * random.unit())
        let start = time + Int64(odd / rules.oddTime * (1 - rules.oddTime))
        episode = (start, start + Int64(odd))
        kind = rules.demand[Int(random.unit() * Double(rules.demand.count))]
        factor = kind == .surge ? TaxiRules.surge.least + TaxiRules.surge.more * random.unit() : TaxiRules.outage
    }

    /// Begins a step.
    /// - Returns: how many pickups it has.
    mutating func begin(_ rules: TaxiRules, at now: Int64, _ clock: TaxiClock) -> Int {
        wander += rules.wanderScale * random.gaussian() - rules.wanderGain * wander
        if now >= episode.end { plan(rules, after: episode.end) }
        isOdd = now >= episode.start
        let usual = size * clock[district] * max(0.2, 1 + wander) / Double(rules.steps)
        return Int(usual * (isOdd ? factor : 1) + random.unit())
    }

    /// Writes a trip's fields from the dropoff on.
    mutating func write(into event: inout SimulatedEvent, _ rules: TaxiRules, _ clock: TaxiClock) {
        event.sequence = sequence
        sequence += 1
        var oddity: TaxiOddity?
        if rules.oddTrips > 0 {
            let draw = random.unit() / rules.oddTrips
            if draw < 1 { oddity = rules.trips[Int(draw * Double(rules.trips.count))] }
        }
        TaxiTrip(&random, from: district, clock, oddity).write(into: &event)
        event.anomaly = oddity?.rawValue ?? (isOdd ? kind.rawValue : 0)
        event.isJudged = oddity != nil || !isOdd
        // A trip is an episode by itself.
        event.episode = oddity != nil || !isOdd ? (event.eventTime, event.eventTime) : episode
    }
}
