import Glibc
import ServiceKit
import Streaming

/// A program that a benchmark has started; ended with the last reference.
final class Child {
    let name: String
    private var pid: pid_t = 0
    private let log: String

    /// - Parameters:
    ///   - arguments: the program first, looked for in PATH.
    ///   - cpu: the only core that it may run on; nil allows all.
    ///   - environment: added to this process's own.
    ///   - log: file for what it prints.
    init(_ name: String, _ arguments: [String], cpu: Int? = nil, environment: [String: String] = [:], log: String) throws {
        self.name = name
        self.log = log
        let command = (cpu.map { ["taskset", "-c", "\($0)"] } ?? []) + arguments
        var values = ChildEnvironment()
        for (name, value) in environment { values[name] = value }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        let code = withCStrings(command) { arguments in
            withCStrings(values.variables.map { "\($0.key)=\($0.value)" }) { environment in
                posix_spawnp(&pid, command[0], &actions, nil, arguments, environment)
            }
        }
        guard code == 0 else { throw BenchmarkError("\(command[0]) cannot be started (\(String(cString: strerror(code)))).") }
    }

    deinit { stop() }

    var isRunning: Bool { pid > 0 && waitpid(pid, nil, WNOHANG) == 0 }

    /// What it has printed.
    var output: String { readFile(log) }

    /// User and system time of the process in seconds.
    var cpuSeconds: Double {
        let text = readFile("/proc/\(pid)/stat")
        guard let end = text.lastIndex(of: ")") else { return 0 }
        // Fields 14 and 15 of proc(5), counted after the name in brackets.
        let fields = text[end...].split(separator: " ")
        guard fields.count > 13, let user = Double(fields[12]), let system = Double(fields[13]) else { return 0 }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// Highest resident memory so far in MiB.
    var peakMemory: Double {
        for line in readFile("/proc/\(pid)/status").split(separator: "\n") where line.hasPrefix("VmHWM:") {
            return (line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Double($0) } ?? 0) / 1024
        }
        return 0
    }

    /// Waits for its end and gives what it printed; throws where it failed.
    func finish() throws -> String {
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        pid = 0
        guard status == 0 else { throw BenchmarkError("\(name) failed: \(output.suffix(400))") }
        return output
    }

    func stop() {
        guard pid > 0 else { return }
        kill(pid, SIGTERM)
        for _ in 0..<500 {
            if waitpid(pid, nil, WNOHANG) != 0 {
                pid = 0
                return
            }
            usleep(10_000)
        }
        kill(pid, SIGKILL)
        waitpid(pid, nil, 0)
        pid = 0
    }
}

/// The text of a file, empty where there is none.
func readFile(_ path: String) -> String {
    guard let file = fopen(path, "re") else { return "" }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 1 << 14)
    while true {
        let count = fread(&part, 1, part.count, file)
        if count == 0 { return String(decoding: bytes, as: UTF8.self) }
        bytes += part[..<count]
    }
}

/// Makes a file of a text; throws where it cannot.
func writeFile(_ path: String, _ bytes: [UInt8]) throws {
    guard let file = fopen(path, "we") else { throw BenchmarkError("\(path) cannot be written (\(String(cString: strerror(errno)))).") }
    defer { fclose(file) }
    guard fwrite(bytes, 1, bytes.count, file) == bytes.count else { throw BenchmarkError("\(path) cannot be written: the disk is full.") }
}

private func withCStrings<Result>(_ texts: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result) -> Result {
    let pointers: [UnsafeMutablePointer<CChar>?] = texts.map { strdup($0) }
    defer { for pointer in pointers { free(pointer) } }
    return body(pointers + [nil])
}
