import Testing

@testable import VyuhaCtl

@Suite("The live view")
struct StatusViewTests {
    private func snapshot(alerts: Int = 3) -> StatusSnapshot {
        var observer = ObserverView()
        observer.counts[.events] = 1_234_567
        observer.counts[.scores] = 1_234_000
        observer.scoreLatency = (2.14, 8.6)
        observer.alerts = (0..<alerts).map {
            AlertLine(
                at: 1_763_718_000_000 + Int64($0) * 1_000, title: "Zone \($0): \u{1b}[31ma trip",
                text: String(repeating: "that does not add up ", count: 9))
        }
        let services = ["producer", "stream-processor", "feature-writer", "scoring-service", "alert-sink"].map {
            var status = ServiceStatus(name: $0, isSuite: true, state: .ready, pid: 5)
            status.sample = ProcessSample(cpuSeconds: 3, residentBytes: 12 << 20, peakBytes: 20 << 20)
            status.restarts = $0 == "producer" ? 2 : 0
            return status
        }
        return StatusSnapshot(
            useCase: "nyc-taxi", title: "New York yellow-taxi trips", phase: "running", elapsed: 42, duration: 60, observer: observer,
            rates: [.events: 500, .alerts: 0.4], behind: ["stream-processor": 12, "alert-sink": 0], services: services,
            cpu: ["producer": 0.034],
            predictURL: "http://127.0.0.1:8000/predict")
    }

    @Test("fits 80 columns and 24 rows", arguments: [0, 3, 50])
    func size(_ alerts: Int) {
        let lines = StatusView.lines(snapshot(alerts: alerts))
        #expect(lines.count < StatusView.height)
        #expect(lines.allSatisfy { $0.count <= StatusView.width })
    }

    @Test("shows counts, rates, lag, latency, services and alerts")
    func content() {
        let text = StatusView.lines(snapshot()).joined(separator: "\n")
        for part in [
            "nyc-taxi", "00:42 of 01:00", "running", "POST http://127.0.0.1:8000/predict", "1,234,567", "500", "12", "0.4",
            "p50 2.1 ms p99 8.6 ms",
            "scoring-service", "3 %", "12 MB", "09:40:02 Zone 2", "09:40:01 Zone 1",
        ] {
            #expect(text.contains(part), "\(part)")
        }
        #expect(StatusView.lines(snapshot(alerts: 0)).contains("No alert yet."))
    }

    @Test("lets no control character of the data reach the terminal")
    func control() {
        #expect(!StatusView.lines(snapshot()).joined().unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7f })
        #expect(StatusView.plainText("a\u{9b}1mb\nc") == "a 1mb c")
    }

    @Test("one plain line says the same to a log")
    func plain() {
        let line = StatusView.plain(snapshot())
        #expect(line.hasPrefix("00:42  events 1,234,567 (500/s)"))
        #expect(line.contains("restarts 2"))
    }

    @Test("writes numbers for people")
    func numbers() {
        #expect(StatusView.grouped(-1_234) == "-1,234")
        #expect(StatusView.grouped(12) == "12")
        #expect(StatusView.decimal(0.05, 3) == "0.050")
        #expect(StatusView.decimal(-1.25, 1) == "-1.3")
        #expect(StatusView.decimal(.nan, 1) == "-")
        #expect(StatusView.milliseconds(1_540) == "1.5 s")
        #expect(StatusView.time(3_725) == "1:02:05")
    }
}

@Suite("The table")
struct TextTableTests {
    @Test("aligns the first column left and the others right")
    func align() {
        var table = TextTable(["topic", "records"])
        table.add(["a.events", "1,000"])
        table.add(["b"])
        #expect(table.text == "topic     records\na.events    1,000\nb")
    }
}
