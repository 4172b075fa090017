import KafkaClient
import Platform
import RedisClient
import ServiceKit

/// What happens to a batch: it is handled as a whole, or one by one, or read again.
extension ConsumerLoop {
    /// Makes the batch's effects durable and notes its offsets, or goes back to where the batch can be read again.
    func carryThrough(_ batch: borrowing RecordBatch, _ consumer: KafkaConsumer, _ body: Handler) throws {
        let spans = BatchSpans(batch, from: ledger)
        retention.look(spans, consumer)
        do {
            if poison.suspects(spans) {
                try handleOneByOne(batch, consumer, body)
            } else {
                try complete(spans.offsets, of: consumer, durable: try body(batch))
            }
            processed.add(batch.count)
            if isHeldUp, !batch.isEmpty { recovered() }
        } catch  where deadLetterTopic != nil && Self.isAboutData(error) {
            poison.suspect(spans)
            try startOver(consumer, after: error)
        } catch  where Self.mayPass(error) {
            try startOver(consumer, after: error)
        }
    }

    /// Each record by itself, with what is known about it; one that has broken its handler too often becomes a dead letter instead.
    private func handleOneByOne(_ batch: borrowing RecordBatch, _ consumer: KafkaConsumer, _ body: Handler) throws {
        for index in 0..<batch.count {
            service.life.turned()
            let record = batch.only(index)
            let spans = BatchSpans(record, from: ledger)
            var durable: [PartitionOffset]?
            if let sink, let deadLetterTopic, poison.isPoison(record) {
                // What is held of the records before it must not count as durable because the letter is.
                if let buffered { note(try buffered.flush(spans.spans.map(\.place))) }
                // Below the committed offset it is a dead letter already.
                if !spans.offsets.isEmpty {
                    try sink.deliverPoison(record, topic: deadLetterTopic, attempts: PoisonGuard.limit, error: poison.error(of: record))
                }
            } else {
                do { durable = try body(record) } catch {
                    poison.broke(record, error)
                    throw error
                }
            }
            try complete(spans.offsets, of: consumer, durable: durable)
            poison.survived(record)
        }
    }

    /// Notes what became durable, exactly-once after the transaction that carries it.
    /// - Parameter durable: nil: all of `offsets`.
    private func complete(_ offsets: [PartitionOffset], of consumer: KafkaConsumer, durable: [PartitionOffset]?) throws {
        guard let transactions else { return note(durable ?? offsets) }
        try transactions.commit(annotated(offsets), of: consumer)
        note(offsets)
        ledger.commit(offsets, .known)
        poison.progressed(offsets)
    }

    /// Every effect of the records below these offsets is durable.
    func note(_ offsets: [PartitionOffset]) {
        for place in offsets { ledger.isDurable(place.topicPartition, below: place.offset) }
    }

    /// What the owner does without a record, in a transaction of its own.
    func tick(_ consumer: KafkaConsumer) throws {
        guard let owner else { return }
        do {
            try owner.tick()
            try transactions?.commit([], of: consumer)
        } catch  where Self.mayPass(error) {
            try startOver(consumer, after: error)
        }
    }

    // MARK: Failures

    /// Forgets what was not committed (the open transaction, what waits to be sent, the state) and goes back to the committed offsets and to
    /// the state stored of them, as after a crash; before that it waits, longer after each failure in a row.
    func startOver(_ consumer: KafkaConsumer, after error: any Error) throws {
        if backoff.attempts == 0 { service.log.warning("records are read again, since handling them failed", ["error": "\(error)"]) }
        failed(error)
        while !service.life.isStopping {
            retries.add()
            try consumer.pause(Array(assigned))
            do {
                try sink?.abandon()
                try commit(consumer, wait: true)
                try wait(consumer, milliseconds: backoff.next())
                let places = Array(assigned)
                owner?.left(places)
                buffered?.forget(places)
                for place in places { ledger.revoke(place) }
                let starts = try take(consumer, places)
                notTaken = nil
                try consumer.seek(starts)
                try consumer.resume(Array(assigned))
                if !assigned.isEmpty { service.life.obstacle = nil }
                return
            } catch  where Self.mayPass(error) || (error as? KafkaError)?.name == "_STATE" {
                // _STATE: a partition that came just now has not begun to be read.
                service.log.warning("reading again waits for a server", ["error": "\(error)"])
                failed(error)
            }
        }
    }

    func failed(_ error: any Error) {
        lastFailure = Clock.monotonicSeconds
        isHeldUp = true
        service.life.trouble = "\(error)"
    }

    func recovered() {
        service.log.info("records are handled again")
        service.life.trouble = nil
        isHeldUp = false
        backoff.reset()
    }

    /// Polls paused partitions for that long: nothing comes, but the group sees this member alive and rebalances are served.
    private func wait(_ consumer: KafkaConsumer, milliseconds: Int) throws {
        let end = Clock.monotonicNanoseconds + UInt64(milliseconds) * 1_000_000
        var nothing = RecordBatch(byteCapacity: 0, recordCapacity: 0)
        while Clock.monotonicNanoseconds < end, !service.life.isStopping {
            service.life.turned()
            // Records of partitions that come meanwhile are read again from where those begin.
            try poll(consumer, into: &nothing, timeout: min(milliseconds, Self.pollTimeout))
            try consumer.pause(Array(assigned))
        }
    }

    /// Whether the same call may succeed later without anybody changing the data or the settings.
    static func mayPass(_ error: any Error) -> Bool {
        switch error {
        case let error as KafkaError: (error.isRetryable || error.requiresAbort) && !error.isFatal
        // A wait that a stop has ended is no failure either.
        case let error as RedisError: error.isRetryable || error.kind == .stopped
        case let error as any PassingError: error.mayPass
        default: false
        }
    }

    /// Whether the handler stumbled over a record: what Kafka and Redis refuse for good (a wrong password, a fenced producer) would hit
    /// every record, except for a result that is too large or not valid on its topic.
    private static func isAboutData(_ error: any Error) -> Bool {
        if let error = error as? KafkaError { return error.refusesRecord && !error.isFatal }
        return !(error is RedisError) && !(error is any PassingError)
    }
}
