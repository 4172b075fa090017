/// Soldiers who rest, march and fight, one event a second each, some of them poisoned: heart rate and stamina.
///
/// **Exertion is normal.** Each soldier's activity is a Markov chain (`Activity`); it sets the effort, and the body follows with
/// inertia: heart rate within 15 s, stamina within 25 s. Stamina is the reserve at this moment in percent, as a sports watch shows
/// it: it falls while one works and comes back with rest. So a heart rate of 170 is right at a stamina of 25 and wrong at 95, and
/// readings of healthy soldiers lie in a band around a falling line.
///
/// **A poisoned soldier's heart rate is wrong for his stamina**, in one of two ways (`Poison`). A nerve agent (a cholinesterase
/// inhibitor) slows the heart through the vagus nerve and paralyses the muscles: a calm heart in an exhausted body. A stimulant drives the
/// heart and masks fatigue: a racing heart in a body that reports to be fresh. Both act within a beat or two and wear off within
/// seconds of the antidote, faster than in life, so that an event is either poisoned or not. Most poisoned heart rates are those of a
/// healthy soldier who rests, marches or fights: no cut through the heart rate alone separates them.
///
/// **Episodes.** Each soldier is poisoned for exactly `anomalyRate` of his time, 90 s at a stretch on average, and the soldiers'
/// schedules are spread evenly, so the share holds in a minute of 100 soldiers as in a day. An event is labelled while at least half
/// of the poison's effect is there.
///
/// Cost: about 0.1 µs an event, 100 bytes a soldier.
public struct Battlefield: Simulator {
    static let name = "battlefield"
    static let fields = [
        SimulatedField("soldier_id", .integer), SimulatedField("heart_rate", .number), SimulatedField("stamina", .number),
        SimulatedField("timestamp", .time),
    ]

    public let settings: SimulatorSettings
    public var fields: [SimulatedField] { Self.fields }
    public let anomalyKinds = Poison.allCases.map(\.name)

    private var soldiers: [Soldier]
    private var next = 0
    private var round: Int64 = 0
    private let step: Step

    /// Ranges are checked by `Simulators.make`; a share of 0 poisons nobody.
    init(_ settings: SimulatorSettings) {
        self.settings = settings
        step = Step(seconds: Double(settings.interval) / 1_000, anomalyRate: settings.anomalyRate)
        soldiers = []
        soldiers.reserveCapacity(settings.entities)
        for index in 0..<settings.entities {
            soldiers.append(Soldier(index: index, seed: settings.seed, step: step))
        }
    }

    public mutating func next(into event: inout SimulatedEvent) {
        let index = next
        let count = soldiers.count
        let reading = soldiers[index].advance(step)
        let offset = Int64(index) * settings.interval / Int64(count)
        event.entity = index
        event.sequence = round
        event.eventTime = settings.start + round * settings.interval + offset
        event.anomaly = reading.poison
        if event.values.count != 4 { event.values = Array(repeating: .missing, count: 4) }
        event.values[0] = .integer(Int64(index) + 1)
        event.values[1] = .number(reading.heartRate)
        event.values[2] = .number(reading.stamina)
        event.values[3] = .number(Double(event.eventTime) / 1_000)
        next += 1
        if next == count {
            next = 0
            round += 1
        }
    }
}
