/// Soldiers who rest, march and fight, one event a second each, some of them ailing: heart rate, stamina, respiration, temperature and motion.
///
/// **Exertion is normal.** Each soldier's activity is a Markov chain (`Activity`); it sets the effort, and the body follows with
/// inertia: motion within 5 s, heart rate within 15 s, respiration within 20 s, stamina within 25 s, temperature within minutes. Stamina is the
/// reserve at this moment in percent, as a sports watch shows it: it falls while one works and comes back with rest. So a heart rate of 170 is right
/// at a stamina of 25 and wrong at 95, and readings of healthy soldiers lie in a band around a falling line. While the effort changes the heart is
/// ahead of the stamina, by more the faster it changes: its trend over half a minute makes the band narrower by a third.
///
/// **The time of day shows in the body's warmth**: half a degree above its mean at 5 in the afternoon, half a degree below at 5 in the morning (UTC).
///
/// **An ailing soldier's readings do not fit each other** (`Ailment`). A nerve agent (a cholinesterase inhibitor) slows the heart through the
/// vagus nerve and paralyses the muscles: a calm heart in an exhausted body. A stimulant drives the heart and masks fatigue: a racing heart in a
/// body that reports to be fresh. Exhaustion by heat leaves a body that is hot and hardly moves. Bleeding drives heart and lungs at little effort. A
/// sensor that has slipped reads neither. All show within a beat or two and are gone seconds after treatment, faster than in life, so that an
/// event is either part of one or not. Most heart rates of the ailing are those of a healthy soldier who rests, marches or fights: no cut
/// through the heart rate alone separates them.
///
/// **Episodes.** Each soldier ails for exactly `anomalyRate` of his time, 90 s at a stretch on average, and the soldiers'
/// schedules are spread evenly, so the share holds in a minute of 100 soldiers as in a day. An event is labelled while at least half
/// of the effect is there.
///
/// Cost: about 0.1 µs an event, 100 bytes a soldier.
public struct Battlefield: Simulator {
    static let name = "battlefield"
    static let fields = [
        SimulatedField("soldier_id", .integer), SimulatedField("heart_rate", .number), SimulatedField("stamina", .number),
        SimulatedField("timestamp", .time), SimulatedField("respiration", .number), SimulatedField("temperature", .number),
        SimulatedField("motion", .number),
    ]

    public let settings: SimulatorSettings
    public var fields: [SimulatedField] { Self.fields }
    public let anomalyKinds = Ailment.allCases.map(\.name)

    private var soldiers: [Soldier]
    private var next = 0
    private var round: Int64 = 0
    private let step: Step

    /// Ranges are checked by `Simulators.make`; with a share of 0 everybody is well.
    init(_ settings: SimulatorSettings) {
        self.settings = settings
        step = Step(seconds: Double(settings.interval) / 1_000, anomalyRate: settings.anomalyRate, kinds: settings.kinds)
        soldiers = []
        soldiers.reserveCapacity(settings.entities)
        for index in 0..<settings.entities {
            soldiers.append(Soldier(index: index, seed: settings.seed, step: step))
        }
    }

    public mutating func next(into event: inout SimulatedEvent) {
        let index = next
        let count = soldiers.count
        let offset = Int64(index) * settings.interval / Int64(count)
        event.entity = index
        event.sequence = round
        event.eventTime = settings.start + round * settings.interval + offset
        let reading = soldiers[index].advance(step, at: Double(event.eventTime) / 1_000)
        event.anomaly = reading.ailment
        event.episode = (event.eventTime - reading.elapsed * settings.interval, event.eventTime + Int64(reading.remaining * 1_000))
        if event.values.count != 7 { event.values = Array(repeating: .missing, count: 7) }
        event.values[0] = .integer(Int64(index) + 1)
        event.values[1] = .number(reading.heartRate)
        event.values[2] = .number(reading.stamina)
        event.values[3] = .number(Double(event.eventTime) / 1_000)
        event.values[4] = .number(reading.respiration)
        event.values[5] = .number(reading.temperature)
        event.values[6] = .number(reading.motion)
        next += 1
        if next == count {
            next = 0
            round += 1
        }
    }
}
