import Glibc

/// TCP sockets on this host's loopback address; the caller closes them.
public enum Loopback {
    /// A socket that listens on 127.0.0.1; nil where the port is taken.
    public static func listen(on port: Int) -> Int32? {
        guard let descriptor = open(AF_INET) else { return nil }
        // As servers do: a port in TIME_WAIT is free.
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        let listens = withAddress(port, AF_INET) { bind(descriptor, $0, $1) == 0 && Glibc.listen(descriptor, 16) == 0 }
        return listens ? descriptor : abandon(descriptor)
    }

    /// A connection to 127.0.0.1, or with `AF_INET6` to ::1; nil where nobody answers.
    /// - Parameter limit: seconds that connecting and each later call may wait; 0 for ever.
    public static func connect(to port: Int, family: Int32 = AF_INET, limit: Int = 0) -> Int32? {
        guard let descriptor = open(family) else { return nil }
        var patience = timeval(tv_sec: limit, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(descriptor, SOL_SOCKET, option, &patience, socklen_t(MemoryLayout<timeval>.size))
        }
        let connects = withAddress(port, family) { Glibc.connect(descriptor, $0, $1) == 0 }
        return connects ? descriptor : abandon(descriptor)
    }

    private static func open(_ family: Int32) -> Int32? {
        let descriptor = socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        return descriptor < 0 ? nil : descriptor
    }

    private static func abandon(_ descriptor: Int32) -> Int32? {
        close(descriptor)
        return nil
    }

    private static func withAddress<Result>(_ port: Int, _ family: Int32, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        let port = in_port_t(truncatingIfNeeded: port).bigEndian
        if family == AF_INET6 {
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port
            address.sin6_addr = in6addr_loopback
            return rebound(address, body)
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        return rebound(address, body)
    }

    private static func rebound<Address, Result>(_ address: Address, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<Address>.size)) }
        }
    }
}
