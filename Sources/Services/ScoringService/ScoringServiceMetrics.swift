import ServiceKit

/// What the scoring service counts; added to once per batch.
struct ScoringServiceMetrics {
    let scores: Counter
    let anomalies: Counter
    let deadLetters: Counter
    let repetitions: Counter
    let evictions: Counter
    let latency: Histogram

    init(_ metrics: Metrics) {
        scores = metrics.counter("vyuha_scores_total", "Feature records scored.")
        anomalies = metrics.counter("anomalies_detected_total", "Feature records whose score crossed the threshold.")
        deadLetters = metrics.counter(
            "vyuha_dead_letters_total", "Records that could not be used, by reason.", [("reason", "malformed")])
        repetitions = metrics.counter(
            "vyuha_repeated_features_total", "Feature records that a stream processor sent again, as after a crash, and that were dropped.")
        evictions = metrics.counter(
            "vyuha_state_evictions_total", "Entities whose state was forgotten because a partition had more than VYUHA_STATE_ENTITIES.")
        latency = metrics.histogram(
            "processing_latency_seconds", "From the event's Kafka timestamp to its score being ready to send.")
    }
}
