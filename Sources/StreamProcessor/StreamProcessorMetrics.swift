import Contracts
import ServiceKit

/// What the stream processor counts; added to once per batch.
struct StreamProcessorMetrics {
    let features: Counter
    let deadLetters: [DeadLetterReason: Counter]

    init(_ metrics: Metrics) {
        features = metrics.counter("vyuha_features_total", "Feature records written.")
        var counters: [DeadLetterReason: Counter] = [:]
        for reason in DeadLetterReason.allCases {
            counters[reason] = metrics.counter(
                "vyuha_dead_letters_total", "Records that could not be used, by reason.", [("reason", reason.rawValue)])
        }
        deadLetters = counters
    }
}
