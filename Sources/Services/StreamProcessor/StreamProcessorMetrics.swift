import Contracts
import ServiceKit
import Streaming

/// What the stream processor counts; added to once per batch.
struct StreamProcessorMetrics {
    let features: Counter
    let withoutKey: Counter
    let deadLetters: [DeadLetterReason: Counter]
    let lateForWindows: Counter
    let old: Counter
    private let entities: Gauge
    private let evicted: Gauge
    private let panes: Gauge

    init(_ metrics: Metrics) {
        features = metrics.counter("vyuha_features_total", "Feature records written.")
        withoutKey = metrics.counter("vyuha_events_without_key_total", "Events that were taken though their record has no key.")
        var counters: [DeadLetterReason: Counter] = [:]
        for reason in DeadLetterReason.allCases {
            counters[reason] = metrics.counter(
                "vyuha_dead_letters_total", "Records that could not be used, by reason.", [("reason", reason.rawValue)])
        }
        deadLetters = counters
        lateForWindows = metrics.counter(
            "vyuha_late_events_total", "Events too late for their windows that have a vector of their own all the same.")
        old = metrics.counter("vyuha_old_events_total", "Events whose time is more than 20 years before their Kafka timestamp.")
        entities = metrics.gauge("vyuha_state_entities", "Entities that windows and histories are kept of, over all partitions.")
        evicted = metrics.gauge("vyuha_state_evicted_entities", "Entities that had to leave for new ones since the partitions came here.")
        panes = metrics.gauge("vyuha_state_panes", "Panes of open windows, over all partitions.")
    }

    /// Sums over the partitions that this service owns.
    func publish(_ partitions: StatefulPartitions<ProcessorState>?) {
        guard let partitions else { return }
        var sums = (entities: 0, evicted: UInt64(0), panes: 0)
        partitions.forEach { owned in
            sums.entities += owned.state.partition.entityCount
            sums.evicted += owned.state.partition.evictedEntities
            sums.panes += owned.state.partition.paneCount
        }
        entities.set(Double(sums.entities))
        evicted.set(Double(sums.evicted))
        panes.set(Double(sums.panes))
    }
}
