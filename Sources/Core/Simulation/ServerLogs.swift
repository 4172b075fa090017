/// Access lines of web servers and samples of their machines: requests that follow the hour of the day, and attacks and troubles among them.
///
/// A host answers one request per `interval` on average over the day, up to 1.6 in the afternoon and down to 0.4 at night, half the swing
/// on weekends. What comes within one interval comes within a few milliseconds, as browsers ask. Time taken has a long tail and grows with
/// the load.
///
/// **Attacks** (`ServerAttack`). Each host suffers one kind, in episodes that make `anomalyRate` of its lines on average. Only the attack's own
/// lines are anomalous; visitors go on beside it.
///
/// **Machines** (`WebMachine`). Every five seconds a host sends processor, memory and disk in percent, and kilobytes a second in and out, instead of
/// a line's fields. They follow the requests. Each machine has one kind of trouble (`MachineTrouble`) in `anomalyRate` of its time; it and the attacks
/// know nothing of each other, but for a flood, which shows in both.
///
/// Cost: about 0.1 µs a line, 300 bytes a host.
public struct ServerLogs: Simulator {
    static let name = "server-logs"
    static let fields = [
        SimulatedField("host", .text), SimulatedField("timestamp", .time), SimulatedField("client", .text), SimulatedField("method", .text),
        SimulatedField("path", .text), SimulatedField("route", .text), SimulatedField("status", .integer), SimulatedField("bytes", .integer),
        SimulatedField("duration", .number), SimulatedField("cpu", .number), SimulatedField("memory", .number), SimulatedField("disk", .number),
        SimulatedField("network_in", .number), SimulatedField("network_out", .number),
    ]

    public let settings: SimulatorSettings
    public var fields: [SimulatedField] { Self.fields }
    public let anomalyKinds = ServerAttack.allCases.map(\.name) + MachineTrouble.allCases.map(\.name)

    private var hosts: [WebHost]
    private var current = 0
    private var round: Int64 = 0
    /// Events of the current host that are still to come in this interval, and all of them.
    private var left = 0
    private var lines = 0
    private let step: HostStep

    /// Ranges are checked by `Simulators.make`; a share of 0 attacks nobody.
    init(_ settings: SimulatorSettings) {
        self.settings = settings
        step = HostStep(
            seconds: Double(settings.interval) / 1_000, anomalyRate: settings.anomalyRate,
            attacks: ServerAttack.allCases.filter { settings.kinds.isEmpty || settings.kinds.contains($0.name) },
            troubles: MachineTrouble.allCases.filter { settings.kinds.isEmpty || settings.kinds.contains($0.name) })
        hosts = []
        hosts.reserveCapacity(settings.entities)
        for index in 0..<settings.entities { hosts.append(WebHost(index: index, seed: settings.seed, step: step)) }
        begin()
    }

    /// The first millisecond of the current host's part of the interval.
    private func time(_ index: Int) -> Int64 {
        settings.start + round * settings.interval + Int64(index) * settings.interval / Int64(hosts.count)
    }

    private mutating func begin() {
        lines = hosts[current].begin(step, round: round, at: Double(time(current)) / 1_000)
        left = lines
    }

    public mutating func next(into event: inout SimulatedEvent) {
        while left == 0 {
            current += 1
            if current == hosts.count {
                current = 0
                round += 1
            }
            begin()
        }
        // Within the host's own part of the interval, so that the lines of all hosts stay in order.
        let part = Int64(current + 1) * settings.interval / Int64(hosts.count) - Int64(current) * settings.interval / Int64(hosts.count)
        event.eventTime = time(current) + part * Int64(lines - left) / Int64(lines)
        left -= 1
        event.entity = current
        if event.values.count != Self.fields.count { event.values = Array(repeating: .missing, count: Self.fields.count) }
        event.text.removeAll(keepingCapacity: true)
        event.values[0] = .text(event.write("web-", number: current + 1, digits: 2))
        event.values[1] = .number(Double(event.eventTime) / 1_000)
        let now = time(current)
        event.episode = (now - (hosts[current].attackAge - 1) * settings.interval, now + hosts[current].attackLeft)
        hosts[current].write(step, into: &event)
    }
}
