import KafkaClient
import Platform
import ServiceKit

/// The loop of every consuming service: poll a batch, have its effects made durable, commit.
///
/// - Offsets are committed only after their effects are durable (`CommitLedger`), at most every `commitInterval`, before partitions are handed over,
///   and at the end.
/// - Exactly-once, each batch is one transaction of its sink, with the offsets inside.
/// - When the handler throws something that may pass (Kafka or Redis away), the loop does what it would do after a crash (`startOver`): it forgets
///   what was not committed, waits with a backoff while it keeps polling so that the membership lives on, and reads from the committed offsets
///   again. Effects must therefore be idempotent.
/// - When the handler throws anything else, or ended the process, the records are handled one by one, and the one that does it is a dead letter
///   after bounded tries (`PoisonGuard`).
/// - What a broker refuses for good (too large, not valid) is the fault of the record that it came from, and handled like one that breaks its handler.
/// - While this goes on `/ready` says so.
/// - Records that retention deleted before they were read are counted (`RetentionWatch`).
/// - What no waiting mends ends `run`.
///
/// `ConsumerLoop+Handling.swift` has what happens to a batch, `ConsumerLoop+Partitions.swift` commits and rebalances.
public final class ConsumerLoop {
    /// Bounds how long a stop waits for the poll, milliseconds.
    static let pollTimeout = 200
    /// Seconds between commits: what a crash makes the next owner read again is bounded by this.
    private static let commitInterval = 0.2
    private static let lagInterval = 2.0
    /// Records of a batch from which on it is worth waiting for more of them, and seconds that a round then takes at least: requests cost a
    /// broker more than records do, so results that keep coming leave in fewer and larger ones. What comes one by one is not held up.
    private static let busy = (batch: 16, round: 0.005)
    /// Seconds without a failure after which nothing is said to hold the loop up any more: longer than its longest pause.
    private static let calm = 15.0

    /// Of a partition that this group has not read before.
    public enum Beginning: Sendable { case oldest, newest }

    /// Makes effects durable.
    /// - Returns: of each partition, the offset below which everything is durable; nil: the whole batch is.
    typealias Handler = (borrowing RecordBatch) throws -> [PartitionOffset]?

    let service: Service
    private let settings: StreamSettings
    private let topics: [String]
    private let group: String
    let maximum: Int
    let processed: Counter
    let retries: Counter
    let rebalances: Counter
    let partitions: Gauge
    let owner: (any PartitionOwner)?
    let sink: RecordSink?
    /// The sink, exactly-once only.
    let transactions: RecordSink?
    /// Index of the dead-letter topic in the sink; nil: a record that breaks its handler ends the loop.
    let deadLetterTopic: Int?
    let beginsAt: Beginning?
    let poison: PoisonGuard
    var retention: RetentionWatch
    private var counts: PartitionCounts
    var lag: LagGauges

    var ledger = CommitLedger()
    var assigned: Set<TopicPartition> = []
    /// Set while a handler runs that holds records.
    var buffered: (any BufferedSink)?
    /// Of failures in a row.
    var backoff = Backoff()
    var failedCommits = 0
    var rebalanceError: (any Error)?
    /// Why partitions that came could not be begun: they are, as after a failure, before a record of them is handled.
    var notTaken: (any Error)?
    var lastFailure = 0.0
    var isHeldUp = false
    var lastCommit = Clock.monotonicSeconds
    var lastStore = Clock.monotonicSeconds
    private var lastLag = 0.0

    /// - Parameters:
    ///   - group: consumer group, `<use case>.<service>`.
    ///   - batch: most records that one call of the handler gets.
    ///   - owner: keeps state per partition; nil for a service that has none.
    ///   - sink: where the handler sends its records.
    ///   - deadLetterTopic: index of the dead-letter topic in the sink's batch.
    ///   - beginsAt: where a partition begins of which nothing was committed yet, and that is committed before a record is handled, so that a restart
    ///     goes on from there; nil: at the oldest, and nothing is committed for it.
    public init(
        _ settings: StreamSettings, _ service: Service, topics: [String], group: String, batch: Int, owner: (any PartitionOwner)? = nil,
        sink: RecordSink? = nil, deadLetterTopic: Int? = nil, beginsAt: Beginning? = nil
    ) {
        self.beginsAt = beginsAt
        self.sink = sink
        transactions = sink?.isTransactional == true ? sink : nil
        self.deadLetterTopic = deadLetterTopic
        poison = PoisonGuard(settings.common, service)
        retention = RetentionWatch(service)
        counts = PartitionCounts(service, topics: topics)
        lag = LagGauges(service.metrics)
        self.service = service
        self.owner = owner
        self.settings = settings
        self.topics = topics
        self.group = group
        maximum = batch
        processed = service.metrics.counter("events_processed_total", "Records that were handled and whose effects are durable.")
        retries = service.metrics.counter("vyuha_batch_retries_total", "Batches handled again because Kafka or Redis was away.")
        rebalances = service.metrics.counter("vyuha_rebalances_total", "Changes of this consumer's partitions.")
        partitions = service.metrics.gauge("vyuha_assigned_partitions", "Partitions that this consumer reads now.")
    }

