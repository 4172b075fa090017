import Glibc

/// A program to start.
struct ChildCommand: Sendable {
    /// Absolute path.
    var executable: String
    /// Without the program's own name.
    var arguments: [String] = []
    var environment: [String: String] = [:]
    /// File that gets both outputs, appended to; nil leaves them where the parent's standard error goes.
    var log: String?
    /// Descriptor that becomes the child's standard input; nil is `/dev/null`.
    var input: Int32?
}

/// How a child ended.
struct ChildExit: Sendable, Equatable {
    /// Exit status, or minus the number of the signal that ended it.
    var code: Int32
    /// User plus system time of this incarnation.
    var cpuSeconds: Double

    /// "with status 1", "by signal 9 (Killed)".
    var words: String { code < 0 ? "by signal \(-code) (\(String(cString: strsignal(-code))))" : "with status \(code)" }
}

/// Starting, ending and measuring children, each in a process group of its own, so that Ctrl-C on the terminal reaches only `vyuhactl`, which
/// then stops them in order.
enum ChildProcess {
    /// Starts a program. Its signal mask is empty and its signals have their defaults; it inherits no descriptors but 0, 1 and 2.
    /// - Returns: its process id, which is also its group.
    static func spawn(_ command: ChildCommand) throws(CommandError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if let input = command.input {
            posix_spawn_file_actions_adddup2(&actions, input, 0)
        } else {
            posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        }
        if let log = command.log {
            posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
            posix_spawn_file_actions_adddup2(&actions, 1, 2)
        } else {
            posix_spawn_file_actions_adddup2(&actions, 2, 1)
        }
        closeOnExec()

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setpgroup(&attributes, 0)
        let flags = Int32(POSIX_SPAWN_SETPGROUP) | Int32(POSIX_SPAWN_SETSIGMASK) | Int32(POSIX_SPAWN_SETSIGDEF)
        posix_spawnattr_setflags(&attributes, Int16(flags))

        let arguments = [command.executable] + command.arguments
        let environment = command.environment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        var pid: pid_t = 0
        let result = withCStrings(arguments) { arguments in
            withCStrings(environment) { environment in
                posix_spawn(&pid, command.executable, &actions, &attributes, arguments, environment)
            }
        }
        guard result == 0 else { throw CommandError("\(command.executable) cannot be started: \(systemError(result)).") }
        return pid
    }

    /// Collects a child that has ended; nil while it runs.
    static func reap(_ pid: pid_t) -> ChildExit? {
        var status: Int32 = 0
        var usage = rusage()
        guard wait4(pid, &status, WNOHANG, &usage) == pid else { return nil }
        let signal = status & 0x7f
        let code = signal == 0 ? (status >> 8) & 0xff : -signal
        return ChildExit(code: code, cpuSeconds: seconds(usage.ru_utime) + seconds(usage.ru_stime))
    }

    /// Sends a signal to the child and to whatever it started.
    static func signal(_ pid: pid_t, _ number: Int32) { kill(-pid, number) }

    /// librdkafka leaves the embedded broker's accepted sockets open over exec; a child that held them would keep dead connections alive.
    private static func closeOnExec() {
        for name in TemporaryFolder.entries(of: "/proc/self/fd") {
            if let descriptor = Int32(name), descriptor > 2 { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        }
    }

    private static func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }

    private static func withCStrings<T>(_ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> T) -> T {
        var pointers = strings.map { strdup($0) }
        pointers.append(nil)
        defer { for pointer in pointers { free(pointer) } }
        return body(pointers)
    }
}
