import Glibc

/// How long to wait between attempts: a random time up to a bound that doubles ("full jitter"), so that many services that lost
/// the same server do not return in step. Source: AWS Architecture Blog, "Exponential Backoff And Jitter", 2015.
public struct RedisBackoff: Sendable, Equatable {
    /// Bound of the first wait in milliseconds.
    public var initial: Int
    /// Bound of every wait in milliseconds.
    public var maximum: Int

    /// Both bounds in milliseconds, at least 1.
    public init(initial: Int = 50, maximum: Int = 2_000) {
        self.initial = max(1, initial)
        self.maximum = max(self.initial, maximum)
    }

    /// The wait after so many failed attempts (from 1), in milliseconds; at least 1, so that no loop spins.
    func wait(afterFailures failures: Int) -> Int {
        let bound = min(maximum, initial << min(failures - 1, 20))
        return Int.random(in: 1...bound)
    }
}

/// Milliseconds of the monotonic clock.
func monotonicMilliseconds() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
}

/// Sleeps in short pieces, so that a stop is heard within 20 ms; false when told to stop.
func sleep(milliseconds: Int, while shouldContinue: () -> Bool) -> Bool {
    let end = monotonicMilliseconds() + milliseconds
    while shouldContinue() {
        let left = end - monotonicMilliseconds()
        if left <= 0 { return true }
        var time = timespec(tv_sec: 0, tv_nsec: min(left, 20) * 1_000_000)
        nanosleep(&time, nil)
    }
    return false
}
