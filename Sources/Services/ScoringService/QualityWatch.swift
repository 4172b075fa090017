import Contracts
import JSON
import KafkaClient
import Quality
import ServiceKit
import UseCases

/// Tells how good the scores are, from `<uc>.labels` and `<uc>.scores`, as metrics. A thread of its own, beside the pipeline.
///
/// Without labels there is nothing to judge by: scores are only read once a label has come. Replicas share the partitions; labels and scores of
/// an entity are in partitions of the same number, so each replica judges its own entities, and the counters of all add up. The gauges tell
/// all that was seen so far, as the report of a run does; the counters follow when an episode or alert is settled.
final class QualityWatch: Sendable {
    private let useCase: UseCase
    private let service: Service
    private let kafka: KafkaSettings
    private let gauges: Gauges

    private struct Gauges: Sendable {
        let precision: Gauge
        let recall: Gauge
        let falseAlerts: Gauge
        let alerts: Counter
        let trueAlerts: Counter
        let episodes: Counter
        let found: Counter
        let delay: Histogram
    }

    /// Seconds between two judgements.
    private static let interval = 5.0
    /// Seconds after which partitions that come are begun at their ends: another replica has judged what is before.
    private static let beginning = 60.0

    init(_ useCase: UseCase, kafka: KafkaSettings, _ service: Service) {
        self.useCase = useCase
        self.kafka = kafka
        self.service = service
        let metrics = service.metrics
        gauges = Gauges(
            precision: metrics.gauge("model_precision", "True alerts among all so far, by the labels, by episode; NaN before any."),
            recall: metrics.gauge("model_recall", "Labelled episodes that were found, among these and those that are over; NaN before any."),
            falseAlerts: metrics.gauge("model_false_alerts_per_entity_day", "False alerts an entity and day of event time; NaN before any."),
            alerts: metrics.counter(
                "vyuha_alerts_judged_total", "Bursts of flagged records that nothing can change any more, minutes after they ended."),
            trueAlerts: metrics.counter("vyuha_alerts_true_total", "Of those, bursts that an episode was behind."),
            episodes: metrics.counter("vyuha_episodes_judged_total", "Labelled episodes that nothing can change any more, minutes after they ended."),
            found: metrics.counter("vyuha_episodes_found_total", "Of those, episodes with a flagged record inside."),
            delay: metrics.histogram(
                "model_detection_delay_seconds", "From an episode's start to its first flagged record, in event time.",
                bounds: [1, 2, 5, 10, 30, 60, 120, 300, 600, 1_800]))
        for gauge in [gauges.precision, gauges.recall, gauges.falseAlerts] { gauge.set(.nan) }
    }

    func start() {
        Threads.start("quality") { [self] in
            do { try run() } catch {
                service.log.error("quality is not measured any more", ["error": "\(error)"])
            }
        }
    }

    private func run() throws {
        let topics = Topics(useCase: useCase.name)
        // What comes while this is joining its group is read too: it begins where the topics end now.
        var ends: [TopicPartition: Int64] = [:]
        let began = Clock.monotonicSeconds
        let consumer = try KafkaConsumer(
            kafka, group: useCase.name + ".quality", properties: ["auto.offset.reset": "latest", "queued.max.messages.kbytes": "4096"]
        ) { _, event in
            guard case .assigned(let added) = event, Clock.monotonicSeconds - began < Self.beginning else { return [] }
            return added.compactMap { place in ends.removeValue(forKey: place).map { PartitionOffset(place, $0) } }
        }
        defer { consumer.close() }
        ends = Self.ends(of: [topics.labels, topics.scores], consumer)
        try consumer.subscribe([topics.labels])
        let windows = useCase.plan.sets.compactMap { set -> Int64? in
            if case .window(let length, _) = set.scope { length } else { nil }
        }
        var matcher = EventMatcher(aftermath: max(60_000, windows.max() ?? 0))
        let (score, label) = (try JSONFields(paths: ScoreSlot.paths), try JSONFields(paths: LabelSlot.paths))
        var batch = RecordBatch()
        var told = QualityFigures()
        var (readsScores, nextJudgement) = (false, 0.0)
        while !service.life.isStopping {
            do {
                try consumer.poll(into: &batch, maximum: 2_000, timeout: 500)
            } catch {
                guard !error.isFatal else { throw error }
                service.log.debug("quality waits for kafka", ["error": error.message])
                Clock.sleep(milliseconds: 500)
                continue
            }
            let now = Clock.monotonicSeconds
            for record in batch.records {
                guard let value = record.value else { continue }
                let isLabel = batch.topics[record.topic] == topics.labels
                let fields = isLabel ? label : score
                guard case .ok = fields.read(batch.bytes, value) else { continue }
                if isLabel { LabelSlot.take(fields, into: &matcher, now: now) } else { ScoreSlot.take(fields, into: &matcher, now: now) }
            }
            if !readsScores, !batch.records.isEmpty {
                readsScores = true
                try consumer.subscribe([topics.labels, topics.scores])
            }
            if readsScores, now >= nextJudgement {
                nextJudgement = now + Self.interval
                matcher.settle(now: now)
                tell(matcher.figures(isFinal: false), settled: matcher.settled, after: &told)
            }
        }
    }

    /// Where the topics end now, as far as the broker says so.
    private static func ends(of topics: [String], _ consumer: KafkaConsumer) -> [TopicPartition: Int64] {
        guard let counts = try? consumer.topics() else { return [:] }
        var ends: [TopicPartition: Int64] = [:]
        for topic in topics {
            for partition in 0..<Int32(counts[topic] ?? 0) {
                let place = TopicPartition(topic, partition)
                if let range = try? consumer.watermarks(place, cached: false) { ends[place] = range.high }
            }
        }
        return ends
    }

    private func tell(_ soFar: QualityFigures, settled figures: QualityFigures, after told: inout QualityFigures) {
        gauges.alerts.add(figures.alerts - told.alerts)
        gauges.trueAlerts.add(figures.trueAlerts - told.trueAlerts)
        gauges.episodes.add(figures.episodes - told.episodes)
        gauges.found.add(figures.found - told.found)
        gauges.precision.set(soFar.precision ?? .nan)
        gauges.recall.set(soFar.recall ?? .nan)
        gauges.falseAlerts.set(soFar.falseAlertsPerEntityDay ?? .nan)
        gauges.delay.observe(figures.newDelays(since: told))
        told = figures
    }
}
