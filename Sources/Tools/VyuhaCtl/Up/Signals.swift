import Glibc

/// Signals as values: blocked everywhere and taken by the main thread where it waits, so that no handler interrupts anything.
struct Signals {
    private var set = sigset_t()

    /// Blocks SIGINT, SIGTERM, SIGHUP and SIGCHLD in this thread and all that it starts. Call before any other thread exists.
    init() {
        sigemptyset(&set)
        for number in [SIGINT, SIGTERM, SIGHUP, SIGCHLD] { sigaddset(&set, number) }
        pthread_sigmask(SIG_BLOCK, &set, nil)
        signal(SIGPIPE, SIG_IGN)
    }

    /// Waits at most that long.
    /// - Returns: true when the user or the system asked for the end; a child's death only ends the wait early.
    mutating func wait(milliseconds: Int) -> Bool {
        var timeout = timespec(tv_sec: milliseconds / 1000, tv_nsec: milliseconds % 1000 * 1_000_000)
        let number = sigtimedwait(&set, nil, &timeout)
        return number == SIGINT || number == SIGTERM || number == SIGHUP
    }
}
