import Contracts
import Glibc
import JSON
import KafkaClient
import Quality
import ServiceKit
import Synchronization

/// An alert as the live view tells it.
struct AlertLine: Sendable, Equatable {
    /// Wall clock, milliseconds.
    var at: Int64
    var title: String
    var text: String
}

/// What the main thread sees of the observer, renewed several times a second.
struct ObserverView: Sendable {
    var counts = HopCounts()
    var doubled = HopCounts()
    var unsettled = 0
    /// What has waited longest for its answer.
    var oldest: UnansweredEvent?
    /// When the newest event arrived, wall clock, milliseconds.
    var lastEvent: Double?
    /// Milliseconds; nil when nothing arrived lately.
    var scoreLatency: (p50: Double, p99: Double)?
    var alertLatency: (p50: Double, p99: Double)?
    /// The newest last; at most `Observer.shownAlerts`.
    var alerts: [AlertLine] = []
    /// Records that the observer has still to read.
    var behind = 0
    /// Derived records whose JSON could not be read.
    var unreadable = 0
    /// It has its partitions and reads.
    var isReading = false
    /// What Kafka reported, newest last; records may be missing from the books.
    var troubles: [String] = []
    /// It cannot go on.
    var failure: String?
}

/// The independent reader of a run: reads every topic from every partition without a group, so that its books depend on no service.
///
/// Latency is taken here: arrival of the record at this thread minus the Kafka timestamp of the event. That includes the way from the broker
/// and up to a millisecond of rounding in Kafka's timestamps, so it is an upper bound.
final class Observer: Sendable {
    static let shownAlerts = 6

    /// Where reading begins.
    enum Start: Sendable {
        /// An embedded broker holds nothing but this run.
        case beginning
        /// What a broker held before the run is not of the run.
        case now
    }

    private let facts: RunFacts
    private let kafka: KafkaSettings
    private let start: Start
    private let recordDirectory: String?
    private let shared = Mutex(ObserverView())
    private let stopping = Atomic<Bool>(false)
    private let result = Mutex<FlowAccount?>(nil)
    private let matched = Mutex(QualityFigures())

    init(_ facts: RunFacts, kafka: KafkaSettings, start: Start, recordDirectory: String?) {
        self.facts = facts
        self.kafka = kafka
        self.start = start
        self.recordDirectory = recordDirectory
    }

    var view: ObserverView { shared.withLock { $0 } }

    func begin() {
        Threads.start("observer") { [self] in
            do { try run() } catch {
                shared.withLock { $0.failure = "\(error)" }
            }
        }
    }

    /// Asks for the end; `finished` has the books soon after.
    func stop() { stopping.store(true, ordering: .relaxed) }

    /// The books, once the thread has ended well.
    var finished: FlowAccount? { result.withLock { $0 } }
    /// Alarms against truth by episode, once there are books.
    var quality: QualityFigures { matched.withLock { $0 } }

    // MARK: The thread

    private func run() throws {
        let recorder = try recordDirectory.map { try Recorder(directory: $0) }
        let topics = facts.topics.all
        // Smaller fetches than the services': seven topics are read with little memory. The offset reset only matters where a broker
        // drops records before they are read; that is then reported below.
        let consumer = try KafkaConsumer(kafka, group: facts.name + ".vyuhactl")
        defer { consumer.close() }
        try consumer.assign(try startOffsets(consumer, topics))
        var reader = try FlowReader(facts, startedAt: Self.wallClock)
        var batch = RecordBatch()
        var nextView = 0.0
        var nextTurn = Clock.monotonicSeconds + 2
        while !stopping.load(ordering: .relaxed) {
            do {
                try consumer.poll(into: &batch, maximum: 2_000, timeout: 50)
            } catch {
                guard !error.isFatal else { throw error }
                let sentence = error.message
                shared.withLock { if $0.troubles.last != sentence { $0.troubles = $0.troubles.suffix(9) + [sentence] } }
            }
            let arrival = Self.wallClock
            for record in batch.records {
                reader.read(record, of: batch, arrival: arrival)
                recorder?.write(record, of: batch, observedAt: arrival)
            }
            let now = Clock.monotonicSeconds
            if now >= nextTurn {
                reader.account.rotate()
                nextTurn = now + 2
            }
            if now >= nextView {
                publish(&reader, behind: behind(consumer))
                nextView = now + 0.1
            }
        }
        recorder?.close()
        publish(&reader, behind: behind(consumer))
        matched.withLock { $0 = reader.matcher.figures() }
        result.withLock { $0 = reader.account }
    }

    private func startOffsets(_ consumer: KafkaConsumer, _ topics: [String]) throws(KafkaError) -> [PartitionOffset] {
        var offsets: [PartitionOffset] = []
        for topic in topics {
            for partition in 0..<Int32(facts.partitions) {
                let place = TopicPartition(topic, partition)
                switch start {
                case .beginning: offsets.append(PartitionOffset(place, PartitionOffset.beginning))
                // The number, not "the end": that would be looked up only when the first fetch goes out.
                case .now: offsets.append(PartitionOffset(place, try consumer.watermarks(place, cached: false, timeout: 20_000).high))
                }
            }
        }
        return offsets
    }

    private func behind(_ consumer: KafkaConsumer) -> Int {
        guard let lag = try? consumer.lag() else { return 0 }
        return lag.values.reduce(0) { $0 + Int(max(0, $1)) }
    }

    private func publish(_ reader: inout FlowReader, behind: Int) {
        let oldest = reader.account.oldestUnanswered()
        let recent = reader.account.recent
        func pair(_ quantile: (Double) -> Double?) -> (p50: Double, p99: Double)? {
            guard let p50 = quantile(0.5), let p99 = quantile(0.99) else { return nil }
            return (p50, p99)
        }
        let (score, alert) = (pair(recent.scoreQuantile), pair(recent.alertQuantile))
        let (counts, doubled, unsettled) = (reader.account.counts, reader.account.doubled, reader.account.unsettled)
        let (lastEvent, alerts, unreadable) = (reader.account.lastEvent, reader.alerts, reader.unreadable)
        shared.withLock { view in
            view.counts = counts
            view.doubled = doubled
            view.unsettled = unsettled
            view.oldest = oldest
            view.lastEvent = lastEvent
            view.scoreLatency = score
            view.alertLatency = alert
            view.alerts = alerts
            view.unreadable = unreadable
            view.behind = behind
            view.isReading = true
        }
    }

    /// Milliseconds with a fraction.
    static var wallClock: Double {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Double(time.tv_sec) * 1000 + Double(time.tv_nsec) / 1e6
    }
}
