import Contracts
import RedisClient
import ServiceKit

/// Carries out a plan: each service has its own course of pauses, disturbances and recoveries.
struct Disturber {
    /// Longest that a service may take to work again, seconds.
    static let recoveryLimit = 180.0
    /// How long a frozen replica stands still, seconds: longer than a session of 6 s and than the embedded broker takes to notice.
    private static let freeze = 16.0
    /// How long what the replica sends to Redis is held before it is frozen, seconds: longer than the interval of snapshots in a fleet.
    private static let hold = 1.0
    /// Seconds between the end of a freeze and the kill of the other replicas: enough for what the frozen one was about to store.
    private static let aftermath = 1.0
    /// A service works again when it is through with records that the rig first saw so long after the disturbance, seconds: what came before
    /// it may have been read by the replica that was killed.
    private static let markAfter = 0.5

    /// Seconds that new input is waited for: the service before this one may be down itself.
    private static let patience = 30.0

    private enum Phase {
        /// What the replica sends to Redis is held; it is about to be frozen.
        case holding(until: Double)
        case frozen(until: Double)
        case pause(until: Double)
        case settling(until: Double)
        case marking(since: Double)
        case recovering(GroupWatch.Ends)
        case done
    }

    private struct Course {
        let service: String
        var steps: ArraySlice<DisturbancePlan.Step>
        var phase: Phase
        var began = 0.0
        var name = ""
        /// In the topic that the service reads, soon after the disturbance.
        var recordsBefore: Int64 = 0
    }

    struct Recovery {
        var disturbance: Disturbance
        var seconds: Double
    }

    private let keys: RedisKeys
    private let partitions: Int
    private var courses: [Course]
    private(set) var recoveries: [Recovery] = []
    /// Stored state that was lost to a former owner.
    private(set) var setBacks: [String] = []

    init(_ plan: DisturbancePlan, _ facts: RunFacts, now: Double) {
        (keys, partitions) = (facts.keys, facts.partitions)
        courses = zip(ServicePlan.consumers, plan.steps).map { service, steps in
            Course(service: service, steps: steps[...], phase: steps.first.map { .pause(until: now + $0.pause) } ?? .done)
        }
    }

    var isDone: Bool { courses.allSatisfy { if case .done = $0.phase { true } else { false } } }

    /// One look at every service.
    mutating func tick(
        _ fleet: Fleet, _ redis: RedisClient, _ watch: GroupWatch, ends: GroupWatch.Ends, now: Double, say: (String) -> Void
    ) throws {
        for index in courses.indices {
            let service = courses[index].service
            switch courses[index].phase {
            case .pause(let end) where now >= end:
                courses[index].began = now
                courses[index].phase = .settling(until: now + Self.markAfter)
                try disturb(&courses[index], fleet, now)
            case .holding(let end) where now >= end:
                fleet.freeze(service)
                courses[index].phase = .frozen(until: now + Self.freeze)
            case .frozen(let end) where now >= end:
                try awaken(service, fleet, redis, now)
                courses[index].phase = .settling(until: now + Self.markAfter)
            case .settling(let end) where now >= end:
                courses[index].recordsBefore = watch.records(of: service, ends)
                courses[index].phase = .marking(since: now)
            case .marking(let start):
                // Something new must have come, or having read everything would prove nothing.
                guard watch.records(of: service, ends) > courses[index].recordsBefore || now >= start + Self.patience else { continue }
                courses[index].phase = .recovering(ends)
            case .recovering(let mark):
                let seconds = now - courses[index].began
                guard watch.isThrough(service, mark) else {
                    guard seconds < Self.recoveryLimit else {
                        throw CommandError("\(courses[index].name) did not recover within \(Int(Self.recoveryLimit)) s.")
                    }
                    continue
                }
                guard let step = courses[index].steps.popFirst() else { continue }
                recoveries.append(Recovery(disturbance: step.disturbance, seconds: seconds))
                say("\(recoveries.count). \(step.disturbance.rawValue) \(courses[index].name): recovered after \(Seconds.text(seconds))")
                courses[index].phase = courses[index].steps.first.map { .pause(until: now + $0.pause) } ?? .done
            default: break
            }
        }
    }

    /// Which offset the stored state of each partition covers; -1 where there is none.
    private func storedOffsets(of service: String, _ redis: RedisClient) throws -> [Int64] {
        var questions = RedisPipeline()
        for partition in 0..<Int32(partitions) {
            questions.append("HGET", keys.stateSnapshot(service: service, partition: partition), "offset")
        }
        return try redis.run(questions).map { $0.bytes.flatMap { Int64(String(decoding: $0, as: UTF8.self)) } ?? -1 }
    }

    /// Lets what was held arrive, ends the freeze, and looks closely at the stored state: it never covers less than it did, unless a former owner
    /// writes over what the present one has stored. Then the others are killed.
    private mutating func awaken(_ service: String, _ fleet: Fleet, _ redis: RedisClient, _ now: Double) throws {
        var highest = try storedOffsets(of: service, redis)
        fleet.thaw(service)
        let end = Clock.monotonicSeconds + Self.aftermath
        while Clock.monotonicSeconds < end {
            for (partition, offset) in try storedOffsets(of: service, redis).enumerated() {
                if offset < highest[partition] {
                    setBacks.append(
                        "state: lost, \(service)'s partition \(partition) was stored up to \(highest[partition]), then by a former owner up to "
                            + "\(offset)")
                }
                highest[partition] = offset
            }
            Clock.sleep(milliseconds: 2)
        }
        fleet.killOthers(service, now: now)
    }

    private func disturb(_ course: inout Course, _ fleet: Fleet, _ now: Double) throws {
        guard let step = course.steps.first else { return }
        switch step.disturbance {
        case .kill: course.name = fleet.kill(course.service, choice: step.choice, now: now)
        case .scaleUp:
            course.name = course.service
            try fleet.start(course.service)
        case .scaleDown: course.name = fleet.leave(course.service, choice: step.choice)
        case .freeze:
            // The replica comes to stand where it stores state, its offsets committed, and that write arrives only when others own its partitions.
            course.name = fleet.hold(course.service, choice: step.choice)
            course.phase = .holding(until: now + Self.hold)
        }
    }
}

enum Seconds {
    /// "1.2 s".
    static func text(_ seconds: Double) -> String { "\((seconds * 10).rounded() / 10) s" }
}
