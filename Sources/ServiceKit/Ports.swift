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

    /// `wanted` if nobody listens on it, else another.
    public static func free(preferring wanted: Int) -> Int? { isFree(wanted) ? wanted : free() }

    private static let range = 10_000..<30_000
    private static let given = Atomic<Int>(0)

    /// Binds and lets go again.
    private static func isFree(_ port: Int) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        // As servers do: a port in TIME_WAIT is free.
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(truncatingIfNeeded: port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                bind(descriptor, generic, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0 && listen(descriptor, 1) == 0
            }
        }
    }
}
