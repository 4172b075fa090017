import Glibc
import ServiceKit

/// The replicas of the services of one run.
final class Fleet {
    private struct Replica {
        let service: String
        let number: Int
        var pid: pid_t
        /// Between it and Redis; nil where nothing freezes.
        let relay: Relay?
        /// Its end is our doing.
        var isEnding = false
        var isFrozen = false
        /// Was frozen most recently of its service.
        var wasFrozen = false
    }

    private let plan: ServicePlan
    private let watcher: ProcessGuard
    /// Static membership: a replica that is started again takes its partitions back at once.
    private let isStatic: Bool
    private let delivery: String
    private let redisPort: Int
    /// Seconds after which a killed replica is started again. Dynamic members of the embedded broker must outlast the dead one's session:
    /// it can make a dead member the leader of its group, and waits for it for ever once another has joined.
    private var restartAfter: Double { plan.isEmbedded && !isStatic ? 8 : 0.3 }
    private var replicas: [Replica] = []
    /// Killed replicas and when they come back, monotonic seconds.
    private var due: [(service: String, number: Int, at: Double)] = []

    /// - Parameter redisPort: on the loopback address.
    init(_ plan: ServicePlan, _ watcher: ProcessGuard, redisPort: Int, isStatic: Bool, delivery: String) {
        self.plan = plan
        self.watcher = watcher
        self.isStatic = isStatic
        self.delivery = delivery
        self.redisPort = redisPort
    }

    /// Replicas that work now.
    func count(_ service: String) -> Int { working(service).count }

    private func working(_ service: String) -> [Int] {
        replicas.indices.filter { replicas[$0].service == service && !replicas[$0].isEnding && !replicas[$0].isFrozen }
    }

    func start(_ service: String) throws(CommandError) {
        let used = replicas.filter { $0.service == service }.map(\.number) + due.filter { $0.service == service }.map(\.number)
        try start(service, number: (1...).first { !used.contains($0) } ?? 1)
    }

    private func start(_ service: String, number: Int) throws(CommandError) {
        var environment = plan.environment
        environment["VYUHA_HOST"] = "127.0.0.1"
        environment["VYUHA_PORT"] = "0"
        environment["VYUHA_LOG_FORMAT"] = "text"
        // So often that a snapshot has what changed since the one before of some entities only: one that does not belong shows.
        environment["VYUHA_SNAPSHOT_INTERVAL"] = environment["VYUHA_SNAPSHOT_INTERVAL"] ?? "300ms"
        // What the clock decides would differ between the runs: their clocks do.
        environment["VYUHA_IDLE_TIMEOUT"] = "never"
        let isStateful = ["stream-processor", "scoring-service"].contains(service)
        if isStateful { environment["VYUHA_DELIVERY"] = delivery }
        let relay = isStateful && !isStatic ? try Relay(to: redisPort) : nil
        if let relay { environment["REDIS_URL"] = "redis://127.0.0.1:\(relay.port)" }
        if isStatic { environment["VYUHA_INSTANCE_ID"] = "\(service)-\(number)" }
        let command = ChildCommand(
            executable: try Executables.sibling(service), environment: environment.variables,
            log: plan.logs.map { "\($0)/\(plan.facts.name)-\(service)-\(number).log" })
        let pid = try ChildProcess.spawn(command)
        watcher.watch(pid)
        replicas.append(Replica(service: service, number: number, pid: pid, relay: relay))
    }

    /// - Returns: the replica's name.
    func kill(_ service: String, choice: Int, now: Double) -> String {
        guard let index = pick(service, choice) else { return service }
        replicas[index].isEnding = true
        ChildProcess.signal(replicas[index].pid, SIGKILL)
        due.append((service, replicas[index].number, now + restartAfter))
        return name(index)
    }

    func leave(_ service: String, choice: Int) -> String {
        guard let index = pick(service, choice) else { return service }
        replicas[index].isEnding = true
        ChildProcess.signal(replicas[index].pid, SIGTERM)
        return name(index)
    }

    /// What one replica sends to Redis waits from now on, and so does the replica when it needs an answer.
    func hold(_ service: String, choice: Int) -> String {
        guard let index = pick(service, choice) else { return service }
        for other in replicas.indices where replicas[other].service == service { replicas[other].wasFrozen = other == index }
        replicas[index].isFrozen = true
        replicas[index].relay?.hold()
        return name(index)
    }

    /// Freezes the replica that is held.
    func freeze(_ service: String) {
        for replica in replicas where replica.service == service && replica.isFrozen { ChildProcess.signal(replica.pid, SIGSTOP) }
    }

    /// Kills every working replica except those that were frozen.
    func killOthers(_ service: String, now: Double) {
        for index in working(service) where !replicas[index].wasFrozen {
            replicas[index].isEnding = true
            ChildProcess.signal(replicas[index].pid, SIGKILL)
            due.append((service, replicas[index].number, now + restartAfter))
        }
    }

    /// What was held arrives, and then its sender wakes up.
    func thaw(_ service: String) {
        for index in replicas.indices where replicas[index].service == service && replicas[index].isFrozen {
            replicas[index].isFrozen = false
            replicas[index].relay?.release()
            ChildProcess.signal(replicas[index].pid, SIGCONT)
        }
    }

    private func pick(_ service: String, _ choice: Int) -> Int? {
        let working = working(service)
        return working.isEmpty ? nil : working[choice % working.count]
    }

    private func name(_ index: Int) -> String { "\(replicas[index].service)-\(replicas[index].number)" }

    /// Collects who has ended and starts who is due. A replica that ends without having been asked to is an error.
    func tick(now: Double) throws(CommandError) {
        var index = 0
        while index < replicas.count {
            guard let exit = ChildProcess.reap(replicas[index].pid) else {
                index += 1
                continue
            }
            let name = name(index)
            let ended = replicas.remove(at: index)
            watcher.forget(ended.pid)
            ended.relay?.close()
            if !ended.isEnding { throw CommandError("\(name) ended \(exit.words) without having been disturbed.") }
        }
        for (service, number, _) in due.filter({ $0.at <= now }) { try start(service, number: number) }
        due.removeAll { $0.at <= now }
    }

    /// Asks everybody to end and waits; who does not is killed.
    func stop() {
        for index in replicas.indices {
            replicas[index].isEnding = true
            replicas[index].relay?.release()
            ChildProcess.signal(replicas[index].pid, SIGCONT)
            ChildProcess.signal(replicas[index].pid, SIGTERM)
        }
        let deadline = Clock.monotonicSeconds + 15
        var isKilled = false
        while !replicas.isEmpty {
            replicas.removeAll { replica in
                guard ChildProcess.reap(replica.pid) != nil else { return false }
                watcher.forget(replica.pid)
                replica.relay?.close()
                return true
            }
            if !isKilled, Clock.monotonicSeconds > deadline {
                isKilled = true
                for replica in replicas { ChildProcess.signal(replica.pid, SIGKILL) }
            }
            Clock.sleep(milliseconds: 20)
        }
        due = []
    }
}
