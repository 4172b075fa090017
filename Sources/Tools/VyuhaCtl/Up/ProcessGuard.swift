import Glibc
import ServiceKit

/// Sees to it that nothing survives `vyuhactl`, even when that is ended by SIGKILL.
///
/// A tiny process of its own (`vyuhactl guard`, started by `up`) reads from a pipe which children run and which folder is theirs. Only
/// `vyuhactl` holds the writing end, so the pipe ends with it, however it ends; then the guard stops what is left and removes the folder.
/// (A parent-death signal would reach only direct children, is lost when they change user, and cannot remove files.)
struct ProcessGuard {
    private let pid: pid_t
    private let pipe: Int32

    /// - Parameter executable: this program.
    init(executable: String, folder: String) throws(CommandError) {
        var ends: [Int32] = [0, 0]
        guard Glibc.pipe(&ends) == 0 else { throw CommandError("No pipe can be opened: \(systemError(errno)).") }
        _ = fcntl(ends[1], F_SETFD, FD_CLOEXEC)
        defer { Glibc.close(ends[0]) }
        pid = try ChildProcess.spawn(ChildCommand(executable: executable, arguments: ["guard"], input: ends[0]))
        pipe = ends[1]
        send("folder \(folder)")
    }

    func watch(_ pid: pid_t) { send("+\(pid)") }
    func forget(_ pid: pid_t) { send("-\(pid)") }

    /// Ends the guard. What is still watched is stopped by it.
    /// - Parameter keepingFolder: leave the folder where it is.
    func close(keepingFolder: Bool) {
        if keepingFolder { send("keep") }
        Glibc.close(pipe)
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
    }

    private func send(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        // A line is shorter than PIPE_BUF, so it is written whole or not at all.
        _ = bytes.withUnsafeBytes { write(pipe, $0.baseAddress, $0.count) }
    }

    /// What the guard knows; pure.
    struct Watch: Equatable {
        private(set) var processes: Set<pid_t> = []
        private(set) var folder: String?

        mutating func read(_ line: Substring) {
            if line.hasPrefix("+"), let pid = pid_t(line.dropFirst()), pid > 1 { processes.insert(pid) }
            if line.hasPrefix("-"), let pid = pid_t(line.dropFirst()) { processes.remove(pid) }
            if line.hasPrefix("folder ") { folder = String(line.dropFirst(7)) }
            if line == "keep" { folder = nil }
        }
    }

    /// The body of `vyuhactl guard`: returns when standard input has ended and nothing watched is left.
    static func run() {
        for number in [SIGINT, SIGTERM, SIGHUP] { signal(number, SIG_IGN) }
        var watch = Watch()
        while let line = readLine() { watch.read(line[...]) }
        var left = watch.processes
        for pid in left { ChildProcess.signal(pid, SIGTERM) }
        let deadline = Clock.monotonicSeconds + 5
        while true {
            left = left.filter { kill(-$0, 0) == 0 }
            if left.isEmpty { break }
            if Clock.monotonicSeconds > deadline {
                for pid in left { ChildProcess.signal(pid, SIGKILL) }
                break
            }
            Clock.sleep(milliseconds: 50)
        }
        if let folder = watch.folder, TemporaryFolder.isOne(folder) { TemporaryFolder.remove(folder) }
    }
}
