import Contracts
import FeatureStore
import ServiceKit

/// What the feature writer counts; added to once per batch.
struct FeatureWriterMetrics {
    let writes: Counter
    let stale: Counter
    let conflicts: Counter
    let latency: Histogram
    private let deadLetters: [DeadLetterReason: Counter]

    init(_ metrics: Metrics) {
        writes = metrics.counter("vyuha_online_writes_total", "Feature vectors written to the online store.")
        stale = metrics.counter(
            "vyuha_online_stale_writes_total", "Records without effect because a newer one of their entity is known or in the same batch.")
        conflicts = metrics.counter(
            "vyuha_partition_conflicts_total", "Times that records of an entity came from another partition than the one before.")
        latency = metrics.histogram("processing_latency_seconds", "From the event's Kafka timestamp to its vector being in Redis.")
        var counters: [DeadLetterReason: Counter] = [:]
        for reason in FeatureWriterPipeline.reasons {
            counters[reason] = metrics.counter(
                "vyuha_dead_letters_total", "Records that could not be used, by reason.", [("reason", reason.rawValue)])
        }
        deadLetters = counters
    }

    func note(_ writes: OnlineWrites) {
        self.writes.add(writes.written)
        stale.add(writes.stale)
        conflicts.add(writes.inTwoPartitions.count)
    }

    func note(_ refused: [DeadLetterReason]) {
        for reason in refused { deadLetters[reason]?.add() }
    }
}
