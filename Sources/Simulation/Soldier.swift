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

/// The two ways in which a heart rate can be wrong for its stamina; see `Battlefield`.
enum Poison: Int, CaseIterable, Sendable {
    case nerveAgent = 1
    case stimulant = 2

    var name: String {
        switch self {
        case .nerveAgent: "nerve-agent"
        case .stimulant: "stimulant"
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

    init(seconds: Double, anomalyRate: Double) {
        func gain(_ timeConstant: Double) -> Double { seconds / (seconds + timeConstant) }
        self.seconds = seconds
        self.anomalyRate = anomalyRate
        effortGain = gain(5)
        heartGain = gain(15)
        staminaGain = gain(25)
        onsetGain = gain(1)
        recoveryGain = gain(2)
    }
}

/// One soldier's body, step by step.
struct Soldier: Sendable {
    struct Reading {
        /// Beats a minute, to a tenth.
        let heartRate: Double
        /// Percent, 0...100, to a tenth.
        let stamina: Double
        /// 0, or the `Poison` that is at work.
        let poison: Int
    }

    private static let meanEpisodeSeconds = 90.0

    private var random: SeededRandom
    private let restingHeartRate: Double
    private let maximumHeartRate: Double
    private var activity: Activity
    private var boutEffort: Double
    private var effort: Double
    private var heartRate: Double
    private var stamina: Double
    private var wander = 0.0
    private var poison = Poison.nerveAgent
    private var effect: Double
    /// Seconds until the next poisoning, then until the antidote.
    private var untilOnset: Double
    private var untilAntidote: Double

    init(index: Int, seed: UInt64, step: Step) {
        random = SeededRandom(seed: seed, stream: UInt64(index))
        restingHeartRate = 62 + 4 * random.gaussian()
        maximumHeartRate = 188 + 4 * random.gaussian()
        activity = .stationary(random.uniform())
        boutEffort = activity.effort + 0.06 * random.gaussian()
        effort = boutEffort
        heartRate = restingHeartRate + (maximumHeartRate - restingHeartRate) * effort
        stamina = Self.staminaTarget(effort)
        untilOnset = .infinity
        untilAntidote = 0
        effect = 0
        guard step.anomalyRate > 0 else { return }
        // Golden-ratio phases: any run of soldiers is spread evenly over the cycle, so the share of poisoned soldiers is right at once.
        var shared = SeededRandom(seed: seed, stream: .max)
        let turn = shared.uniform() + Double(index) * 0.618_033_988_749_894_9
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

    /// Plans the next cycle, healthy first and poisoned at its end. Returns its length in seconds.
    private mutating func drawEpisode(_ step: Step) -> Double {
        let cycle = Self.meanEpisodeSeconds / step.anomalyRate * (0.75 + 0.5 * random.uniform())
        untilAntidote = cycle * step.anomalyRate
        untilOnset = cycle - untilAntidote
        poison = random.bits() & 1 == 0 ? .nerveAgent : .stimulant
        return cycle
    }

    private static func staminaTarget(_ effort: Double) -> Double { 98 - 85 * effort }

    mutating func advance(_ step: Step) -> Reading {
        moveBody(step)
        movePoison(step)
        // The heart's own variability wanders over a few beats; the sensors add their noise.
        wander += 0.3 * (2.5 * random.gaussian() - wander)
        var heart = heartRate + wander + 1.0 * random.gaussian()
        var reserve = stamina + 1.2 * random.gaussian()
        switch poison {
        case .nerveAgent:
            heart *= 1 - 0.30 * effect
            reserve *= 1 - 0.60 * effect
        case .stimulant:
            // Towards the heart's own limit: no poison makes it beat faster than that.
            heart += 0.6 * (maximumHeartRate + 6 - heart) * effect
            reserve += 0.75 * (100 - reserve) * effect
        }
        return Reading(
            heartRate: Self.tenths(min(max(heart, 30), 215)), stamina: Self.tenths(min(max(reserve, 0), 100)),
            poison: effect >= 0.5 ? poison.rawValue : 0)
    }

    private mutating func moveBody(_ step: Step) {
        if random.uniform() * activity.meanSeconds < step.seconds {
            activity = activity.successor(random.uniform())
            boutEffort = activity.effort + 0.06 * random.gaussian()
        }
        effort += (boutEffort - effort) * step.effortGain
        let target = restingHeartRate + (maximumHeartRate - restingHeartRate) * effort
        heartRate += (target - heartRate) * step.heartGain
        stamina += (Self.staminaTarget(effort) - stamina) * step.staminaGain
    }

    private mutating func movePoison(_ step: Step) {
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
