import KafkaClient
import ServiceKit
import Synchronization

/// How far each service's group is behind, asked of the broker about once a second on a thread of its own.
final class LagMonitor: Sendable {
    struct View: Sendable {
        /// Records behind by service; a service is missing until its group was asked.
        var behind: [String: Int] = [:]
        /// Monotonic seconds at which the last complete round began.
        var askedAt = 0.0
        /// Why the last round failed.
        var trouble: String?
    }

    private let groups: [(service: String, group: String, topics: [String])]
    private let kafka: KafkaSettings
    private let shared = Mutex(View())
    private let stopping = Atomic<Bool>(false)

    init(_ facts: RunFacts, kafka: KafkaSettings) {
        groups = facts.groups
        self.kafka = kafka
    }

    var view: View { shared.withLock { $0 } }
    func stop() { stopping.store(true, ordering: .relaxed) }

    func begin() {
        Threads.start("lag") { [self] in
            do {
                let admin = try KafkaAdmin(kafka)
                while !stopping.load(ordering: .relaxed) {
                    ask(admin)
                    for _ in 0..<5 where !stopping.load(ordering: .relaxed) { Clock.sleep(milliseconds: 100) }
                }
            } catch {
                shared.withLock { $0.trouble = "\(error)" }
            }
        }
    }

    private func ask(_ admin: KafkaAdmin) {
        let start = Clock.monotonicSeconds
        var behind: [String: Int] = [:]
        do {
            for entry in groups {
                let lag = try admin.lag(group: entry.group, topics: entry.topics, timeout: 3_000)
                behind[entry.service] = lag.values.reduce(0) { $0 + Int(max(0, $1)) }
            }
            shared.withLock { $0 = View(behind: behind, askedAt: start) }
        } catch {
            shared.withLock { $0.trouble = error.message }
        }
    }
}
