import Glibc
import Synchronization

/// Loopback ports for servers that a program is about to start.
public enum Ports {
    /// A port that nobody listens on and that this process has given to nobody else; nil when every one is taken.
    ///
    /// Below the kernel's range for outgoing connections (ip(7), `ip_local_port_range`, from 32768): a port of that range may be taken by any
    /// connection that somebody opens between this call and the moment the server listens on it. Processes begin at different places.
    public static func free() -> Int? {
        for _ in range {
            let number = given.wrappingAdd(1, ordering: .relaxed).oldValue
            let port = range.lowerBound + (Int(getpid()) * 211 + number) % range.count
            if isFree(port) { return port }
        }
        return nil
    }

    /// `wanted` if nobody listens on it, else another. No other process is given `wanted` by this while this one runs: it may listen later.
    public static func free(preferring wanted: Int) -> Int? { reserve(wanted) && isFree(wanted) ? wanted : free() }

    /// The lock goes with the process. Where no lock can be had, as beside another user's, nothing is reserved.
    private static func reserve(_ port: Int) -> Bool {
        let file = open("/tmp/vyuha-port-\(port).lock", O_CREAT | O_RDWR | O_CLOEXEC, 0o666)
        return file < 0 || flock(file, LOCK_EX | LOCK_NB) == 0
    }

    private static let range = 10_000..<30_000
    private static let given = Atomic<Int>(0)

    /// Listens and lets go again.
    private static func isFree(_ port: Int) -> Bool { Loopback.listen(on: port).map { close($0) } != nil }
}
