import Text

/// What can be wrong with the machine under a web server.
enum MachineTrouble: Int, CaseIterable, Sendable {
    /// Something computes without end, whatever the requests.
    case cpuSaturation = 5
    /// A process takes more and more memory and gives none back.
    case memoryLeak
    /// Something fills the disk.
    case diskFull
    /// Packets that no request explains.
    case networkStorm

    var name: String {
        switch self {
        case .cpuSaturation: "cpu-saturation"
        case .memoryLeak: "memory-leak"
        case .diskFull: "disk-full"
        case .networkStorm: "network-storm"
        }
    }

    /// Seconds until the effect is whole.
    var riseSeconds: Double {
        switch self {
        case .cpuSaturation, .networkStorm: 5
        case .memoryLeak, .diskFull: 150
        }
    }
}

/// The machine of one web server: a sample of processor, memory, disk and network every few seconds.
///
/// The processor and the network follow the requests that were served since the sample before; the memory follows them a little and wanders, the disk
/// fills by three percent a day until the logs are rotated at midnight.
struct WebMachine: Sendable {
    /// Seconds between two samples, as near as whole intervals allow.
    static let sampleSeconds = 5.0
    private static let meanEpisodeSeconds = 300.0

    private var random: SplitMix64
    private let trouble: MachineTrouble?
    private let memoryUsed: Double
    private let diskUsed: Double
    private var wander = 0.0
    /// Seconds until the trouble begins, then until its end.
    private var untilOnset: Double = .infinity
    private var untilEnd = 0.0
    /// Seconds since it began, and when that was, milliseconds; known from the first sample of it on.
    private var age = 0.0
    private var began: Int64?

    init(index: Int, seed: UInt64, step: HostStep) {
        random = SplitMix64(seed: seed ^ 0x3AC_71DE, stream: UInt64(index))
        memoryUsed = 34 + 6 * random.unit()
        diskUsed = 42 + 12 * random.unit()
        trouble = step.troubles.isEmpty ? nil : step.troubles[index / 2 % step.troubles.count]
        guard trouble != nil, step.anomalyRate > 0 else { return }
        plan(step)
        var shared = SplitMix64(seed: seed ^ 0x3AC_71DE, stream: .max)
        let turn = shared.unit() + Double(index) * 0.618_033_988_749_894_9
        let elapsed = (turn - turn.rounded(.down)) * (untilOnset + untilEnd)
        if elapsed < untilOnset {
            untilOnset -= elapsed
        } else {
            age = elapsed - untilOnset
            untilEnd -= age
            untilOnset = 0
        }
    }

    /// The next cycle, sound first.
    private mutating func plan(_ step: HostStep) {
        untilEnd = Self.meanEpisodeSeconds * (0.75 + 0.5 * random.unit())
        untilOnset = untilEnd * (1 - step.anomalyRate) / step.anomalyRate
        age = 0
        began = nil
    }

    /// Writes a sample.
    /// - Parameters:
    ///   - requests: served in the `elapsed` seconds since the sample before.
    ///   - now: seconds since 1970.
    /// - Returns: 0, or the kind of the trouble that shows.
    mutating func write(into event: inout SimulatedEvent, requests: Int, elapsed: Double, at now: Double, _ step: HostStep) -> Int {
        let effect = advance(elapsed, step)
        wander += 0.05 * (2 * random.gaussian() - wander)
        let rate = Double(requests) / elapsed
        let day = now / 86_400
        var cpu = 6 + 5 * rate + 1.5 * random.gaussian()
        var memory = memoryUsed + 0.6 * rate + wander + 0.3 * random.gaussian()
        var disk = diskUsed + 3 * (day - day.rounded(.down)) + 0.02 * random.gaussian()
        var incoming = (1 + 0.8 * rate) * (1 + 0.06 * random.gaussian())
        var outgoing = (2 + 12 * rate) * (1 + 0.06 * random.gaussian())
        switch trouble {
        case .cpuSaturation: cpu += (99 - cpu) * effect
        case .memoryLeak: memory += (97 - memory) * effect
        case .diskFull: disk += (99.5 - disk) * effect
        case .networkStorm:
            incoming += 900 * effect * (0.7 + 0.6 * random.unit())
            outgoing += 700 * effect * (0.7 + 0.6 * random.unit())
        case nil: break
        }
        for (place, value) in [cpu, memory, disk].enumerated() { event.values[9 + place] = .number(Self.tenths(min(max(value, 0), 100))) }
        event.values[12] = .number(Self.tenths(max(incoming, 0)))
        event.values[13] = .number(Self.tenths(max(outgoing, 0)))
        // What has hardly begun is not to be seen yet.
        guard effect >= 0.25, let trouble else { return 0 }
        let start = began ?? Int64((now - age) * 1_000)
        began = start
        event.episode = (start, Int64((now + max(0, untilEnd)) * 1_000))
        return trouble.rawValue
    }

    /// - Returns: how much of the trouble is there, 0...1.
    private mutating func advance(_ elapsed: Double, _ step: HostStep) -> Double {
        if untilOnset > 0 {
            untilOnset -= elapsed
            return 0
        }
        guard let trouble else { return 0 }
        guard untilEnd > 0 else {
            plan(step)
            return 0
        }
        age += elapsed
        untilEnd -= elapsed
        return min(1, age / trouble.riseSeconds)
    }

    private static func tenths(_ value: Double) -> Double { (value * 10).rounded() / 10 }
}
