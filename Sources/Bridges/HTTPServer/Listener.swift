import Glibc

/// Opens a listening socket itself, so that a port in use or a wrong address has a clear message.
func openListener(_ settings: HTTPServerSettings) throws(HTTPServerError) -> (descriptor: Int32, port: Int) {
    guard (0...65_535).contains(settings.port) else { throw HTTPServerError("The port \(settings.port) is not from 0 to 65535.") }
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = AI_PASSIVE
    var found: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(settings.host, String(settings.port), &hints, &found)
    defer { if let found { freeaddrinfo(found) } }
    guard code == 0, let address = found?.pointee else {
        throw HTTPServerError("The address \(settings.host) to listen on is not known (\(String(cString: gai_strerror(code)))).")
    }
    let descriptor = socket(address.ai_family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
    guard descriptor >= 0 else { throw HTTPServerError("No socket can be opened (\(String(cString: strerror(errno)))).") }
    var on: Int32 = 1
    // A restart must not wait until the old connections' addresses are forgotten.
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
    guard bind(descriptor, address.ai_addr, address.ai_addrlen) == 0, listen(descriptor, 1024) == 0 else {
        let reason = errno
        close(descriptor)
        if reason == EADDRINUSE {
            throw HTTPServerError("The port \(settings.port) on \(settings.host) is in use: stop its owner or choose another port.")
        }
        throw HTTPServerError("Cannot listen on \(settings.host) port \(settings.port) (\(String(cString: strerror(reason)))).")
    }
    var own = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    withUnsafeMutableBytes(of: &own) { bytes in
        if let start = bytes.baseAddress { getsockname(descriptor, start.assumingMemoryBound(to: sockaddr.self), &length) }
    }
    // The port is at the same place in the addresses of IPv4 and IPv6, in network order.
    let port = withUnsafeBytes(of: &own) { UInt16(bigEndian: $0.loadUnaligned(fromByteOffset: 2, as: UInt16.self)) }
    return (descriptor, Int(port))
}
