import Text

/// What a sensor measures.
enum SensorMetric: Int, CaseIterable, Sendable {
    case temperature, humidity, pressure, vibration

    var name: StaticString {
        switch self {
        case .temperature: "temperature"
        case .humidity: "humidity"
        case .pressure: "pressure"
        case .vibration: "vibration"
        }
    }

    var unit: StaticString {
        switch self {
        case .temperature: "celsius"
        case .humidity: "percent"
        case .pressure: "hectopascal"
        case .vibration: "mm/s"
        }
    }

    /// Mean over places and times, spread over places, daily swing, and standard deviation of one reading: all in the unit.
    var habits: (level: Double, places: Double, swing: Double, noise: Double) {
        switch self {
        case .temperature: (22, 2, 4, 0.2)
        case .humidity: (50, 4, -8, 0.5)
        case .pressure: (1_013, 3, 1.5, 0.15)
        case .vibration: (12, 1, 1.5, 0.1)
        }
    }
}

/// How a sensor fails.
enum SensorFault: Int, CaseIterable, Sendable {
    /// One reading is off by 12 to 20 times the noise.
    case spike = 1
    /// The reading moves away by a tenth of the noise a second for ten minutes, until the sensor is reset.
    case drift
    /// The reading stays what it was for five minutes.
    case stuck
    /// Readings scatter eight times as much for three minutes.
    case noise

    var name: String {
        switch self {
        case .spike: "spike"
        case .drift: "drift"
        case .stuck: "stuck"
        case .noise: "noise"
        }
    }

    /// How long it shows; a spike lasts for one reading.
    func seconds(_ interval: Double) -> Double {
        switch self {
        case .spike: interval
        case .drift: max(600, interval * 10)
        case .stuck: max(300, interval * 10)
        case .noise: max(180, interval * 10)
        }
    }
}

/// The constants of a simulation.
struct SensorStep: Sendable {
    let seconds: Double
    let anomalyRate: Double
    /// The wander forgets itself within ten minutes.
    let wanderGain: Double
    /// So that the wander's deviation is half the noise, whatever the interval.
    let wanderScale: Double
    /// What a sensor may suffer from.
    let faults: [SensorFault]

    init(seconds: Double, anomalyRate: Double, kinds: [String]) {
        self.seconds = seconds
        self.anomalyRate = anomalyRate
        wanderGain = seconds / (seconds + 600)
        wanderScale = 0.5 * (wanderGain * (2 - wanderGain)).squareRoot()
        faults = SensorFault.allCases.filter { kinds.isEmpty || kinds.contains($0.name) }
    }
}

/// One sensor, reading by reading.
struct Sensor: Sendable {
    struct Reading {
        /// To a hundredth of the unit.
        let value: Double
        /// 0, or the `SensorFault` that shows.
        let fault: Int
        /// Readings since the fault began, and until its last one.
        let elapsed: Int64
        let remaining: Int64
    }

    let metric: SensorMetric
    private let weakness: SensorFault
    private let level: Double
    private let swing: Double
    private let noise: Double
    private var random: SplitMix64
    private var wander = 0.0
    private var last: Double
    /// Readings until the fault shows, then until it is gone.
    private var untilFault: Int64
    private var untilCured: Int64 = 0
    /// Readings since the fault began, and its direction and size.
    private var age: Int64 = 0
    private var size = 0.0

    init(index: Int, seed: UInt64, step: SensorStep) {
        random = SplitMix64(seed: seed, stream: UInt64(index))
        metric = SensorMetric.allCases[index % SensorMetric.allCases.count]
        let habits = metric.habits
        level = habits.level + habits.places * random.gaussian()
        swing = habits.swing * (0.7 + 0.6 * random.unit())
        noise = habits.noise
        last = level
        weakness = step.faults[Int(((random.next() >> 32) * UInt64(step.faults.count)) >> 32)]
        untilFault = .max
        guard step.anomalyRate > 0 else { return }
        // Golden-ratio phases spread the sensors evenly over their cycles; half of the sensors' faults would begin early otherwise.
        var shared = SplitMix64(seed: seed, stream: .max)
        let turn = shared.unit() + Double(index) * 0.618_033_988_749_894_9
        plan(step)
        let cycle = Double(untilFault + untilCured)
        let elapsed = Int64((turn - turn.rounded(.down)) * cycle)
        if elapsed < untilFault {
            untilFault -= elapsed
        } else {
            age = elapsed - untilFault
            untilCured -= age
            untilFault = 0
        }
    }

    /// The next cycle, healthy first and faulty at its end.
    private mutating func plan(_ step: SensorStep) {
        let faulty = weakness.seconds(step.seconds) * (weakness == .spike ? 1 : 0.8 + 0.4 * random.unit())
        let readings = max(1, (faulty / step.seconds).rounded())
        untilCured = Int64(readings)
        untilFault = Int64((readings / step.anomalyRate * (1 - step.anomalyRate)).rounded())
        let direction = random.next() & 1 == 0 ? 1.0 : -1.0
        switch weakness {
        case .spike: size = direction * (12 + 8 * random.unit())
        case .drift: size = direction * 0.1 * step.seconds
        case .stuck: size = 0
        case .noise: size = 8
        }
        age = 0
    }

    mutating func advance(_ step: SensorStep, at seconds: Double) -> Reading {
        wander += step.wanderScale * random.gaussian() - step.wanderGain * wander
        let error = random.gaussian()
        var value = level + swing * DayCycle.swing(at: seconds)
        var deviation = wander + error
        var (fault, elapsed, remaining) = (0, Int64(0), Int64(0))
        if untilFault > 0 {
            untilFault -= 1
        } else if untilCured > 0 {
            fault = weakness.rawValue
            age += 1
            untilCured -= 1
            (elapsed, remaining) = (age - 1, untilCured)
            switch weakness {
            case .spike: deviation += size
            case .drift: deviation += size * Double(age)
            case .stuck: break
            case .noise: deviation = wander + error * size
            }
            if untilCured == 0 { plan(step) }
        }
        value += noise * deviation
        value = (value * 100).rounded() / 100
        if fault == SensorFault.stuck.rawValue { value = last }
        last = value
        return Reading(value: value, fault: fault, elapsed: elapsed, remaining: remaining)
    }
}
