import Glibc

/// CPU time and memory of a running process, from proc(5).
///
/// The peak of `wait4` is not used for memory: for a child of posix_spawn, which shares its parent's memory until it executes the program,
/// Linux counts the parent's peak into it. `VmHWM` belongs to the program alone, but is gone with it, hence samples while it runs.
struct ProcessSample: Sendable, Equatable {
    /// User plus system time.
    var cpuSeconds: Double
    var residentBytes: Int
    /// Highest since the program began.
    var peakBytes: Int

    /// nil when the process is gone.
    static func of(_ pid: pid_t) -> ProcessSample? {
        guard let stat = readSmallFile("/proc/\(pid)/stat"), let status = readSmallFile("/proc/\(pid)/status") else { return nil }
        return parse(stat: stat, status: status, ticks: Double(sysconf(Int32(_SC_CLK_TCK))))
    }

    /// - Parameters:
    ///   - stat: text of `/proc/PID/stat`; fields 14 and 15 are counted after the last parenthesis, since a name may hold spaces.
    ///   - status: text of `/proc/PID/status`.
    ///   - ticks: clock ticks a second.
    static func parse(stat: String, status: String, ticks: Double) -> ProcessSample? {
        guard let end = stat.lastIndex(of: ")") else { return nil }
        let fields = stat[stat.index(after: end)...].split(separator: " ")
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { return nil }
        var sizes: [Substring: Int] = [:]
        for line in status.split(separator: "\n") where line.hasPrefix("VmHWM:") || line.hasPrefix("VmRSS:") {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
            if words.count > 1, let size = Int(words[1]) { sizes[words[0]] = size * 1024 }
        }
        guard let resident = sizes["VmRSS:"], let peak = sizes["VmHWM:"] else { return nil }
        return ProcessSample(cpuSeconds: (user + system) / ticks, residentBytes: resident, peakBytes: peak)
    }
}

/// The text of a file of at most a few kilobytes, such as those of `/proc`; nil when it cannot be read.
func readSmallFile(_ path: String, limit: Int = 1 << 16) -> String? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var buffer = [UInt8](repeating: 0, count: limit)
    var size = 0
    while size < limit {
        let count = buffer.withUnsafeMutableBytes { read(file, $0.baseAddress.map { $0 + size }, limit - size) }
        if count <= 0 { break }
        size += count
    }
    return String(decoding: buffer[..<size], as: UTF8.self)
}
