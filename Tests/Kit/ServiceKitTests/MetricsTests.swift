import Platform
import Testing

@testable import ServiceKit

@Suite struct MetricsTests {
    @Test("the exposition is the Prometheus text format, labels escaped, families together")
    func exposition() {
        let metrics = Metrics(common: [("service", "s")])
        metrics.counter("events_total", "Events.", [("reason", "a\"b")]).add(3)
        metrics.counter("events_total", "Events.", [("reason", "c")]).add()
        metrics.gauge("level", "Level.").set(1.5)
        let histogram = metrics.histogram("latency_seconds", "Latency.", bounds: [0.1, 1])
        histogram.observe([0.05, 0.5, 5])
        #expect(
            String(decoding: metrics.render(), as: UTF8.self) == """
                # HELP events_total Events.
                # TYPE events_total counter
                events_total{service="s",reason="a\\"b"} 3
                events_total{service="s",reason="c"} 1
                # HELP level Level.
                # TYPE level gauge
                level{service="s"} 1.5
                # HELP latency_seconds Latency.
                # TYPE latency_seconds histogram
                latency_seconds_bucket{service="s",le="0.1"} 1
                latency_seconds_bucket{service="s",le="1.0"} 2
                latency_seconds_bucket{service="s",le="+Inf"} 3
                latency_seconds_sum{service="s"} 5.55
                latency_seconds_count{service="s"} 3

                """)
    }

    @Test("a metric asked for twice is one metric")
    func identity() {
        let metrics = Metrics()
        metrics.counter("a_total", "").add()
        metrics.counter("a_total", "").add()
        #expect(metrics.counter("a_total", "").value == 2)
    }
}

@Suite struct BackoffTests {
    @Test("waits grow to the ceiling, are never zero, and start over after a success")
    func growth() {
        var backoff = Backoff(initial: 100, maximum: 400)
        for ceiling in [100, 200, 400, 400] {
            let wait = backoff.next()
            #expect((ceiling / 2...ceiling).contains(wait))
        }
        #expect(backoff.attempts == 4)
        backoff.reset()
        let first = backoff.next()
        #expect(first <= 100)
    }
}

@Suite struct ClockTests {
    @Test(
        "times are written in ISO 8601, before 1970 too",
        arguments: [(0, "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"), (1_763_719_200_123, "2025-11-21T10:00:00.123Z")])
    func iso8601(milliseconds: Int64, text: String) {
        #expect(Clock.iso8601(milliseconds: milliseconds) == text)
    }
}
