import Text

/// What can be wrong with access lines.
enum ServerAttack: Int, CaseIterable, Sendable {
    /// One client tries passwords.
    case bruteForce = 1
    /// One client looks for paths that do not exist.
    case pathScan
    /// Fifty clients ask for the first page as fast as they can.
    case flood
    /// Something behind the server fails: six requests in ten end with 500, 502 or 503, most of them late.
    case serverErrors

    var name: String {
        switch self {
        case .bruteForce: "brute-force"
        case .pathScan: "path-scan"
        case .flood: "flood"
        case .serverErrors: "server-errors"
        }
    }

    /// Its lines per interval, where visitors make one on average. Failures are no lines of their own but a share of the visitors'.
    var intensity: Double {
        switch self {
        case .bruteForce: 2
        case .pathScan: 4
        case .flood: 20
        case .serverErrors: 0.6
        }
    }

    /// Seconds that an episode lasts on average.
    var seconds: Double {
        switch self {
        case .bruteForce, .serverErrors: 120
        case .pathScan: 60
        case .flood: 30
        }
    }
}

/// The constants of a simulation.
struct HostStep: Sendable {
    let seconds: Double
    let anomalyRate: Double
    /// What a host may suffer from.
    let attacks: [ServerAttack]
    /// What its machine may suffer from.
    let troubles: [MachineTrouble]
}

/// One web server, interval by interval and line by line, and now and then a sample of its machine.
struct WebHost: Sendable {
    private var random: SplitMix64
    private let weakness: ServerAttack?
    private var machine: WebMachine
    private let index: Int
    /// Seconds until the attack, then until its end.
    private var untilAttack: Double = .infinity
    private var untilEnd = 0.0
    private var isAttacked = false
    /// Intervals since the attack began, and milliseconds until its end.
    private(set) var attackAge: Int64 = 0
    private(set) var attackLeft: Int64 = 0
    /// The attacker's number, new for each episode.
    private var attacker = 1
    /// Load relative to the day's mean; wanders within minutes.
    private var wander = 0.0
    private var load = 1.0
    /// Lines of the attack among those of this interval.
    private var attackLines = 0
    private var isLastInterval = false
    private var sequence: Int64 = 0
    /// Requests since the machine's last sample, and how many intervals that is.
    private var served = 0
    private var intervals: Int64 = 0
    /// Events of this interval that are still to come, and whether the last is the machine's sample.
    private var left = 0
    private var isSampled = false
    private var now = 0.0

    init(index: Int, seed: UInt64, step: HostStep) {
        random = SplitMix64(seed: seed, stream: UInt64(index))
        weakness = step.attacks.isEmpty ? nil : step.attacks[index % step.attacks.count]
        machine = WebMachine(index: index, seed: seed, step: step)
        self.index = index
        guard step.anomalyRate > 0, let weakness else { return }
        var shared = SplitMix64(seed: seed, stream: .max)
        let turn = shared.unit() + Double(index) * 0.618_033_988_749_894_9
        plan(weakness, step)
        let elapsed = (turn - turn.rounded(.down)) * (untilAttack + untilEnd)
        if elapsed < untilAttack {
            untilAttack -= elapsed
        } else {
            attackAge = Int64((elapsed - untilAttack) / step.seconds)
            untilEnd -= elapsed - untilAttack
            untilAttack = 0
        }
    }

    /// The next cycle, quiet first. The attack's share of time is such that its lines are `anomalyRate` of all.
    private mutating func plan(_ weakness: ServerAttack, _ step: HostStep) {
        untilEnd = weakness.seconds * (0.75 + 0.5 * random.unit())
        // Failures take their lines from the visitors'; other attacks add theirs.
        let rate = step.anomalyRate
        let share = weakness == .serverErrors ? min(0.5, rate / weakness.intensity) : rate / (weakness.intensity * (1 - rate))
        untilAttack = untilEnd * (1 - min(0.5, share)) / min(0.5, share)
        attacker = 1 + Int(random.next() >> 56)
        attackAge = 0
    }

    /// Begins an interval.
    /// - Returns: how many events it has.
    mutating func begin(_ step: HostStep, round: Int64, at seconds: Double) -> Int {
        now = seconds
        let between = max(1, Int64(WebMachine.sampleSeconds / step.seconds))
        intervals += 1
        // The first sample waits until it covers as much time as every other.
        isSampled = (round + Int64(index)) % between == 0 && intervals >= between
        wander += 0.05 * (0.3 * random.gaussian() - wander)
        load = max(0.1, (1 + 0.6 * DayCycle.swing(at: seconds)) * (1 + wander))
        let visitors = Int(load + random.unit())
        attackLines = 0
        isAttacked = false
        if isLastInterval {
            isLastInterval = false
            attackAge = 0
        }
        if untilAttack > 0 {
            untilAttack -= step.seconds
        } else if untilEnd > 0, let weakness {
            isAttacked = true
            attackAge += 1
            untilEnd -= step.seconds
            attackLeft = Int64(max(0, untilEnd) * 1_000)
            if weakness != .serverErrors { attackLines = Int(weakness.intensity * (0.7 + 0.6 * random.unit()) + random.unit()) }
            if untilEnd <= 0 {
                // The lines of this interval are still the old attack's.
                let age = attackAge
                plan(weakness, step)
                attackAge = age
                isLastInterval = true
            }
        }
        served += visitors + attackLines
        left = visitors + attackLines + (isSampled ? 1 : 0)
        return left
    }

