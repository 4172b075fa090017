import Contracts
import ServiceKit

/// What the consumer's thread counts; added to once per batch.
struct AlertSinkMetrics: Sendable {
    let admitted: Counter
    let suppressed: Counter
    let duplicates: Counter
    let latency: Histogram
    private let deadLetters: [DeadLetterReason: Counter]

    /// Why a record can be refused here.
    private static let reasons: [DeadLetterReason] = [
        .empty, .malformed, .notAnObject, .repeatedField, .missingField, .wrongType, .failedRepeatedly,
    ]

    init(_ metrics: Metrics) {
        admitted = metrics.counter("vyuha_alerts_admitted_total", "Anomalies that became an alert.")
        suppressed = metrics.counter("alerts_suppressed_total", "Anomalies held back by the cooldown of their group.")
        duplicates = metrics.counter("vyuha_alert_duplicates_total", "Anomalies that had been seen before and had no effect.")
        latency = metrics.histogram("processing_latency_seconds", "From the event's Kafka timestamp to the decision about its anomaly.")
        var counters: [DeadLetterReason: Counter] = [:]
        for reason in Self.reasons {
            counters[reason] = metrics.counter(
                "vyuha_dead_letters_total", "Records that could not be used, by reason.", [("reason", reason.rawValue)])
        }
        deadLetters = counters
    }

    func note(_ outcome: Admission.Outcome) {
        admitted.add(outcome.admitted)
        suppressed.add(outcome.suppressed)
        duplicates.add(outcome.duplicates)
    }

    func note(_ refused: [DeadLetterReason]) {
        for reason in refused { deadLetters[reason]?.add() }
    }
}

/// What one receiver's thread counts.
struct DeliveryMetrics: Sendable {
    let sent: Counter
    let failures: Counter
    let givenUp: Counter
    let waiting: Gauge
    let oldest: Gauge
    let delivery: Histogram
    let latency: Histogram

    init(_ metrics: Metrics, receiver: String) {
        let label = [("receiver", receiver)]
        sent = metrics.counter("alerts_sent_total", "Alerts that the receiver has taken.", label)
        failures = metrics.counter("alert_delivery_failures_total", "Attempts that failed; each is repeated.", label)
        givenUp = metrics.counter("vyuha_alerts_given_up_total", "Alerts that became dead letters instead of being delivered.", label)
        waiting = metrics.gauge("vyuha_alert_outbox_entries", "Alerts that wait for the receiver.", label)
        oldest = metrics.gauge("vyuha_alert_outbox_oldest_seconds", "Age of the oldest alert that waits.", label)
        delivery = metrics.histogram("vyuha_alert_delivery_seconds", "From the decision to alert to the receiver's acceptance.", label)
        latency = metrics.histogram("vyuha_alert_latency_seconds", "From the event's Kafka timestamp to the receiver's acceptance.", label)
    }
}
