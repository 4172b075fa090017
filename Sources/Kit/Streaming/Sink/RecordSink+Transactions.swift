import KafkaClient
import Platform
import ServiceKit

/// The exactly-once half of a sink: what `deliver()` sends belongs to a transaction, which the consumer's loop commits with the offsets
/// of the records that it came from. At-least-once, all of this does nothing.
extension RecordSink {
    /// Once, before the first record is read: fences off a former self and settles what it left, so that the committed offsets are final.
    func prepareTransactions() throws(KafkaError) {
        guard isTransactional else { return }
        try untilAnswered { () throws(KafkaError) in try producer.initTransactions(timeout: 10_000) }
    }

    /// Begins a transaction unless one is open.
    func begin() throws(KafkaError) {
        guard isTransactional, !isOpen else { return }
        try producer.beginTransaction()
        isOpen = true
    }

    /// Makes everything that was delivered since the last commit visible, together with these offsets. Nothing happens where there is neither.
    /// - Throws: an error that `requiresAbort` or is fatal, or a retryable one when the service is asked to stop.
    func commit(_ offsets: [PartitionOffset], of consumer: KafkaConsumer) throws(KafkaError) {
        guard isTransactional, isOpen || !offsets.isEmpty else { return }
        do throws(KafkaError) {
            try commitAll(offsets, of: consumer)
        } catch {
            letters.learn(from: error)
            throw error
        }
        letters.settled()
    }

    private func commitAll(_ offsets: [PartitionOffset], of consumer: KafkaConsumer) throws(KafkaError) {
        try begin()
        if !offsets.isEmpty {
            try untilAnswered { () throws(KafkaError) in try producer.sendOffsetsToTransaction(offsets, of: consumer, timeout: 5_000) }
        }
        try untilAnswered { () throws(KafkaError) in try producer.commitTransaction(timeout: 5_000) }
        isOpen = false
    }

    /// Drops what was not sent, and exactly-once everything that was delivered since the last commit.
    func abandon() throws(KafkaError) {
        batch.removeAll()
        letters.settled()
        guard isTransactional else {
            // A record that could not be delivered is made again from its input.
            producer.clearFailures()
            return
        }
        guard isOpen else { return }
        try untilAnswered { () throws(KafkaError) in try producer.abortTransaction(timeout: 5_000) }
        isOpen = false
    }

    /// Calls again after an error that asks for it, until the service is to stop.
    private func untilAnswered(_ body: () throws(KafkaError) -> Void) throws(KafkaError) {
        var backoff = Backoff(initial: 50, maximum: 1_000)
        while true {
            service.life.turned()
            do throws(KafkaError) {
                return try body()
            } catch {
                guard error.isRetryable, !error.requiresAbort, !error.isFatal, !service.life.isStopping else { throw error }
                if backoff.attempts == 0 { service.log.warning("a transaction waits for Kafka", ["error": "\(error)"]) }
                Clock.sleep(milliseconds: backoff.next())
            }
        }
    }
}
