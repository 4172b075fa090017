import Glibc
import HTTPClient
import ServiceKit

/// What a supervised program is.
struct ServiceSpec: Sendable {
    var name: String
    var command: ChildCommand
    /// Answers 200 when the service is ready; nil: ready as soon as it runs.
    var readyURL: String?
    /// An exit with status 0 is its natural end, not a death.
    var mayFinish = false
    /// One of the suite's own services, as opposed to a server that they need.
    var isSuite = true
}

/// Where a service is in its life.
enum ServiceState: Sendable, Equatable {
    case notStarted
    case starting
    case ready
    /// Died; to be started again at that time (monotonic seconds).
    case pausing(until: Double)
    /// Asked to stop at that time.
    case stopping(since: Double)
    case ended

    var word: String {
        switch self {
        case .notStarted: "waiting"
        case .starting: "starting"
        case .ready: "running"
        case .pausing: "restarting"
        case .stopping: "stopping"
        case .ended: "ended"
        }
    }
}

/// What is known about one service, over all its incarnations.
struct ServiceStatus: Sendable {
    var name: String
    var isSuite: Bool
    var state = ServiceState.notStarted
    var pid: pid_t?
    var restarts = 0
    /// CPU time of incarnations that have ended.
    var endedCPUSeconds = 0.0
    /// The running one.
    var sample: ProcessSample?
    var peakBytes = 0
    /// Of the last incarnation that ended.
    var exit: ChildExit?
    /// It did not stop on SIGTERM in time.
    var wasKilled = false
    /// It was ready at least once.
    var wasReady = false
    /// Why it is not ready, in its own words.
    var obstacle: String?

    var cpuSeconds: Double { endedCPUSeconds + (sample?.cpuSeconds ?? 0) }
}

/// Starts, restarts, measures and stops programs. Main thread only: nothing here waits, `tick` is called some ten times a second.
final class Supervisor {
    /// Seconds that a service has after SIGTERM.
    static let grace = 10.0

    private struct Entry {
        let spec: ServiceSpec
        var status: ServiceStatus
        var policy = CrashLoopPolicy()
        var nextProbe = 0.0
    }

    private var entries: [Entry] = []
    private let watcher: ProcessGuard?
    private let http: HTTPClient
    /// Called with one sentence when something happens that people should know.
    var announce: (String) -> Void = { _ in }

    init(watcher: ProcessGuard?) throws {
        self.watcher = watcher
        var settings = HTTPClientSettings()
        settings.connectTimeout = 300
        settings.timeout = 1_000
        settings.usesEnvironmentProxy = false
        http = try HTTPClient(settings)
    }

    var statuses: [ServiceStatus] { entries.map(\.status) }
    func status(of name: String) -> ServiceStatus? { entries.first { $0.spec.name == name }?.status }
    func isReady(_ name: String) -> Bool { status(of: name)?.state == .ready }
    func hasEnded(_ name: String) -> Bool { status(of: name)?.state == .ended }
    func logTail(of name: String, lines: Int = 12) -> [String] {
        guard let log = entries.first(where: { $0.spec.name == name })?.spec.command.log else { return [] }
        return LogTail.lines(of: log, count: lines)
    }

    /// Adds and starts a program.
    func start(_ spec: ServiceSpec) throws(CommandError) {
        entries.append(Entry(spec: spec, status: ServiceStatus(name: spec.name, isSuite: spec.isSuite)))
        try launch(entries.count - 1)
    }

    /// Notices deaths, restarts what is due, asks the starting ones whether they are ready, and takes samples.
    /// - Parameter now: monotonic seconds.
    /// - Throws: the sentence that ends the run, when a service is in a crash loop or cannot run at all.
    func tick(now: Double) throws(CommandError) {
        for index in entries.indices {
            if let pid = entries[index].status.pid {
                // The peak of a short life is seen only if it is looked at before it is collected.
                if let sample = ProcessSample.of(pid) {
                    entries[index].status.sample = sample
                    entries[index].status.peakBytes = max(entries[index].status.peakBytes, sample.peakBytes)
                }
                if let exit = ChildProcess.reap(pid) { try ended(index, exit, now) }
            }
            switch entries[index].status.state {
            case .pausing(let until) where now >= until:
                entries[index].status.restarts += 1
                try launch(index)
            case .starting where now >= entries[index].nextProbe:
                probe(index, now)
            case .stopping(let since) where now - since > Self.grace && !entries[index].status.wasKilled:
                if let pid = entries[index].status.pid {
                    entries[index].status.wasKilled = true
                    announce("\(entries[index].spec.name) did not stop within \(Int(Self.grace)) s and is killed.")
                    ChildProcess.signal(pid, SIGKILL)
                }
            default: break
            }
        }
    }

