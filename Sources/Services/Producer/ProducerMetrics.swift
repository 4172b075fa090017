import ServiceKit

/// What the producer counts. Labels come from the kit: service and use case.
struct ProducerMetrics: Sendable {
    let events: Counter
    let rejected: Counter
    let labels: Counter
    let unreadableTruths: Counter
    let behind: Gauge

    init(_ metrics: Metrics) {
        events = metrics.counter("vyuha_events_produced_total", "Events handed to the Kafka client.")
        rejected = metrics.counter("vyuha_rows_rejected_total", "Rows that could not become an event and went to the dead letters.")
        labels = metrics.counter("vyuha_labels_produced_total", "Ground-truth records handed to the Kafka client.")
        unreadableTruths = metrics.counter(
            "vyuha_labels_unreadable_total", "Rows that were sent and are not judged, since their label says neither yes nor no.")
        behind = metrics.gauge("vyuha_source_lag_seconds", "How late the last event left against its schedule.")
    }
}
