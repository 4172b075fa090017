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
