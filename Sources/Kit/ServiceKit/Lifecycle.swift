import Glibc
import Synchronization

/// Whether this process should go on, is alive, and is ready; safe from any thread.
public final class Lifecycle: Sendable {
    private let stopping = Atomic<Bool>(false)
    private let notReady = Mutex<String?>("starting")
    private let heldUp = Mutex<String?>(nil)
    private let lastTurn = Atomic<UInt64>(0)

    public init() {}

    /// True once SIGTERM or SIGINT came, or `stop()` was called: stop polling, drain, commit, return.
    public var isStopping: Bool { stopping.load(ordering: .relaxed) }
    public func stop() { stopping.store(true, ordering: .relaxed) }

    /// What keeps the service from being ready; nil when it is.
    public var obstacle: String? {
        get { isStopping ? "stopping" : notReady.withLock { $0 } }
        set { notReady.withLock { $0 = newValue } }
    }

    /// What holds up the work of a service that has begun, such as a server that is away or full; nil while it goes on.
    public var trouble: String? {
        get { heldUp.withLock { $0 } }
        set { heldUp.withLock { $0 = newValue } }
    }

    /// The pipeline calls this on every turn of its loop; `/health` turns bad when it has not for `staleAfter`.
    public func turned() { lastTurn.store(Clock.monotonicNanoseconds, ordering: .relaxed) }

    /// Seconds since the loop last turned; nil before its first turn.
    var secondsSinceTurn: Double? {
        let last = lastTurn.load(ordering: .relaxed)
        return last == 0 ? nil : Double(Clock.monotonicNanoseconds &- last) / 1e9
    }

    /// Blocks SIGTERM and SIGINT in this thread and all it starts later, and waits for them on a thread of its own.
    /// Call before any other thread exists. A process that has not ended `grace` seconds after the signal is ended with status 1.
    func stopOnSignals(grace: Int, log: Logger) {
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, SIGTERM)
        sigaddset(&set, SIGINT)
        pthread_sigmask(SIG_BLOCK, &set, nil)
        signal(SIGPIPE, SIG_IGN)
        let signals = set
        Threads.start("signals") { [self] in
            var signals = signals
            var number: Int32 = 0
            sigwait(&signals, &number)
            log.info("stopping", ["signal": number == SIGINT ? "SIGINT" : "SIGTERM"])
            stop()
            for _ in 0..<grace * 10 { Clock.sleep(milliseconds: 100) }
            log.error("the service did not stop in time and is ended", ["grace_seconds": grace])
            _exit(1)
        }
    }
}

/// Dedicated threads, named so that `top -H` shows who works.
public enum Threads {
    /// Starts a detached thread that runs `body` once. The name is cut to 15 bytes (proc(5), `comm`).
    public static func start(_ name: String, _ body: @escaping @Sendable () -> Void) {
        let box = Unmanaged.passRetained(Body(name: String(name.prefix(15)), run: body))
        var thread = pthread_t()
        let result = pthread_create(&thread, nil, threadEntry, box.toOpaque())
        if result == 0 { pthread_detach(thread) } else { box.release() }
    }

    fileprivate final class Body: Sendable {
        let name: String
        let run: @Sendable () -> Void
        init(name: String, run: @escaping @Sendable () -> Void) {
            self.name = name
            self.run = run
        }
    }
}

/// C calls this on the new thread; a free function, so that it belongs to no actor.
private func threadEntry(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    let body = Unmanaged<Threads.Body>.fromOpaque(argument).takeRetainedValue()
    // Glibc's Swift module has no pthread_setname_np; the kernel takes the name as a file too.
    let file = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
    if file >= 0 {
        _ = body.name.withCString { write(file, $0, strlen($0)) }
        close(file)
    }
    body.run()
    return nil
}
