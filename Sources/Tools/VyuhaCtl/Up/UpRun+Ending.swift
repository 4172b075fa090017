import Glibc
import JSON
import Quality
import RedisClient
import ServiceKit

/// How a run ends: the source is stopped, the chain is given time, the books are closed, everything is stopped, the report is written.
extension UpRun {
    func stopProducer() throws {
        phase = .draining
        supervisor?.stop("producer", now: Clock.monotonicSeconds)
        while supervisor?.hasEnded("producer") == false, stopRequests < 2 { try tick() }
        flowEnd = Clock.monotonicSeconds
    }

    /// Waits until every event has become a feature and a score, or a dead letter, and every group has read to the end.
    func drain() throws {
        let requests = stopRequests
        var watch = DrainWatch(start: Observer.wallClock)
        var settledAt: Double?
        // Asked for the end once more, nobody waits any longer: what is unanswered then is no fault of the chain's.
        while stopRequests == requests, stopRequests < 2, let observer, observer.view.failure == nil {
            try tick()
            let (view, now) = (observer.view, Observer.wallClock)
            let behind = lag?.view.behind.values.reduce(0, +) ?? 0
            let isOverdue = answers.isOverdue(lastEvent: view.lastEvent, now: now)
            if watch.givesUp(owed: view.unsettled + view.behind + behind, isOverdue: isOverdue, isStopped: requests > 0, now: now) { break }
            guard view.unsettled == 0, view.behind == 0 else {
                settledAt = nil
                continue
            }
            let since = settledAt ?? Clock.monotonicSeconds
            settledAt = since
            // Only a round of questions that began after everything was settled says that the groups are done.
            if let lag = lag?.view, lag.askedAt > since, lag.behind.values.allSatisfy({ $0 == 0 }) { return }
        }
        guard let view = observer?.view else { return }
        let now = Observer.wallClock
        drained = (now, answers.isOverdue(lastEvent: view.lastEvent, now: now))
        guard drained.isOverdue else { return }
        if let behind = lag?.view.behind.filter({ $0.value > 0 }), !behind.isEmpty {
            let words = behind.sorted { $0.key < $1.key }.map { "\($0.key) by \($0.value) records" }.joined(separator: ", ")
            problems.append("Groups were still behind after the drain: \(words).")
        }
    }

    /// Stops what runs, in the order of the chain; never throws, since everything must be stopped.
    func stopServices() {
        guard let supervisor else { return }
        phase = .stopping
        for name in ["producer"] + ServicePlan.consumers {
            supervisor.stop(name, now: Clock.monotonicSeconds)
            while supervisor.hasEnded(name) == false, supervisor.status(of: name) != nil, stopRequests < 2 {
                do { try tick() } catch { problems.append("\(error)") }
            }
        }
        if stopRequests >= 2 {
            problems.append("Stopped a second time before the services had ended: they were killed.")
            supervisor.killAll()
        }
        for status in supervisor.statuses where status.isSuite {
            if status.wasKilled {
                problems.append("\(status.name) did not end within \(Int(Supervisor.grace)) s of SIGTERM and was killed.")
            }
            // Once anything else has gone wrong, the exit statuses add nothing; and who is stopped while starting may have no handler yet.
            if problems.isEmpty, status.wasReady, let exit = status.exit, exit.code != 0 {
                problems.append("\(status.name) ended \(exit.words).")
            }
        }
    }

    /// Reads what the services wrote last, and takes the books.
    func closeBooks() -> FlowAccount? {
        guard let observer else { return nil }
        let deadline = Clock.monotonicSeconds + 3
        var quietSince: Double?
        while Clock.monotonicSeconds < deadline, observer.view.failure == nil {
            let now = Clock.monotonicSeconds
            if observer.view.behind == 0 { quietSince = quietSince ?? now } else { quietSince = nil }
            if let quietSince, now - quietSince > 0.3 { break }
            Clock.sleep(milliseconds: 20)
        }
        lag?.stop()
        observer.stop()
        let end = Clock.monotonicSeconds + 5
        while observer.finished == nil, observer.view.failure == nil, Clock.monotonicSeconds < end { Clock.sleep(milliseconds: 5) }
        if let failure = observer.view.failure { problems.append("The observer failed: \(failure)") }
        return observer.finished
    }

