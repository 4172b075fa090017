import Glibc
import ServiceKit

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

/// Path of the checkout that the tests were built from.
public let repository = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")

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

/// A loopback port that nobody uses and that this process gives to nobody else; see `Ports`.
public func freePort() throws(TestSupportError) -> Int {
    guard let port = Ports.free() else { throw TestSupportError("No free port was found.") }
    return port
}