    private struct Line {
        var method: StaticString = "GET"
        var status: Int64 = 200
        var bytes = 0.0
        /// Seconds without load.
        var duration = 0.05
        var attack = 0
    }

    /// Writes the fields of a line from the client on, or those of a sample.
    mutating func write(_ step: HostStep, into event: inout SimulatedEvent) {
        event.sequence = sequence
        sequence += 1
        left -= 1
        if isSampled, left == 0 { return writeSample(step, into: &event) }
        for field in 9..<14 { event.values[field] = .missing }
        var line = Line()
        if attackLines > 0 {
            attackLines -= 1
            writeAttack(into: &event, &line)
        } else {
            writeVisit(into: &event, &line)
        }
        // A long tail without a logarithm: one request in twenty takes more than four times the usual.
        let tail = 0.4 + 0.35 / (random.unit() + 0.05)
        let crowd = isAttacked && weakness == .flood ? 4.0 : 0.8 + 0.2 * load
        let seconds = line.duration * tail * crowd
        event.anomaly = line.attack
        event.values[3] = .text(event.write(line.method))
        event.values[6] = .integer(line.status)
        event.values[7] = .integer(Int64(line.bytes * (0.7 + 0.6 * random.unit())))
        event.values[8] = .number((seconds * 1_000).rounded() / 1_000)
    }

    /// A flood shows in the machine too; no other attack does.
    private mutating func writeSample(_ step: HostStep, into event: inout SimulatedEvent) {
        for field in 2..<9 { event.values[field] = .missing }
        let isFlooded = isAttacked && weakness == .flood
        let flood = event.episode
        let elapsed = Double(max(1, intervals)) * step.seconds
        event.anomaly = machine.write(into: &event, requests: served, elapsed: elapsed, at: now, step)
        if event.anomaly == 0, isFlooded {
            event.anomaly = ServerAttack.flood.rawValue
            event.episode = flood
        }
        served = 0
        intervals = 0
    }

    private mutating func writeAttack(into event: inout SimulatedEvent, _ line: inout Line) {
        line.attack = weakness?.rawValue ?? 0
        switch weakness {
        case .flood:
            event.values[2] = .text(event.write("198.51.100.", number: 1 + Int(random.unit() * 50), digits: 1))
            event.values[4] = .text(event.write("/"))
            event.values[5] = .text(event.write("home"))
            line.bytes = 8_000
            line.status = random.unit() < 0.1 ? 503 : 200
        case .bruteForce:
            event.values[2] = .text(event.write("203.0.113.", number: attacker, digits: 1))
            event.values[4] = .text(event.write("/login"))
            event.values[5] = .text(event.write("login"))
            line.method = "POST"
            line.status = 401
            line.bytes = 600
            line.duration = 0.08
        default:
            event.values[2] = .text(event.write("203.0.113.", number: attacker, digits: 1))
            event.values[4] = .text(event.write("/backup/", number: Int(random.unit() * 100_000), digits: 5))
            event.values[5] = .text(event.write("other"))
            line.status = random.unit() < 0.9 ? 404 : 403
            line.bytes = 300
            line.duration = 0.01
        }
    }

    private mutating func writeVisit(into event: inout SimulatedEvent, _ line: inout Line) {
        // Few visitors come often, most of them rarely.
        let draw = random.unit()
        let client = Int(draw * draw * 20_000)
        let first = event.write("10.0.", number: client / 250, digits: 1)
        let second = event.write(".", number: client % 250 + 1, digits: 1)
        event.values[2] = .text(first.lowerBound..<second.upperBound)
        let route = random.unit()
        let item = Int(random.unit() * 500)
        let fate = random.unit()
        switch route {
        case ..<0.18:
            event.values[4] = .text(event.write("/"))
            event.values[5] = .text(event.write("home"))
            line.bytes = 8_000
        case ..<0.48:
            event.values[4] = .text(event.write("/products/", number: item, digits: 1))
            event.values[5] = .text(event.write("products"))
            line.bytes = 15_000
            if fate < 0.03 { line.status = 404 }
        case ..<0.60:
            event.values[4] = .text(event.write("/search?page=", number: item % 20, digits: 1))
            event.values[5] = .text(event.write("search"))
            line.bytes = 11_000
            line.duration = 0.2
        case ..<0.65:
            event.values[4] = .text(event.write("/login"))
            event.values[5] = .text(event.write("login"))
            line.method = "POST"
            line.bytes = 900
            line.duration = 0.1
            line.status = fate < 0.15 ? 401 : 302
        case ..<0.80:
            event.values[4] = .text(event.write("/api/items/", number: item, digits: 1))
            event.values[5] = .text(event.write("api"))
            line.bytes = 1_200
            if fate < 0.01 { line.status = 404 }
        default:
            event.values[4] = .text(event.write("/static/", number: item % 40, digits: 1))
            event.values[5] = .text(event.write("static"))
            line.bytes = 40_000
            line.duration = 0.005
            if fate < 0.3 { line.status = 304 }
        }
        if isAttacked, weakness == .serverErrors, random.unit() < 0.6 {
            line.attack = ServerAttack.serverErrors.rawValue
            line.status = fate < 0.4 ? 500 : fate < 0.7 ? 502 : 503
            line.bytes = 500
            line.duration = 0.6
        } else if random.unit() < 0.003 {
            line.status = 500
            line.bytes = 500
        }
    }
}
