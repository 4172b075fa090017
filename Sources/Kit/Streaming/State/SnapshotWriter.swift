import Glibc
import RedisClient
import ServiceKit
import Synchronization

/// Stores snapshots on a thread and a connection of its own, one after the other, so that no event waits while state is compressed and sent.
final class SnapshotWriter: Sendable {
    struct Snapshot: Sendable {
        var token: StateStore.Token
        var offset: Int64
        var isWhole: Bool
        var state: [UInt8]
    }

    struct Outcome: Sendable {
        var snapshot: Snapshot
        var answer: Result<StateStore.Answer, RedisError>
        /// That storing took.
        var seconds: Double
    }

    private let snapshots = Mailbox<Snapshot?>()
    private let outcomes = Mailbox<Outcome>()

    init(_ redis: RedisSettings, _ store: @escaping @Sendable (RedisClient) -> StateStore) {
        Threads.start("snapshots") { [snapshots, outcomes] in
            let store = store(RedisClient(redis))
            while let snapshot = snapshots.take() {
                let start = Clock.monotonicSeconds
                let answer = Result { () throws(RedisError) in
                    try store.save(snapshot.token, offset: snapshot.offset, isWhole: snapshot.isWhole, snapshot.state)
                }
                outcomes.put(Outcome(snapshot: snapshot, answer: answer, seconds: Clock.monotonicSeconds - start))
            }
        }
    }

    deinit { snapshots.put(nil) }

    func begin(_ snapshot: Snapshot) { snapshots.put(snapshot) }
    /// What became of the oldest one that was begun and not asked for yet.
    func wait() -> Outcome { outcomes.take() }
}

/// Hands values from one thread to another, in order.
private final class Mailbox<Value: Sendable>: @unchecked Sendable {
    private let values = Mutex<[Value]>([])
    private let count = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    init() { sem_init(count, 0, 0) }

    deinit {
        sem_destroy(count)
        count.deallocate()
    }

    func put(_ value: Value) {
        values.withLock { $0.append(value) }
        sem_post(count)
    }

    /// Waits until there is one.
    func take() -> Value {
        // A signal may end the wait (sem_wait(3), EINTR).
        while sem_wait(count) != 0 {}
        return values.withLock { $0.removeFirst() }
    }
}
