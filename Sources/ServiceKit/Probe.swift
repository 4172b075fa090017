import Glibc

/// Asks a service on this host for `/ready`: the health check of an image that has neither shell nor curl.
enum Probe {
    /// Seconds for the whole question.
    private static let limit = 2

    /// One connection to 127.0.0.1, or to ::1 where the service listens on IPv6 only; false when no answer with status 200 comes in time.
    static func isReady(port: Int) -> Bool {
        answers(port, family: AF_INET) || answers(port, family: AF_INET6)
    }

    private static func answers(_ port: Int, family: Int32) -> Bool {
        let connection = socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard connection >= 0 else { return false }
        defer { close(connection) }
        var patience = timeval(tv_sec: limit, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(connection, SOL_SOCKET, option, &patience, socklen_t(MemoryLayout<timeval>.size))
        }
        guard connects(connection, port, family) else { return false }
        let request = Array("GET /ready HTTP/1.0\r\nHost: localhost\r\n\r\n".utf8)
        guard send(connection, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else { return false }
        // The status line is a few bytes in the answer's first packet.
        var answer = [UInt8](repeating: 0, count: 64)
        let count = recv(connection, &answer, answer.count, 0)
        guard count > 0 else { return false }
        let words = answer.prefix(count).split(separator: UInt8(ascii: " "), maxSplits: 2)
        return words.count > 1 && words[1].elementsEqual("200".utf8)
    }

    private static func connects(_ connection: Int32, _ port: Int, _ family: Int32) -> Bool {
        let port = in_port_t(truncatingIfNeeded: port).bigEndian
        if family == AF_INET6 {
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port
            address.sin6_addr = in6addr_loopback
            return connect(connection, address)
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return connect(connection, address)
    }

    private static func connect<Address>(_ connection: Int32, _ address: Address) -> Bool {
        withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.connect(connection, $0, socklen_t(MemoryLayout<Address>.size)) == 0 }
        }
    }
}
