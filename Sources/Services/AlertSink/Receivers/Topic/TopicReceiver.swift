import Contracts
import KafkaClient
import ServiceKit
import Streaming

/// Writes each alert to `<uc>.alerts`: key is the entity, header `id` the alert's id, partition that of the anomaly.
final class TopicReceiver: AlertReceiver {
    static let kind = ReceiverKind(name: "topic", isWanted: { _ in true }) { settings, service in
        try TopicReceiver(service.logging(settings.stream.kafka), topic: Topics(useCase: settings.useCase.name).alerts)
    }

    /// Milliseconds that one attempt waits for the broker.
    private static let patience = 2_000

    let name = "topic"
    private let producer: KafkaProducer
    private var batch: OutgoingBatch
    /// An alert that is queued but not yet acknowledged: it is waited for again, not sent twice.
    private var queued: (id: String, ticket: DeliveryTicket)?

    init(_ settings: KafkaSettings, topic: String) throws(KafkaError) {
        // One alert at a time, and somebody waits for it.
        producer = try KafkaProducer(settings, properties: ["linger.ms": "0"])
        batch = OutgoingBatch(topics: [topic])
    }

    func deliver(_ alert: AlertRecord, _ entry: OutboxEntry, shouldContinue: () -> Bool) throws(DeliveryFailure) {
        do throws(KafkaError) {
            let ticket: DeliveryTicket
            if let queued, queued.id == entry.id {
                ticket = queued.ticket
            } else {
                batch.removeAll()
                batch.append(topic: 0, partition: entry.source.partition, key: Array(alert.anomaly.entity.utf8), value: alert.json)
                batch.header("id", alert.id)
                batch.header("raised_by", alert.raisedBy)
                ticket = try producer.send(batch, timeout: 200)
                queued = (entry.id, ticket)
            }
            try wait(for: ticket, shouldContinue)
            queued = nil
        } catch {
            if error.failedDeliveries > 0 || !error.isRetryable {
                // It will never arrive by itself, so the next attempt sends it anew.
                producer.clearFailures()
                queued = nil
            }
            if !shouldContinue() { throw DeliveryFailure(kind: .stopped, message: error.message) }
            // One that is too large for the topic must not hold up the others.
            throw DeliveryFailure(kind: error.refusesRecord ? .refused : .away, message: error.message)
        }
    }

    private func wait(for ticket: DeliveryTicket, _ shouldContinue: () -> Bool) throws(KafkaError) {
        let end = Clock.monotonicSeconds + Double(Self.patience) / 1_000
        while true {
            do throws(KafkaError) {
                return try producer.waitForDelivery(of: ticket, timeout: 200)
            } catch {
                guard error.isRetryable, error.failedDeliveries == 0, shouldContinue(), Clock.monotonicSeconds < end else { throw error }
            }
        }
    }

    func close() { try? producer.close(timeout: 1_000) }
}
