import Testing

@testable import VyuhaCtl

@Suite("The crash-loop policy")
struct CrashLoopPolicyTests {
    @Test("restarts with growing pauses and gives up at the fifth death in a row")
    func loop() {
        var policy = CrashLoopPolicy()
        var verdicts: [CrashLoopPolicy.Verdict] = []
        for death in 0..<5 { verdicts.append(policy.died(at: Double(death), exitCode: 1)) }
        let pauses = [200, 400, 800, 1_600].map { CrashLoopPolicy.Verdict.restart(afterMilliseconds: $0) }
        #expect(verdicts == pauses + [.crashLoop])
    }

    @Test("forgives deaths that are far apart")
    func apart() {
        var policy = CrashLoopPolicy()
        for death in 0..<20 { #expect(policy.died(at: Double(death) * 31, exitCode: -9) == .restart(afterMilliseconds: 200)) }
    }

    @Test("does not restart what wrong settings ended", arguments: [64, 126, 127] as [Int32])
    func hopeless(_ code: Int32) {
        var policy = CrashLoopPolicy()
        #expect(policy.died(at: 0, exitCode: code) == .hopeless)
    }
}

@Suite("The rate meter")
struct RateMeterTests {
    @Test("looks back three seconds")
    func rates() {
        var meter = RateMeter()
        for tick in 0...40 {
            var counts = HopCounts()
            // 100 a second for five seconds, then 500.
            let seconds = Double(tick) * 0.25
            counts[.events] = Int(seconds <= 5 ? seconds * 100 : 500 + (seconds - 5) * 500)
            meter.note(counts, cpu: ["producer": seconds * 0.5], now: seconds)
        }
        #expect(meter.rates[.events] == 500)
        #expect(meter.rates[.scores] == 0)
        #expect(meter.cpu["producer"] == 0.5)
        #expect(RateMeter().rates.isEmpty)
    }
}

@Suite("The guard's list")
struct ProcessGuardTests {
    @Test("holds what was started and not yet collected")
    func list() {
        var watch = ProcessGuard.Watch()
        for line in ["folder /tmp/vyuha-abc", "+10", "+11", "-10", "+1", "+-5", "nonsense", "+x"] { watch.read(line[...]) }
        #expect(watch.processes == [11])
        #expect(watch.folder == "/tmp/vyuha-abc")
        watch.read("keep")
        #expect(watch.folder == nil)
    }

    @Test(
        "removes only folders of its own kind",
        arguments: [("/tmp/vyuha-a1", true), ("/tmp", false), ("/tmp/vyuha-a/../..", false), ("/", false)])
    func folders(_ path: String, _ isOne: Bool) {
        #expect(TemporaryFolder.isOne(path) == isOne)
    }
}

@Suite("A process sample")
struct ProcessSampleTests {
    @Test("is read from proc, whatever the program's name holds")
    func parse() {
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194304 500 0 0 0 250 50 0 0 20 0 4 0 100 1 2"
        let status = "Name:\ta ) b\nVmHWM:\t   20480 kB\nVmRSS:\t   10240 kB\n"
        let sample = ProcessSample.parse(stat: stat, status: status, ticks: 100)
        #expect(sample == ProcessSample(cpuSeconds: 3, residentBytes: 10_240 * 1024, peakBytes: 20_480 * 1024))
        #expect(ProcessSample.parse(stat: "", status: status, ticks: 100) == nil)
        #expect(ProcessSample.parse(stat: stat, status: "Name: zombie", ticks: 100) == nil)
    }
}