    /// Asks a service to stop; `hasEnded` tells when it has.
    func stop(_ name: String, now: Double) {
        guard let index = entries.firstIndex(where: { $0.spec.name == name }) else { return }
        switch entries[index].status.state {
        case .stopping, .ended: return
        case .notStarted, .pausing: entries[index].status.state = .ended
        case .starting, .ready:
            entries[index].status.state = .stopping(since: now)
            if let pid = entries[index].status.pid { ChildProcess.signal(pid, SIGTERM) }
        }
    }

    /// Ends everything that still runs, at once.
    func killAll() {
        for index in entries.indices {
            guard let pid = entries[index].status.pid else { continue }
            ChildProcess.signal(pid, SIGKILL)
            let deadline = Clock.monotonicSeconds + 2
            while Clock.monotonicSeconds < deadline {
                if let exit = ChildProcess.reap(pid) {
                    close(index, exit)
                    break
                }
                Clock.sleep(milliseconds: 5)
            }
            entries[index].status.state = .ended
        }
    }

    // MARK: Parts

    private func launch(_ index: Int) throws(CommandError) {
        let spec = entries[index].spec
        let pid = try ChildProcess.spawn(spec.command)
        watcher?.watch(pid)
        entries[index].status.pid = pid
        entries[index].status.state = spec.readyURL == nil ? .ready : .starting
        entries[index].status.wasReady = entries[index].status.wasReady || spec.readyURL == nil
        entries[index].nextProbe = 0
    }

    /// Books an incarnation that is over.
    private func close(_ index: Int, _ exit: ChildExit) {
        if let pid = entries[index].status.pid { watcher?.forget(pid) }
        entries[index].status.endedCPUSeconds += exit.cpuSeconds
        entries[index].status.sample = nil
        entries[index].status.pid = nil
        entries[index].status.exit = exit
    }

    private func ended(_ index: Int, _ exit: ChildExit, _ now: Double) throws(CommandError) {
        close(index, exit)
        let name = entries[index].spec.name
        if case .stopping = entries[index].status.state {
            entries[index].status.state = .ended
            return
        }
        if entries[index].spec.mayFinish, exit.code == 0 {
            entries[index].status.state = .ended
            return
        }
        switch entries[index].policy.died(at: now, exitCode: exit.code) {
        case .restart(let pause):
            entries[index].status.state = .pausing(until: now + Double(pause) / 1000)
            announce("\(name) ended \(exit.words); it is started again in \(pause) ms.")
        case .crashLoop:
            entries[index].status.state = .ended
            throw failure(
                name,
                "\(name) died \(CrashLoopPolicy.limit) times within \(Int(CrashLoopPolicy.period)) s, last \(exit.words): a crash loop.")
        case .hopeless:
            entries[index].status.state = .ended
            throw failure(name, "\(name) ended \(exit.words): no restart can heal that.")
        }
    }

    /// A sentence with the last lines of the culprit's log under it.
    func failure(_ name: String, _ sentence: String) -> CommandError {
        let tail = logTail(of: name)
        return CommandError(
            tail.isEmpty ? sentence : sentence + "\nThe last lines of its log:\n" + tail.map { "  " + $0 }.joined(separator: "\n"))
    }

    private func probe(_ index: Int, _ now: Double) {
        entries[index].nextProbe = now + 0.1
        guard let url = entries[index].spec.readyURL else { return }
        guard let response = try? http.send(HTTPRequest(.get, url)) else {
            entries[index].status.obstacle = "does not answer on \(url) yet"
            return
        }
        if response.status == 200 {
            entries[index].status.state = .ready
            entries[index].status.wasReady = true
            entries[index].status.obstacle = nil
        } else {
            entries[index].status.obstacle = response.text
        }
    }
}

/// The end of a log file.
enum LogTail {
    /// At most `count` lines; reads at most the last 16 KiB.
    static func lines(of path: String, count: Int) -> [String] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return [] }
        defer { close(file) }
        let size = lseek(file, 0, SEEK_END)
        let start = max(0, size - 16_384)
        lseek(file, start, SEEK_SET)
        var buffer = [UInt8](repeating: 0, count: Int(size - start))
        let read = Glibc.read(file, &buffer, buffer.count)
        let text = String(decoding: buffer.prefix(max(0, read)), as: UTF8.self)
        return text.split(separator: "\n").suffix(count).map(String.init)
    }
}
