import Text

/// One trip, from what the street does to what the meter shows.
struct TaxiTrip: Sendable {
    private var dropoff: Int64
    private var passengers: Int64
    private var rateCode: Int64 = 1
    private var payment: Int64
    private var seconds: Double
    private var miles: Double
    private var fare: Double
    private var tip = 0.0
    private var tolls = 0.0
    private var extra: Double
    private var mismatch = 0.0

    private static let tax = 0.5
    private static let improvement = 0.3
    private static let toll = 5.76
    private static let airportFare = 52.0

    /// Miles at equally many trips below, in the sample's standard-rate trips.
    private static let distances = Quantiles([
        (0, 0.1), (0.01, 0.3), (0.05, 0.5), (0.1, 0.61), (0.2, 0.85), (0.3, 1.06), (0.4, 1.3), (0.5, 1.57), (0.6, 1.9), (0.7, 2.44), (0.8, 3.4),
        (0.9, 5.9), (0.95, 8.8), (0.98, 11.54), (0.99, 13.8), (1, 22),
    ])
    /// Time taken over 3 + 3.5 × miles in minutes, by miles: the middle of the sample's trips.
    private static let paces = Quantiles([
        (0.3, 0.75), (0.8, 1.02), (1.25, 1.23), (2, 1.33), (3.2, 1.27), (6, 1.03), (10, 0.82), (17, 0.69), (22, 0.65),
    ])
    /// How trips scatter about that middle.
    private static let scatter = Quantiles([
        (0, 0.35), (0.01, 0.43), (0.05, 0.54), (0.1, 0.62), (0.25, 0.77), (0.5, 1), (0.75, 1.33), (0.9, 1.68), (0.95, 1.95), (0.99, 2.5), (1, 3.2),
    ])
    /// Tips over the fare where a card pays.
    private static let tips = Quantiles([
        (0, 0), (0.05, 0), (0.06, 0.1), (0.25, 0.18), (0.5, 0.22), (0.75, 0.25), (0.95, 0.33), (0.99, 0.4), (1, 0.5),
    ])

    init(_ random: inout SplitMix64, from district: TaxiDistrict, _ clock: TaxiClock, _ oddity: TaxiOddity?) {
        var place = random.unit()
        if district == .airport { place = 0.75 + 0.25 * place }
        // As those of the sample, odd trips are not the shortest.
        if oddity == .clockGlitch { place = max(place, 0.48 + 0.2 * random.unit()) } else if oddity != nil { place = max(place, 0.28) }
        let isFlat = place > 0.96 && random.unit() < (district == .airport ? 0.9 : 0.6)
        miles = isFlat ? 17.5 + 1.5 * random.gaussian() : Self.distances[place]
        let traffic = 0.74 + 0.22 * clock.city
        seconds = 60 * (3 + 3.5 * miles) * Self.paces[miles] * Self.scatter[random.unit()] * traffic
        let metered = 2.05 + 1.8 * miles + 0.38 * seconds / 60 + (0.3 + 0.06 * miles) * random.gaussian()
        fare = max(2.5, (metered * 2).rounded() / 2)
        let isNight = clock.hour >= 20 || clock.hour < 6
        let isRush = !clock.isWeekend && clock.hour >= 16 && clock.hour < 20
        extra = isRush ? 1 : isNight ? 0.5 : 0
        if isFlat {
            rateCode = 2
            fare = Self.airportFare
            extra = isRush ? 4.5 : 0
        }
        if miles > 7, random.unit() < 0.55 { tolls = Self.toll }
        let means = random.unit()
        payment = means < 0.70 || oddity == .tipFraud ? 1 : means < 0.995 ? 2 : means < 0.999 ? 3 : 4
        if payment == 1 { tip = fare * Self.tips[random.unit()] }
        let seats = random.unit()
        passengers = seats < 0.72 ? 1 : seats < 0.87 ? 2 : seats < 0.91 ? 3 : seats < 0.93 ? 4 : seats < 0.97 ? 5 : 6
        dropoff = 1 + Int64(random.unit() * 265)
        if let oddity { spoil(oddity, random.unit()) }
    }

    private mutating func spoil(_ oddity: TaxiOddity, _ draw: Double) {
        switch oddity {
        case .overcharge: fare *= 2.2 + 1.8 * draw
        case .distanceInflation: miles = min(150, miles * (5 + 4 * draw))
        case .longTrip: seconds = min(80_000, seconds * (6 + 9 * draw))
        case .clockGlitch: seconds = 15 + 35 * draw
        case .tipFraud: tip = max(20, fare * (2.3 + 2.2 * draw))
        case .totalMismatch: mismatch = 20 + 40 * draw
        case .surge, .outage: break
        }
    }

    func write(into event: inout SimulatedEvent) {
        let (fare, tip) = (Self.cents(fare), Self.cents(tip))
        event.values[2] = .integer(dropoff)
        event.values[3] = .integer(passengers)
        event.values[4] = .integer(rateCode)
        event.values[5] = .integer(payment)
        event.values[6] = .integer(Int64(seconds))
        event.values[7] = .number(Self.cents(miles))
        event.values[8] = .number(fare)
        event.values[9] = .number(tip)
        event.values[10] = .number(tolls)
        event.values[11] = .number(Self.cents(fare + tip + tolls + extra + Self.tax + Self.improvement + mismatch))
        event.values[12] = .number(extra)
        event.values[13] = .number(Self.tax)
        event.values[14] = .number(Self.improvement)
        // The records are from before it was introduced in February 2019.
        event.values[15] = .number(0)
    }

    private static func cents(_ value: Double) -> Double { (value * 100).rounded() / 100 }
}

/// A rising line through points: the value at a share, or between any two other numbers. Arithmetic only.
private struct Quantiles: Sendable {
    private let points: [(at: Double, value: Double)]

    init(_ points: [(Double, Double)]) { self.points = points.map { ($0.0, $0.1) } }

    subscript(at: Double) -> Double {
        var index = 1
        while index < points.count - 1, points[index].at < at { index += 1 }
        let (low, high) = (points[index - 1], points[index])
        let share = min(1, max(0, (at - low.at) / (high.at - low.at)))
        return low.value + share * (high.value - low.value)
    }
}
