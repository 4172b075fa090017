import Glibc
import Synchronization

/// Why a helper of the tests could not do its work.
public struct TestSupportError: Error, CustomStringConvertible {
    /// One sentence.
    public let message: String
    /// ``message``.
    public var description: String { message }

    init(_ message: String) { self.message = message }
}

/// Asks every 2 ms until the condition holds or the time is up; false where it never held.
public func withDeadline(_ seconds: Double, _ condition: () throws -> Bool) rethrows -> Bool {
    let end = ContinuousClock.now + .seconds(seconds)
    while true {
        if try condition() { return true }
        if ContinuousClock.now >= end { return false }
        usleep(2_000)
    }
}

/// Path of a built executable beside the tests: `executable(named: "producer")`.
public func executable(named name: String) throws(TestSupportError) -> String {
    guard let own = realpath("/proc/self/exe", nil) else { throw TestSupportError("The path of this process cannot be read.") }
    defer { free(own) }
    let path = String(cString: own)
    let folder = path[..<(path.lastIndex(of: "/") ?? path.startIndex)]
    // The test bundle is an executable in the build folder; where a helper runs it as a library, its path is an argument.
    let bundles = CommandLine.arguments.filter { $0.hasSuffix(".xctest") }.compactMap { argument in
        argument.lastIndex(of: "/").map { argument[..<$0] }
    }
    for candidate in [folder] + bundles {
        let file = "\(candidate)/\(name)"
        if access(file, X_OK) == 0 { return file }
    }
    throw TestSupportError("There is no executable \(name) in \(folder): build the package first.")
}

/// A loopback port that nobody uses and that this process gives to nobody else.
///
/// Below the kernel's range for outgoing connections (ip(7), `ip_local_port_range`): a port of that range may be taken by any connection that
/// a test opens between this call and the moment a server listens on it.
public func freePort() throws(TestSupportError) -> Int {
    for _ in 0..<20_000 {
        let number = portsGiven.wrappingAdd(1, ordering: .relaxed).oldValue
        let port = 10_000 + (Int(getpid()) * 211 + number) % 20_000
        if isFree(UInt16(port)) { return port }
    }
    throw TestSupportError("No free port was found.")
}

private let portsGiven = Atomic<Int>(0)

private func isFree(_ port: UInt16) -> Bool {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return withUnsafeBytes(of: &address) { bytes in
        guard let pointer = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self) else { return false }
        return bind(descriptor, pointer, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
    }
}
