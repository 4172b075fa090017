import Contracts
import Features
import Glibc
import KafkaClient
import RedisClient
import ServiceKit
import Streaming
import UseCases

/// `benchmarks state`: how long the stream processor's state of 100,000 entities takes to be stored in and restored from Redis, and what
/// snapshots cost at a steady rate. The state is that of `benchmarks stream`: 60 s windows sliding by 10 s with six aggregates.
struct StateBenchmark {
    private struct Settings {
        let entities: Int
        let partitions: Int
        let rate: Int
        let interval: Int
        let repeats: Int
        let definition: String

        init?(_ reader: inout SettingsReader) {
            entities = reader.integer("--entities", default: 100_000, in: 100...1_000_000, "Entities over all partitions.")
            partitions = reader.integer("--partitions", default: 32, in: 1...1_000, "Partitions.")
            rate = reader.integer("--rate", default: 20_000, in: 100...1_000_000, "Events a second of the steady load.")
            interval = reader.integer("--interval", default: 10, in: 1...600, unit: "seconds", "Between snapshots.")
            repeats = reader.integer("--repeats", default: 3, in: 1...20, "Runs of each measurement; each is printed.")
            definition = reader.string("--definition", default: "services/scripts/bench/definitions/windows", "Use case whose state it is.")
        }
    }

    /// As the stream processor keeps it.
    private final class State: PartitionStateful {
        let partition: PartitionState
        init(_ plan: FeaturePlan) { partition = PartitionState(plan: plan) }

        func write(whole: Bool) -> [UInt8] {
            var bytes: [UInt8] = []
            partition.writeSnapshot(whole ? .full : .changes, into: &bytes)
            return bytes
        }

        func restore(_ parts: [[UInt8]]) throws { for part in parts { try partition.restore(part) } }
        func decisionDue(silence: Int64) -> Decision? { nil }

        struct Decision: RawRepresentable { let rawValue: Int64 }
    }

    /// The load: which entity's event is applied next, and how far the partitions are.
    private struct Load {
        var events: SensorEvents
        var offsets: [Int64]
        var index = 0
        var emissions = Emissions()
        let names: [[UInt8]]
        var row: [Double]
        let value: Int
        let time: Int
    }

    private let settings: Settings

    init(_ arguments: [String]) {
        settings = Service.readSettings(
            "benchmarks state", "Snapshot and restore of the stream processor's state, and what snapshots cost.", arguments: arguments, Settings.init)
    }

    func run() throws {
        let useCase = try UseCase.load(settings.definition, environment: [:])
        var rules = useCase.plan.time
        rules.maximumEntities = 1_000_000
        let plan = try FeaturePlan(schema: useCase.plan.schema, sets: useCase.features, time: rules)
        for _ in 0..<settings.repeats { try measure(plan) }
    }

    private func measure(_ plan: FeaturePlan) throws {
        let port = try freePort()
        let redis = try Child(
            "redis-server", ["redis-server", "--bind", "127.0.0.1", "--port", "\(port)", "--save", "", "--appendonly", "no"],
            log: ".build/bench-redis.log")
        defer { redis.stop() }
        let url = try RedisSettings(url: "redis://127.0.0.1:\(port)")
        try RedisClient(url).connect(within: 10_000)
        let owner = partitions(plan, url)
        let places = (0..<Int32(settings.partitions)).map { TopicPartition("bench", $0) }
        _ = try owner.take(places.map { PartitionOffset($0, PartitionOffset.invalid) })
        var load = Load(
            events: SensorEvents(sensors: settings.entities, perSecond: Double(settings.rate)), offsets: [Int64](repeating: 0, count: places.count),
            names: (0..<settings.entities).map(SensorEvents.name), row: [Double](repeating: 0, count: plan.schema.fields.count),
            value: plan.schema.index(of: "value") ?? 0, time: plan.schema.timeIndex)
        // A minute and more, so that the windows are as full as they become.
        try apply(max(settings.entities * 3, settings.rate * 70), &load, to: owner)
        let whole = try store(owner, places, load)
        let client = RedisClient(url)
        var stored = 0
        for place in places {
            let key = RedisKeys(useCase: "bench").stateSnapshot(service: "bench", partition: place.partition)
            stored += Int(try client.command("HSTRLEN", key, "0").integer ?? 0)
        }

        let next = partitions(plan, url)
        let start = Clock.monotonicSeconds
        _ = try next.take(zip(places, load.offsets).map { PartitionOffset($0, $1) })
        let restored = Clock.monotonicSeconds - start
        var entities = 0
        next.forEach { entities += $0.state.partition.entityCount }
        guard entities == settings.entities else { throw BenchmarkError("\(entities) of \(settings.entities) entities were restored.") }

        let rounds = 24
        var (own, server, events) = (0.0, redis.cpuSeconds, 0.0)
        for _ in 0..<rounds {
            let begin = ownSeconds
            try apply(settings.rate * settings.interval, &load, to: next)
            events += ownSeconds - begin
            own += try store(next, places, load).own
        }
        server = redis.cpuSeconds - server
        let span = Double(rounds * settings.interval)
        print(
            "snapshot of \(settings.entities) entities, \(stored >> 20) MiB in Redis: \(milliseconds(whole.wall)) (CPU \(milliseconds(whole.own))), goal < 1 s; restore: "
                + "\(milliseconds(restored)), goal < 1 s")
        print(
            "snapshots every \(settings.interval) s at \(settings.rate) events/s: \(percent(own / span)) of a core in the service, "
                + "\(percent(server / span)) in Redis, together goal < 10 %; the events themselves \(percent(events / span))")
    }

    private func partitions(_ plan: FeaturePlan, _ url: RedisSettings) -> StatefulPartitions<State> {
        let service = Service(
            name: "bench", log: Logger(service: "bench", level: .error, format: .text), metrics: Metrics(), life: Lifecycle())
        return StatefulPartitions(
            service, redis: url, store: { StateStore($0, keys: RedisKeys(useCase: "bench"), service: "bench") },
            interval: Double(settings.interval), idleAfter: .max, make: { _ in State(plan) }, carryOut: { _, _, _ in })
    }

    private func apply(_ count: Int, _ load: inout Load, to owner: StatefulPartitions<State>) throws {
        for _ in 0..<count {
            let sensor = load.events.sensor(load.index)
            let when = Int64(load.events.time(load.index) * 1000)
            let partition = sensor % settings.partitions
            load.index += 1
            load.row[load.value] = load.events.value()
            load.row[load.time] = Double(when)
            try owner.apply(Int32(partition), at: load.offsets[partition]) { owned, _ in
                _ = owned.state.partition.apply(row: load.row, entity: load.names[sensor], eventTime: when, into: &load.emissions)
            }
            load.offsets[partition] += 1
            if load.emissions.items.count > 10_000 { load.emissions.removeAll() }
        }
    }

    private func store(_ owner: StatefulPartitions<State>, _ places: [TopicPartition], _ load: Load) throws -> (wall: Double, own: Double) {
        let (wall, cpu) = (Clock.monotonicSeconds, ownSeconds)
        for (place, offset) in zip(places, load.offsets) { try owner.committed(place, offset) }
        try owner.finishStoring()
        return (Clock.monotonicSeconds - wall, ownSeconds - cpu)
    }

    private func milliseconds(_ seconds: Double) -> String { "\(Int((seconds * 1000).rounded())) ms" }
    private func percent(_ share: Double) -> String { "\((share * 1000).rounded() / 10) %" }

    /// CPU time of this process, so that what else the machine does hardly counts.
    private var ownSeconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
