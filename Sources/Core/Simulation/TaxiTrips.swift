/// Taxi trips of New York's zones as their meters record them, some that do not add up, and hours in which a zone's demand is odd.
///
/// **Demand.** A zone has one pickup per `interval` on average over zones and the week. Zones differ as the city's do: a tenth of them
/// makes half of the trips, half of them hardly any (`TaxiZone`). The hours follow the records of November 2018 to January 2019, by weekday and
/// weekend, shifted by what a district is for: offices in the morning and at six, bars at night. Pickups are close to Poisson.
///
/// **Trips** (`TaxiTrip`) are drawn from the quantiles of the same records: distance, then the time that it takes at this hour, then what the
/// meter shows for both, surcharges by the clock, tolls of long trips, and a tip where a card pays.
///
/// **Odd trips** (`TaxiOddity`) are as those of the sample. **Odd demand** comes in episodes of about an hour: a `surge` of three to six times as
/// many pickups, or an `outage` with one in twenty. There every trip is as it should be and carries the episode's label with
/// `isJudged` false: to be judged by episode, not trip by trip. Each kind of trip, and surges, make an equal share of the `anomalyRate`;
/// there are as many outages as surges, and an outage without a trip leaves no label.
///
/// Times are the meter's local clock in whole seconds. Zones are numbered from 1; there are at most 265. Cost: about 4 µs a trip with the text of its
/// sixteen fields.
public struct TaxiTrips: Simulator {
    static let name = "nyc-taxi"
    static let maximumEntities = 265
    /// A pickup a minute and zone, as the middle of Manhattan has.
    static let interval: Int64 = 60_000
    static let fields = [
        SimulatedField("pickup_time", .time), SimulatedField("pickup_zone", .integer), SimulatedField("dropoff_zone", .integer),
        SimulatedField("passengers", .integer), SimulatedField("rate_code", .integer), SimulatedField("payment_type", .integer),
        SimulatedField("duration", .integer), SimulatedField("distance", .number), SimulatedField("fare", .number),
        SimulatedField("tip", .number), SimulatedField("tolls", .number), SimulatedField("total", .number), SimulatedField("extra", .number),
        SimulatedField("mta_tax", .number), SimulatedField("improvement_surcharge", .number), SimulatedField("congestion_surcharge", .number),
    ]

    public let settings: SimulatorSettings
    public var fields: [SimulatedField] { Self.fields }
    public let anomalyKinds = TaxiOddity.allCases.map(\.name)

    /// Steps of an interval. In most of them a zone has no pickup; the more there are, the closer the pickups are to Poisson.
    private static let steps: Int64 = 32
    private var zones: [TaxiZone]
    private var current = 0
    private var round: Int64 = 0
    /// Pickups of the current zone that are still to come in this step.
    private var left = 0
    private var now: Int64 = 0
    private var clock: TaxiClock
    private let rules: TaxiRules

    /// Ranges are checked by `Simulators.make`; with a share of 0 everything is as it should be.
    init(_ settings: SimulatorSettings) {
        self.settings = settings
        rules = TaxiRules(settings, steps: Self.steps)
        clock = TaxiClock(at: settings.start)
        zones = []
        zones.reserveCapacity(settings.entities)
        for index in 0..<settings.entities {
            zones.append(TaxiZone(index: index, seed: settings.seed, rules: rules, start: settings.start))
        }
        begin()
    }

    private mutating func begin() {
        let count = Int64(zones.count)
        now = settings.start + (round * count + Int64(current)) * settings.interval / (Self.steps * count)
        if current == 0 { clock = TaxiClock(at: now) }
        left = zones[current].begin(rules, at: now, clock)
    }

    public mutating func next(into event: inout SimulatedEvent) {
        while left == 0 {
            current += 1
            if current == zones.count {
                current = 0
                round += 1
            }
            begin()
        }
        left -= 1
        let part = now % 1_000
        event.entity = current
        event.eventTime = now - (part < 0 ? part + 1_000 : part)
        if event.values.count != Self.fields.count { event.values = Array(repeating: .missing, count: Self.fields.count) }
        event.values[0] = .number(Double(event.eventTime) / 1_000)
        event.values[1] = .integer(Int64(current) + 1)
        zones[current].write(into: &event, rules, clock)
    }
}
