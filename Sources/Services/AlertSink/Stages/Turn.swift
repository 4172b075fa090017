import ServiceKit
import Synchronization

/// When the delivery threads end: they run until they are told to drain, then empty their outboxes for a bounded time.
final class Turn: Sendable {
    private let deadline = Atomic<UInt64>(.max)
    private let running = Atomic<Int>(0)
    private let failure = Mutex<(any Error)?>(nil)

    /// No more anomalies are admitted: deliver what waits, and end when nothing does.
    var isDraining: Bool { deadline.load(ordering: .relaxed) != .max }
    /// End now; what is left stays in the outbox.
    var isOver: Bool { isDraining && Clock.monotonicNanoseconds >= deadline.load(ordering: .relaxed) }

    func drain(milliseconds: Int) {
        deadline.store(Clock.monotonicNanoseconds + UInt64(milliseconds) * 1_000_000, ordering: .relaxed)
    }

    func began() { running.wrappingAdd(1, ordering: .relaxed) }
    func ended() { running.wrappingSubtract(1, ordering: .releasing) }
    var isAnyoneRunning: Bool { running.load(ordering: .acquiring) > 0 }

    /// Remembers the first error that a delivery thread could not recover from.
    func failed(_ error: any Error) { failure.withLock { if $0 == nil { $0 = error } } }
    func throwFailure() throws { if let error = failure.withLock({ $0 }) { throw error } }
}
