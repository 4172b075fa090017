/// Decides what follows the death of a service: a restart after a growing pause, or the end of the run.
///
/// Pure: times come from the caller, in seconds on any clock that only goes forward.
struct CrashLoopPolicy: Sendable {
    /// This many deaths within `period` are a crash loop.
    static let limit = 5
    /// Seconds.
    static let period = 30.0
    /// Exit statuses that no restart can heal: wrong settings (EX_USAGE of sysexits.h), and what a shell says of a program that is
    /// not executable or not found.
    static let hopeless: Set<Int32> = [64, 126, 127]

    enum Verdict: Equatable {
        case restart(afterMilliseconds: Int)
        case crashLoop
        case hopeless
    }

    private var deaths: [Double] = []

    /// - Parameters:
    ///   - now: seconds.
    ///   - exitCode: of the death; negative for a signal.
    mutating func died(at now: Double, exitCode: Int32) -> Verdict {
        if Self.hopeless.contains(exitCode) { return .hopeless }
        deaths.removeAll { now - $0 > Self.period }
        deaths.append(now)
        if deaths.count >= Self.limit { return .crashLoop }
        // 0.2, 0.4, 0.8, 1.6 s: the fifth death in a row then still falls into the period.
        return .restart(afterMilliseconds: 200 << (deaths.count - 1))
    }
}
