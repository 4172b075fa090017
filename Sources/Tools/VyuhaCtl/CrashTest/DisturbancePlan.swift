import Text

/// Something that happens to a service in the middle of its work.
enum Disturbance: String, Sendable {
    /// SIGKILL of one replica, which is then started again.
    case kill
    /// One more replica joins.
    case scaleUp = "scale-up"
    /// One replica is asked to leave (SIGTERM).
    case scaleDown = "scale-down"
    /// A replica stands still for longer than its session (SIGSTOP, then SIGCONT) while it stores state, and what it had sent to Redis arrives
    /// when it wakes up: its partitions have other owners then, and the write must have no effect. To show whether it had one, the other
    /// replicas are killed as soon as it is awake, so that what is stored now is what the next owners read.
    case freeze
}

/// What happens to each service, in what order, with pauses of random length: a function of the seed.
///
/// Services are disturbed independently of each other, so disturbances of several of them overlap.
struct DisturbancePlan: Sendable, Equatable {
    struct Step: Sendable, Equatable {
        var disturbance: Disturbance
        /// Seconds after the service has recovered from the step before.
        var pause: Double
        /// Chooses among the replicas.
        var choice: Int
    }

    /// In the order of `ServicePlan.consumers`.
    private(set) var steps: [[Step]]

    /// - Parameters:
    ///   - count: disturbances of all services together.
    ///   - killsOnly: for brokers on which a replica cannot join and leave.
    init(seed: UInt64, count: Int, killsOnly: Bool) {
        var generator = SplitMix64(seed: seed)
        // From one replica to three and back, with a freeze and a kill among the three.
        let scaled: [Disturbance] = killsOnly ? [.kill] : [.kill, .scaleUp, .scaleUp, .freeze, .kill, .scaleDown, .scaleDown]
        let cycles = [scaled, [.kill], scaled, [.kill]]
        steps = cycles.map { _ in [] }
        for number in 0..<count {
            // In the order of `ServicePlan.consumers`; of twenty, the processor and the scorer get seven each, which is the whole cycle.
            let service = [Self.processor, Self.scorer, Self.writer, Self.processor, Self.scorer, Self.sink][number % 6]
            let cycle = cycles[service]
            let pause = 0.3 + 2.7 * generator.unit()
            steps[service].append(
                Step(disturbance: cycle[steps[service].count % cycle.count], pause: pause, choice: Int(generator.next() >> 33)))
        }
    }

    private static let (processor, writer, scorer, sink) = (0, 1, 2, 3)
}
