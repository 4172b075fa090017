import Foundation
import ServiceKit
import Testing

@testable import VyuhaCtl

/// Real children: small shell scripts.
@Suite("The supervisor")
struct SupervisorTests {
    /// A supervisor of one script and what it said; everything is killed when it goes.
    private final class Scene {
        let folder: TemporaryFolder
        let supervisor: Supervisor
        var words: [String] = []
        var failure: CommandError?

        init() throws {
            folder = try TemporaryFolder()
            supervisor = try Supervisor(watcher: nil)
            supervisor.announce = { [unowned self] in words.append($0) }
        }

        deinit {
            supervisor.killAll()
            folder.remove()
        }

        func start(_ script: String, mayFinish: Bool = false, readyURL: String? = nil) throws {
            var spec = ServiceSpec(
                name: "script",
                command: ChildCommand(
                    executable: "/bin/sh", arguments: ["-c", script], environment: ["DIR": folder.path], log: folder.file("log")))
            spec.mayFinish = mayFinish
            spec.readyURL = readyURL
            try supervisor.start(spec)
        }

        var status: ServiceStatus? { supervisor.status(of: "script") }

        /// Ticks until the condition holds; false when ten seconds passed.
        func tick(until condition: () -> Bool) -> Bool {
            let deadline = Clock.monotonicSeconds + 10
            while !condition() {
                do { try supervisor.tick(now: Clock.monotonicSeconds) } catch { failure = error }
                if Clock.monotonicSeconds > deadline { return false }
                Clock.sleep(milliseconds: 2)
            }
            return true
        }
    }

    @Test("restarts what was killed, counts it, and adds up the CPU time of both lives")
    func restart() throws {
        let scene = try Scene()
        try scene.start("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; touch $DIR/worked; exec sleep 60")
        #expect(scene.tick { access(scene.folder.file("worked"), F_OK) == 0 && scene.status?.sample != nil })
        let first = try #require(scene.status?.pid)
        kill(first, SIGKILL)
        #expect(scene.tick { scene.status?.restarts == 1 && scene.status?.sample != nil })
        #expect(scene.status?.pid != first)
        #expect(scene.status?.exit?.code == -9)
        #expect((scene.status?.endedCPUSeconds ?? 0) > 0)
        #expect((scene.status?.peakBytes ?? 0) > 100_000)
        #expect(scene.words.first?.contains("script ended by signal 9 (Killed)") == true)
        #expect(scene.failure == nil)
    }

    @Test("ends a crash loop and shows the last lines of the log")
    func crashLoop() throws {
        let scene = try Scene()
        try scene.start("echo the disk is made of cheese >&2; exit 3")
        #expect(scene.tick { scene.failure != nil })
        #expect(scene.failure?.description.contains("script died 5 times within 30 s, last with status 3: a crash loop.") == true)
        #expect(scene.failure?.description.contains("the disk is made of cheese") == true)
        #expect(scene.status?.restarts == 4)
    }

    @Test("does not restart what wrong settings ended")
    func hopeless() throws {
        let scene = try Scene()
        try scene.start("exit 64")
        #expect(scene.tick { scene.failure != nil })
        #expect(scene.status?.restarts == 0)
    }

    @Test("stops with SIGTERM and keeps the exit status")
    func stop() throws {
        let scene = try Scene()
        try scene.start("trap 'exit 7' TERM; touch $DIR/up; while :; do sleep 0.01; done")
        #expect(scene.tick { access(scene.folder.file("up"), F_OK) == 0 })
        scene.supervisor.stop("script", now: Clock.monotonicSeconds)
        #expect(scene.tick { scene.supervisor.hasEnded("script") })
        #expect(scene.status?.exit?.code == 7)
        #expect(scene.status?.wasKilled == false)
        #expect(scene.failure == nil)
    }

    @Test("kills what does not stop, and says so")
    func stubborn() throws {
        let scene = try Scene()
        try scene.start("trap '' TERM; touch $DIR/up; while :; do sleep 0.01; done")
        #expect(scene.tick { access(scene.folder.file("up"), F_OK) == 0 })
        // As if it had been asked eleven seconds ago.
        scene.supervisor.stop("script", now: Clock.monotonicSeconds - Supervisor.grace - 1)
        #expect(scene.tick { scene.supervisor.hasEnded("script") })
        #expect(scene.status?.exit?.code == -9)
        #expect(scene.status?.wasKilled == true)
        #expect(scene.words.contains { $0.contains("did not stop within 10 s") })
    }

    @Test("takes the end of a source for what it is")
    func finish() throws {
        let scene = try Scene()
        try scene.start("exit 0", mayFinish: true)
        #expect(scene.tick { scene.supervisor.hasEnded("script") })
        #expect(scene.status?.restarts == 0)
        #expect(scene.failure == nil)
    }

    @Test("waits for an answer on the ready address, and knows why there is none")
    func notReady() throws {
        let scene = try Scene()
        try scene.start("exec sleep 60", readyURL: "http://127.0.0.1:\(try #require(Ports.free()))/ready")
        #expect(scene.tick { scene.status?.obstacle != nil })
        #expect(!scene.supervisor.isReady("script"))
    }

    @Test("says what is wrong when the program is not there")
    func missing() throws {
        let supervisor = try Supervisor(watcher: nil)
        let spec = ServiceSpec(name: "x", command: ChildCommand(executable: "/no/such/program"))
        #expect(throws: CommandError.self) { try supervisor.start(spec) }
    }
}

@Suite("Files of a run")
struct FileTests {
    @Test("the folder goes with all it holds, and follows no link out of itself")
    func folder() throws {
        let outside = try TemporaryFolder()
        defer { outside.remove() }
        #expect(FileManager.default.createFile(atPath: outside.file("precious"), contents: Data([1])))
        let folder = try TemporaryFolder()
        #expect(FileManager.default.createFile(atPath: folder.folder("redis") + "/data", contents: Data([1])))
        try FileManager.default.createSymbolicLink(atPath: folder.file("link"), withDestinationPath: outside.path)
        folder.remove()
        #expect(!FileManager.default.fileExists(atPath: folder.path))
        #expect(FileManager.default.fileExists(atPath: outside.file("precious")))
    }

    @Test("the end of a log is its last lines, however long it is")
    func tail() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let text = (1...5_000).map { "line \($0)" }.joined(separator: "\n") + "\n"
        #expect(FileManager.default.createFile(atPath: folder.file("log"), contents: Data(text.utf8)))
        #expect(LogTail.lines(of: folder.file("log"), count: 2) == ["line 4999", "line 5000"])
        #expect(LogTail.lines(of: folder.file("none"), count: 2) == [])
    }

    @Test("base64 is that of RFC 4648", arguments: [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")])
    func base64(_ plain: String, _ encoded: String) {
        #expect(Base64.encode(Array(plain.utf8)[...]) == encoded)
    }
}
