import Alerting
import Contracts
import ServiceKit

/// What the deciding threads count; added to once per batch.
struct AlertSinkMetrics: Sendable {
    let latency: Histogram
    private let admitted: Counter
    private let duplicates: Counter
    private let suppressed: [String: Counter]
    private let notices: [Occasion: Counter]
    private let deadLetters: [DeadLetterReason: Counter]

    /// Why a record can be refused here.
    private static let reasons: [DeadLetterReason] = [
        .empty, .malformed, .notAnObject, .repeatedField, .missingField, .wrongType, .failedRepeatedly,
    ]

    init(_ metrics: Metrics) {
        admitted = metrics.counter("vyuha_alerts_admitted_total", "Anomalies that began an alert.")
        var held: [String: Counter] = [:]
        for way in ["joined", "silenced", "inhibited", "untold"] {
            held[way] = metrics.counter(
                "alerts_suppressed_total",
                "Anomalies that made no alert of their own: they joined one, were silenced or inhibited, or were over "
                    + "before anybody was told.", [("by", way)])
        }
        suppressed = held
        duplicates = metrics.counter("vyuha_alert_duplicates_total", "Anomalies that had been seen before and had no effect.")
        latency = metrics.histogram("processing_latency_seconds", "From the event's Kafka timestamp to the decision about its anomaly.")
        var told: [Occasion: Counter] = [:]
        for occasion in Occasion.allCases {
            told[occasion] = metrics.counter("vyuha_alert_messages_total", "Messages that were decided on.", [("event", occasion.rawValue)])
        }
        notices = told
        var counters: [DeadLetterReason: Counter] = [:]
        for reason in Self.reasons {
            counters[reason] = metrics.counter(
                "vyuha_dead_letters_total", "Records that could not be used, by reason.", [("reason", reason.rawValue)])
        }
        deadLetters = counters
    }

    func note(_ outcome: Decisions.Outcome) {
        admitted.add(outcome.raised)
        duplicates.add(outcome.seenBefore)
        suppressed["joined"]?.add(outcome.joined)
        suppressed["silenced"]?.add(outcome.silenced)
        suppressed["inhibited"]?.add(outcome.inhibited)
        suppressed["untold"]?.add(outcome.untold)
        for (occasion, count) in outcome.told { notices[occasion]?.add(count) }
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
        sent = metrics.counter("alerts_sent_total", "Messages that the receiver has taken.", label)
        failures = metrics.counter("alert_delivery_failures_total", "Attempts that failed; each is repeated.", label)
        givenUp = metrics.counter("vyuha_alerts_given_up_total", "Messages that became dead letters instead of being delivered.", label)
        waiting = metrics.gauge("vyuha_alert_outbox_entries", "Messages that wait for the receiver.", label)
        oldest = metrics.gauge("vyuha_alert_outbox_oldest_seconds", "Age of the oldest message that waits.", label)
        delivery = metrics.histogram("vyuha_alert_delivery_seconds", "From the decision to tell to the receiver's acceptance.", label)
        latency = metrics.histogram("vyuha_alert_latency_seconds", "From the worst event's Kafka timestamp to the receiver's acceptance.", label)
    }
}
