import Text

/// What a soldier does. How long he stays at it is geometric, as in any Markov chain; the means below are in seconds.
enum Activity: UInt8, Sendable {
    case rest, march, fight

    var meanSeconds: Double {
        switch self {
        case .rest: 60
        case .march: 90
        case .fight: 45
        }
    }

    /// Share of the soldier's capacity that it takes, before the variation of this bout.
    var effort: Double {
        switch self {
        case .rest: 0.05
        case .march: 0.45
        case .fight: 0.85
        }
    }

    /// Where the soldier goes from here, given a number drawn from [0, 1).
    func successor(_ draw: Double) -> Activity {
        switch self {
        case .rest: draw < 0.65 ? .march : .fight
        case .march: draw < 0.5 ? .rest : .fight
        case .fight: draw < 0.5 ? .march : .rest
        }
    }

    /// Drawn from the chain's long-run shares of time (rest 0.31, march 0.45, fight 0.24), so that a simulation starts in its stride.
    static func stationary(_ draw: Double) -> Activity {
        draw < 0.31 ? .rest : draw < 0.76 ? .march : .fight
    }
}

/// What can be wrong with a soldier or with what his sensors say; see `Battlefield`.
enum Ailment: Int, CaseIterable, Sendable {
    case nerveAgent = 1
    case stimulant
    case exhaustion
    case bleeding
    case sensorLoss

    var name: String {
        switch self {
        case .nerveAgent: "nerve-agent"
        case .stimulant: "stimulant"
        case .exhaustion: "exhaustion"
        case .bleeding: "bleeding"
        case .sensorLoss: "sensor-loss"
        }
    }
}

/// The constants of a simulation that depend on the time between two events: computed once. `gain` is the share of the way to its
/// target that a quantity with that time constant goes in one step (backward Euler, so it is stable for any interval).
struct Step: Sendable {
    let seconds: Double
    let anomalyRate: Double
    let effortGain: Double
    let heartGain: Double
    let staminaGain: Double
    let onsetGain: Double
    let recoveryGain: Double
    let breathGain: Double
    let warmthGain: Double
    /// What may befall a soldier.
    let ailments: [Ailment]

    init(seconds: Double, anomalyRate: Double, kinds: [String]) {
        func gain(_ timeConstant: Double) -> Double { seconds / (seconds + timeConstant) }
        self.seconds = seconds
        self.anomalyRate = anomalyRate
        effortGain = gain(5)
        heartGain = gain(15)
        staminaGain = gain(25)
        onsetGain = gain(1)
        recoveryGain = gain(2)
        breathGain = gain(20)
        warmthGain = gain(300)
        ailments = Ailment.allCases.filter { kinds.isEmpty || kinds.contains($0.name) }
    }
}

/// One soldier's body, step by step.
struct Soldier: Sendable {
    struct Reading {
        /// Beats a minute, to a tenth.
        let heartRate: Double
        /// Percent, 0...100, to a tenth.
        let stamina: Double
        /// Breaths a minute, to a tenth.
        let respiration: Double
        /// Of the body, degrees Celsius, to a tenth.
        let temperature: Double
        /// How much he moves, 0...1, to a hundredth.
        let motion: Double
        /// 0, or the `Ailment` that shows.
        let ailment: Int
        /// Readings since it began to show, and seconds until it is treated.
        let elapsed: Int64
        let remaining: Double
    }

    private static let meanEpisodeSeconds = 90.0

    private var random: SplitMix64
    /// Of its own, so that heart rate and stamina do not depend on what else is measured.
    private var others: SplitMix64
    private var respiration: Double
    private var temperature: Double
    private let restingHeartRate: Double
    private let maximumHeartRate: Double
    private var activity: Activity
    private var boutEffort: Double
    private var effort: Double
    private var heartRate: Double
    private var stamina: Double
    private var wander = 0.0
    private var ailment = Ailment.nerveAgent
    private var shown: Int64 = 0
    private var effect: Double
    /// Seconds until the next ailment, then until it is treated.
    private var untilOnset: Double
    private var untilAntidote: Double

    init(index: Int, seed: UInt64, step: Step) {
        random = SplitMix64(seed: seed, stream: UInt64(index))
        restingHeartRate = 62 + 4 * random.gaussian()
        maximumHeartRate = 188 + 4 * random.gaussian()
        activity = .stationary(random.unit())
        boutEffort = activity.effort + 0.06 * random.gaussian()
        effort = boutEffort
        heartRate = restingHeartRate + (maximumHeartRate - restingHeartRate) * effort
        stamina = Self.staminaTarget(effort)
        others = SplitMix64(seed: seed ^ 0x5EED, stream: UInt64(index))
        respiration = 14 + 30 * effort
        temperature = 36.8 + 0.9 * effort
        untilOnset = .infinity
        untilAntidote = 0
        effect = 0
        guard step.anomalyRate > 0 else { return }
        // Golden-ratio phases: any run of soldiers is spread evenly over the cycle, so the share of ailing soldiers is right at once.
        var shared = SplitMix64(seed: seed, stream: .max)
        let turn = shared.unit() + Double(index) * 0.618_033_988_749_894_9
        let phase = turn - turn.rounded(.down)
        let cycle = drawEpisode(step)
        let elapsed = phase * cycle
        untilOnset -= elapsed
        if untilOnset <= 0 {
            untilAntidote = cycle - elapsed
            untilOnset = 0
            effect = 1
        }
    }

