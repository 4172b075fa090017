import Glibc
import RedisClient
import Synchronization

/// A redis-server of a test's own, on a free loopback port, with its data in a temporary directory.
///
/// It is killed and its directory deleted by ``stop()``, when the last reference goes, and when the process exits.
public final class RedisServer: Sendable {
    /// The port, the same over restarts.
    public let port: Int
    /// The URL with the password where there is one.
    public let url: String
    private let password: String?
    private let appendOnly: Bool
    private let options: [String]
    private let directory: String
    /// Process id of the running server.
    private let process = Mutex<pid_t?>(nil)

    /// Starts a server and waits until it answers.
    ///
    /// - Parameters:
    ///   - password: what clients must sign in with.
    ///   - appendOnly: every write goes to the append-only file before it is answered, so a restart keeps it.
    ///   - options: further options, such as `["--maxmemory", "10mb"]`.
    public init(password: String? = nil, appendOnly: Bool = true, options: [String] = []) throws(TestSupportError) {
        var template = Array("/tmp/vyuha-redis-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw TestSupportError("No temporary directory can be made.") }
        directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        port = try freePort()
        url = "redis://\(password.map { ":\($0)@" } ?? "")127.0.0.1:\(port)"
        self.password = password
        self.appendOnly = appendOnly
        self.options = options
        do throws(TestSupportError) {
            try start()
        } catch {
            stop()
            throw error
        }
    }

    deinit { stop() }

    /// Kills the server as a crash would (SIGKILL); the port and the data wait for ``restart(keepingData:)``.
    public func kill() {
        process.withLock { process in
            guard let running = process else { return }
            _ = Glibc.kill(running, SIGKILL)
            var status: Int32 = 0
            while waitpid(running, &status, 0) < 0, errno == EINTR {}
            Running.shared.remove(running)
            process = nil
        }
    }

    /// Starts the server again on the same port, after a kill where it still runs.
    public func restart(keepingData: Bool = true) throws(TestSupportError) {
        kill()
        if !keepingData {
            deleteTree(directory)
            mkdir(directory, 0o700)
        }
        try start()
    }

    /// Freezes the server: connections stay open and nothing is answered.
    public func pause() { process.withLock { if let running = $0 { _ = Glibc.kill(running, SIGSTOP) } } }

    /// Ends ``pause()``.
    public func resume() { process.withLock { if let running = $0 { _ = Glibc.kill(running, SIGCONT) } } }

    /// Kills the server and deletes its directory; a second call does nothing.
    public func stop() {
        kill()
        deleteTree(directory)
    }

    private func start() throws(TestSupportError) {
        var arguments = [
            "redis-server", "--bind", "127.0.0.1", "--port", String(port), "--dir", directory, "--save", "", "--logfile", "redis.log",
            "--appendonly", appendOnly ? "yes" : "no", "--appendfsync", appendOnly ? "always" : "no", "--enable-debug-command", "yes",
        ]
        if let password { arguments += ["--requirepass", password] }
        let started = try spawn(arguments + options)
        process.withLock { $0 = started }
        let client = RedisClient(settings)
        do {
            try client.connect(within: 10_000, shouldContinue: { waitpid(started, nil, WNOHANG) == 0 })
        } catch {
            throw TestSupportError("redis-server does not start on port \(port) (\(error)); is the package redis-server installed?")
        }
    }

    private var settings: RedisSettings {
        var settings = RedisSettings(port: port)
        settings.password = password
        return settings
    }

    private func spawn(_ arguments: [String]) throws(TestSupportError) -> pid_t {
        var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
        defer { for pointer in pointers { free(pointer) } }
        pointers.append(nil)
        var started: pid_t = 0
        let code = posix_spawnp(&started, "redis-server", nil, nil, pointers, environ)
        guard code == 0 else {
            throw TestSupportError("redis-server cannot be started (\(String(cString: strerror(code)))): install the package redis-server.")
        }
        _ = Self.cleansUpAtExit
        Running.shared.insert(started, directory)
        return started
    }

    /// So that a test process that ends early leaves neither a server nor its directory behind.
    private static let cleansUpAtExit: Bool = atexit { Running.shared.removeAll() } == 0
}

/// The servers that run now, with their directories.
private final class Running: Sendable {
    static let shared = Running()
    private let processes = Mutex<[pid_t: String]>([:])

    func insert(_ process: pid_t, _ directory: String) { processes.withLock { $0[process] = directory } }
    func remove(_ process: pid_t) { processes.withLock { $0[process] = nil } }

    func removeAll() {
        processes.withLock { processes in
            for (process, directory) in processes {
                _ = Glibc.kill(process, SIGKILL)
                waitpid(process, nil, 0)
                deleteTree(directory)
            }
            processes = [:]
        }
    }
}

/// Deletes a directory with all that is in it.
private func deleteTree(_ folder: String) {
    guard let stream = opendir(folder) else { return }
    defer {
        closedir(stream)
        rmdir(folder)
    }
    while let entry = readdir(stream) {
        let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        if name == "." || name == ".." { continue }
        let path = "\(folder)/\(name)"
        if unlink(path) != 0 {
            deleteTree(path)
        }
    }
}
