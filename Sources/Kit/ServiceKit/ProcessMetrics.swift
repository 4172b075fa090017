import Glibc

/// CPU and memory of this process under the names that Prometheus client libraries use.
enum ProcessMetrics {
    static func register(in metrics: Metrics) {
        metrics.computed("process_cpu_seconds_total", "User and system CPU time of this process.") { cpuSeconds }
        metrics.computed("process_resident_memory_bytes", "Resident memory of this process.") { residentBytes }
        let start = Double(Clock.milliseconds) / 1000
        metrics.computed("process_start_time_seconds", "Start of this process, seconds since the epoch.") { start }
    }

    static var cpuSeconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// Second number of `/proc/self/statm`, in pages (proc(5)).
    static var residentBytes: Double {
        let file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return 0 }
        defer { close(file) }
        var buffer = [UInt8](repeating: 0, count: 128)
        let count = read(file, &buffer, buffer.count)
        let words = buffer.prefix(max(0, count)).split(separator: UInt8(ascii: " "))
        guard words.count > 1, let pages = Double(String(decoding: words[1], as: UTF8.self)) else { return 0 }
        return pages * Double(sysconf(Int32(_SC_PAGESIZE)))
    }
}