    /// Plans the next cycle, healthy first and ailing at its end. Returns its length in seconds.
    private mutating func drawEpisode(_ step: Step) -> Double {
        let cycle = Self.meanEpisodeSeconds / step.anomalyRate * (0.75 + 0.5 * random.unit())
        untilAntidote = cycle * step.anomalyRate
        untilOnset = cycle - untilAntidote
        ailment = step.ailments[Int(random.next() % UInt64(step.ailments.count))]
        return cycle
    }

    private static func staminaTarget(_ effort: Double) -> Double { 98 - 85 * effort }

    /// - Parameter seconds: since 1970; the time of day sets how warm a body is.
    mutating func advance(_ step: Step, at seconds: Double) -> Reading {
        moveBody(step)
        moveAilment(step)
        // The heart's own variability wanders over a few beats; the sensors add their noise.
        wander += 0.3 * (2.5 * random.gaussian() - wander)
        var heart = heartRate + wander + 1.0 * random.gaussian()
        var reserve = stamina + 1.2 * random.gaussian()
        var breath = respiration + 1.0 * others.gaussian()
        var warmth = temperature + 0.5 * DayCycle.wave(at: seconds, peak: 17) + 0.08 * others.gaussian()
        var motion = 0.05 + 0.9 * effort + 0.04 * others.gaussian()
        switch ailment {
        case .nerveAgent:
            heart *= 1 - 0.30 * effect
            reserve *= 1 - 0.60 * effect
        case .stimulant:
            // Towards the heart's own limit: no poison makes it beat faster than that.
            heart += 0.6 * (maximumHeartRate + 6 - heart) * effect
            reserve += 0.75 * (100 - reserve) * effect
        case .exhaustion:
            // Heat that the body cannot give away any more: hot, spent, and hardly moving.
            warmth += 2.4 * effect
            reserve *= 1 - 0.3 * effect
            motion *= 1 - 0.7 * effect
        case .bleeding:
            // The heart and the lungs make up for blood that is lost.
            heart += 0.35 * (maximumHeartRate - heart) * effect
            breath += 20 * effect
            reserve *= 1 - 0.25 * effect
            motion *= 1 - 0.6 * effect
        case .sensorLoss:
            // The belt has slipped: what it reads has nothing to do with the body.
            heart += (26 + 3 * others.gaussian() - heart) * effect
            breath += (2 - breath) * effect
        }
        let isShown = effect >= 0.5
        defer { shown = isShown ? shown + 1 : 0 }
        return Reading(
            heartRate: Self.tenths(min(max(heart, 20), 215)), stamina: Self.tenths(min(max(reserve, 0), 100)),
            respiration: Self.tenths(min(max(breath, 0), 80)), temperature: Self.tenths(min(max(warmth, 30), 43)),
            motion: (min(max(motion, 0), 1) * 100).rounded() / 100, ailment: isShown ? ailment.rawValue : 0, elapsed: shown,
            remaining: max(0, untilAntidote))
    }

    private mutating func moveBody(_ step: Step) {
        if random.unit() * activity.meanSeconds < step.seconds {
            activity = activity.successor(random.unit())
            boutEffort = activity.effort + 0.06 * random.gaussian()
        }
        effort += (boutEffort - effort) * step.effortGain
        let target = restingHeartRate + (maximumHeartRate - restingHeartRate) * effort
        heartRate += (target - heartRate) * step.heartGain
        stamina += (Self.staminaTarget(effort) - stamina) * step.staminaGain
        respiration += (14 + 30 * effort - respiration) * step.breathGain
        temperature += (36.8 + 0.9 * effort - temperature) * step.warmthGain
    }

    private mutating func moveAilment(_ step: Step) {
        if untilOnset > 0 {
            untilOnset -= step.seconds
            effect -= effect * step.recoveryGain
        } else if untilAntidote > 0 {
            untilAntidote -= step.seconds
            effect += (1 - effect) * step.onsetGain
        } else {
            effect -= effect * step.recoveryGain
            _ = drawEpisode(step)
        }
    }

    private static func tenths(_ value: Double) -> Double { (value * 10).rounded() / 10 }
}
