import Contracts
import KafkaClient

/// Where a service's records go: queued in batches, waited for until the brokers have them.
public final class Outlet {
    let producer: KafkaProducer
    let service: Service
    /// Exactly-once: see `Outlet+Transactions.swift`.
    let isTransactional: Bool
    var isOpen = false
    /// What is to be sent; fill it, then `deliver()`. Each record comes here, so access is not checked: an outlet is one thread's own.
    @exclusivity(unchecked) public var batch: OutgoingBatch
    /// Dead letters go to the partition that their original was in; false where the topic that is read may have more partitions than ours.
    public var keepsPartition = true
    /// See `Outlet+DeadLetters.swift`.
    var letters = LetterSize()

    /// - Parameter topics: indexed by `append(topic:…)` of the batch.
    public init(
        _ common: CommonSettings, _ service: Service, topics: [String], delivery: DeliveryGuarantee = .atLeastOnce
    ) throws(KafkaError) {
        self.service = service
        isTransactional = delivery == .exactlyOnce
        let id = isTransactional ? "\(common.useCaseName).\(service.name).\(common.instanceID ?? "")" : nil
        // A record waits for its broker as long as it takes; only a transaction has an end of its own.
        // A batch is handed over at once and waited for: 0.2 ms is what that takes, and nothing more will come meanwhile.
        producer = try KafkaProducer(
            service.logging(common.kafka), transactionalID: id, defaults: ["linger.ms": "0.2"],
            properties: isTransactional ? [:] : ["message.timeout.ms": "0"])
        batch = OutgoingBatch(topics: topics)
    }

    /// Sends the batch and waits until every record is on the broker; the batch is empty afterwards. Exactly-once it only hands the records
    /// over: the loop's commit is what waits.
    ///
    /// A broker that is away is waited for. Throws a retryable error when the service is asked to stop meanwhile: what was not
    /// acknowledged must then not be committed.
    public func deliver() throws(KafkaError) {
        defer { batch.removeAll() }
        guard batch.count > 0 else { return }
        letters.sent(batch.count)
        do throws(KafkaError) {
            try sendAndWait()
        } catch {
            letters.learn(from: error)
            throw error
        }
        if !isTransactional { letters.settled() }
    }

    /// Delivers as `deliver` does, at-least-once only, but gives back what brokers refuse for good (a record above the topic's limit): everything else
    /// is then on the brokers.
    public func deliverKeepingRefused() throws(KafkaError) -> [RefusedRecord] {
        do throws(KafkaError) {
            try deliver()
            return []
        } catch {
            var (refused, error) = ([RefusedRecord](), error)
            while true {
                guard error.refusesRecord, !error.isFatal, case let more = producer.takeRefused(), !more.isEmpty else { throw error }
                refused += more
                do throws(KafkaError) {
                    try producer.flush(timeout: 30_000)
                    return refused
                } catch let next { error = next }
            }
        }
    }

    private func sendAndWait() throws(KafkaError) {
        try begin()
        var start = 0
        var ticket = DeliveryTicket.none
        while true {
            do {
                ticket = try producer.send(batch, from: start, timeout: 200)
                break
            } catch {
                guard error.isRetryable, !error.isFatal, let index = error.recordIndex, !service.life.isStopping else { throw error }
                start = index
                service.life.turned()
            }
        }
        if isTransactional { return }
        while true {
            do {
                return try producer.waitForDelivery(of: ticket, timeout: 200)
            } catch {
                guard error.isRetryable, !error.isFatal, error.failedDeliveries == 0, !service.life.isStopping else { throw error }
                service.life.turned()
            }
        }
    }

    public func close() { try? producer.close(timeout: 2_000) }
}
