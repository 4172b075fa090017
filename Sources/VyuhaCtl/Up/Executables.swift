import Glibc

/// Where the suite's programs are: beside this one.
enum Executables {
    /// Absolute path of this program.
    static var own: String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        return String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Absolute path of a program of the suite.
    static func sibling(_ name: String) throws(CommandError) -> String {
        let folder = own.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        let path = folder + "/" + name
        guard access(path, X_OK) == 0 else {
            throw CommandError(
                "The program \(name) is not in \(folder). Build the whole suite with `make build`, or keep its programs in one folder.")
        }
        return path
    }

    /// Absolute path of a program of the system, or nil.
    static func find(_ name: String) -> String? {
        let path = getenv("PATH").map { String(cString: $0) } ?? ""
        // Debian keeps some servers where a user's PATH does not look.
        let folders = path.split(separator: ":").map(String.init) + ["/usr/bin", "/usr/local/bin", "/usr/sbin", "/usr/local/sbin"]
        return folders.map { $0 + "/" + name }.first { access($0, X_OK) == 0 }
    }
}

/// Ports of this machine.
enum Ports {
    /// A port that nobody listens on now.
    static func free() throws(CommandError) -> Int {
        guard let port = bound(to: 0) else { throw CommandError("No free port is left on 127.0.0.1.") }
        return port
    }

    /// `wanted` if it is free, else another.
    static func free(preferring wanted: Int) throws(CommandError) -> Int {
        if let port = bound(to: wanted) { return port }
        return try free()
    }

    /// Binds and lets go again.
    private static func bound(to port: Int) -> Int? {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        // As servers do: a port in TIME_WAIT is free.
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        return withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                guard bind(descriptor, generic, size) == 0, listen(descriptor, 1) == 0 else { return nil }
                guard getsockname(descriptor, generic, &size) == 0 else { return nil }
                return Int(in_port_t(bigEndian: pointer.pointee.sin_port))
            }
        }
    }
}