    /// Runs until the service is asked to stop; then commits, leaves the group and returns.
    /// - Parameter handle: makes every effect of the batch durable. Called on this thread only.
    public func run(_ handle: (borrowing RecordBatch) throws -> Void) throws {
        try consume { batch in
            try handle(batch)
            return nil
        }
    }

    /// The same with a sink that holds records and says which offsets are durable; at-least-once only, since a transaction has its batch's offsets inside.
    public func run(_ sink: any BufferedSink) throws {
        precondition(transactions == nil, "A sink that holds records cannot be part of a transaction per batch.")
        buffered = sink
        defer { buffered = nil }
        try consume { try sink.take($0) }
    }

    private func consume(_ handle: Handler) throws {
        let kafka = service.logging(settings.kafka)
        guard try KafkaAdmin(kafka).waitUntilReachable(service) else { return }
        service.life.obstacle = "waiting for partitions"
        try transactions?.prepareTransactions()
        let consumer = try KafkaConsumer(kafka, group: group, instanceID: settings.common.instanceID) { [unowned self] consumer, event in
            rebalanced(consumer, event)
        }
        try checkCounts(consumer)
        guard !service.life.isStopping else { return consumer.close() }
        try consumer.subscribe(topics)
        var batch = RecordBatch()
        while !service.life.isStopping {
            service.life.turned()
            try poll(consumer, into: &batch, timeout: Self.pollTimeout)
            let began = Clock.monotonicSeconds
            #if VYUHA_BROKEN_COMMIT_FIRST
                // Wrong on purpose, so that `make crash-test` can show that it would notice: offsets first, effects later, as much later as
                // with a slow broker; a quick one's millisecond is missed by most kills.
                note(BatchSpans(batch, from: ledger).offsets)
                try commit(consumer, wait: true)
                if !batch.isEmpty { Clock.sleep(milliseconds: 20) }
            #endif
            if let error = notTaken {
                try startOver(consumer, after: error)
                continue
            }
            if !batch.isEmpty || buffered != nil { try carryThrough(batch, consumer, handle) }
            try tick(consumer)
            let now = Clock.monotonicSeconds
            if isHeldUp, now - lastFailure > Self.calm { recovered() }
            // One partition at a time, in turn: storing all of them at once would hold up every event for as long as that takes.
            if let owner, now - lastStore >= owner.interval / Double(max(1, assigned.count)) {
                try storeState(consumer, owner)
            } else if now - lastCommit >= Self.commitInterval {
                try commit(consumer, wait: false)
            }
            if now - lastLag >= Self.lagInterval {
                lastLag = now
                lag.measure(consumer)
            }
            if counts.isDue(now) { try checkCounts(consumer) }
            // A full batch has more behind it already.
            if batch.count >= Self.busy.batch, batch.count < maximum { Clock.sleep(until: began + Self.busy.round) }
        }
        flush(Array(assigned))
        try commit(consumer, wait: true)
        consumer.close()
        if let rebalanceError { throw rebalanceError }
    }

    /// A server that is away is waited for: without knowing with how many partitions its state was built, nothing can be read.
    private func checkCounts(_ consumer: KafkaConsumer) throws {
        var backoff = Backoff()
        while !service.life.isStopping {
            service.life.turned()
            do {
                try counts.check(consumer, owner)
                if backoff.attempts > 0 { recovered() }
                return
            } catch  where Self.mayPass(error) {
                if backoff.attempts == 0 { service.log.warning("reading waits for a server", ["error": "\(error)"]) }
                failed(error)
                Clock.sleep(milliseconds: backoff.next())
            }
        }
    }

    func poll(_ consumer: KafkaConsumer, into batch: inout RecordBatch, timeout: Int) throws {
        do {
            try consumer.poll(into: &batch, maximum: maximum, timeout: timeout)
            if let rebalanceError { throw rebalanceError }
        } catch let error as KafkaError {
            guard error.isRetryable, !error.isFatal else { throw error }
            service.log.warning("Kafka reported a passing error", ["error": "\(error)"])
        }
    }
}
