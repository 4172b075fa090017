/// Exponential backoff with full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015).
public struct Backoff {
    private let initial: Int
    private let maximum: Int
    private var ceiling: Int
    /// How often `next()` was asked since the last `reset()`.
    public private(set) var attempts = 0

    /// - Parameters:
    ///   - initial: upper bound of the first wait, milliseconds.
    ///   - maximum: upper bound of any wait, milliseconds.
    public init(initial: Int = 100, maximum: Int = 5_000) {
        self.initial = initial
        self.maximum = maximum
        ceiling = initial
    }

    /// The next wait in milliseconds; at least half of the current ceiling, so that a retry never follows at once.
    public mutating func next() -> Int {
        attempts += 1
        let wait = Int.random(in: ceiling / 2...ceiling)
        ceiling = min(maximum, ceiling * 2)
        return wait
    }

    /// Call after a success.
    public mutating func reset() {
        ceiling = initial
        attempts = 0
    }
}