    func stopServers() {
        if let supervisor, supervisor.status(of: "redis-server") != nil {
            supervisor.stop("redis-server", now: Clock.monotonicSeconds)
            while !supervisor.hasEnded("redis-server"), stopRequests < 2 {
                do { try tick() } catch { break }
            }
        }
        supervisor?.killAll()
        broker?.close()
    }

    func finishReport(_ books: FlowAccount?, passes: Int?) {
        terminal.finish()
        if let books, let flowStart {
            let view = observer?.view ?? ObserverView()
            var books = books
            let oldest = books.oldestUnanswered()
            if drained.isOverdue, let oldest {
                problems.append(
                    "\(books.unsettled) events or windows (of \(books.counts[.events]) events) have neither a score nor a dead letter. The oldest, "
                        + "\(oldest.name), has waited \(Int(oldest.waited(at: drained.at))) s.")
            }
            let duration = (flowEnd ?? Clock.monotonicSeconds) - flowStart
            let run = Report.Run(
                useCase: facts.name, durationSeconds: duration, rate: settings.rate, startedAt: startedAt,
                embeddedBroker: settings.kafka == nil,
                embeddedRedis: settings.redis == nil, services: supervisor?.statuses ?? [], own: ProcessSample.of(getpid()),
                unreadable: view.unreadable, troubles: view.troubles, problems: problems, passes: passes,
                oldestUnanswered: oldest.map { ($0.name, $0.waited(at: drained.at)) }, isOverdue: drained.isOverdue)
            let report = Report(run, books, observer?.quality ?? QualityFigures(), baseline: facts.baseline)
            say("")
            for line in report.table { say(line) }
            if let path = settings.report { write(report, to: path) }
        }
        if let path = settings.record, books != nil { say("Records: \(path)") }
        for problem in problems { Service.standardError("vyuhactl up: \(problem)\n") }
    }

    private func write(_ report: Report, to path: String) {
        let bytes = Array((report.json.pretty + "\n").utf8)
        let file = fopen(path, "w")
        let written = file.map { file in bytes.withUnsafeBytes { fwrite($0.baseAddress, 1, $0.count, file) } } ?? 0
        let isClosed = file.map { fclose($0) == 0 } ?? false
        if written == bytes.count, isClosed {
            say("")
            say("Report: \(path)")
        } else {
            problems.append("The report cannot be written to \(path): \(systemError(errno)).")
        }
    }

    func cleanUp() {
        let keepsLogs = !problems.isEmpty && !settings.verbose && supervisor?.statuses.contains { $0.isSuite } == true
        watcher?.close(keepingFolder: keepsLogs)
        guard let folder else { return }
        if keepsLogs {
            folder.remove(except: "logs")
            Service.standardError("The logs of all services are kept in \(folder.file("logs")).\n")
        } else {
            folder.remove()
        }
    }

    /// How often the producer has begun with its file, as it keeps it in Redis; nil unless that was more than once.
    func passesOverFile() -> Int? {
        guard settings.loops, facts.isFile else { return nil }
        let client = RedisClient(redis.settings)
        var passes: Int?
        try? KeyScan.each(client, pattern: facts.keys.producerPosition(source: "*")) { (key) throws(RedisError) in
            guard let bytes = try client.command([Array("GET".utf8), key]).bytes, let json = try? JSONValue.parse(bytes) else { return }
            if let pass = json["pass"]?.integer { passes = max(passes ?? 0, Int(pass)) }
        }
        return (passes ?? 0) > 1 ? passes : nil
    }
}
