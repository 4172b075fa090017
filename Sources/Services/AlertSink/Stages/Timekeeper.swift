import Platform
import RedisClient
import ServiceKit

/// Looks after the timers of the groups, under the lease: groups span partitions, so one sink does it for all.
///
/// A sink that dies or freezes loses the lease after `leaseTime`; what it wrote late is refused by the store.
final class Timekeeper {
    /// Milliseconds; bounds how late a message can be after a crash.
    static let leaseTime = 5_000
    private static let keepInterval: UInt64 = 1_000_000_000
    /// Milliseconds; how late a timer may be. Each look asks Redis.
    private static let pause = 100

    private let decisions: Decisions
    private let token: String
    private let note: (Decisions.Outcome) -> Void
    private var hasLease = false
    private var askAgainAt: UInt64 = 0

    /// - Parameter token: names this life of the sink; nobody else has the same.
    init(_ decisions: Decisions, token: String, note: @escaping (Decisions.Outcome) -> Void) {
        self.decisions = decisions
        self.token = token
        self.note = note
    }

    /// Runs until the turn is over or draining; Redis being away only makes it wait.
    func run(_ turn: Turn, _ log: Logger) throws {
        var backoff = Backoff(initial: 50, maximum: 2_000)
        while !turn.isDraining {
            do throws(RedisError) {
                try beat()
                backoff.reset()
                Clock.sleep(milliseconds: Self.pause)
            } catch {
                guard error.isRetryable else { throw error }
                if backoff.attempts == 0 { log.warning("timers of alerts wait because Redis is away", ["error": "\(error)"]) }
                hasLease = false
                Clock.sleep(milliseconds: backoff.next())
            }
        }
        if hasLease { try? decisions.store.release(token) }
    }

    private func beat() throws(RedisError) {
        let now = Clock.monotonicNanoseconds
        if now >= askAgainAt {
            hasLease = try decisions.store.lease(token, for: Self.leaseTime)
            askAgainAt = now + Self.keepInterval
        }
        guard hasLease else { return }
        let outcome = try decisions.lookAfterTimers(now: Clock.milliseconds, lease: token)
        if outcome != Decisions.Outcome() { note(outcome) }
    }
}
