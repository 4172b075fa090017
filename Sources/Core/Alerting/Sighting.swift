import Text

/// One anomaly, or the end of one, on its way through the stages.
public struct Sighting: Sendable, Equatable {
    /// Of the scored record.
    public var id: String
    public var labels: AlertLabels
    /// 0...1.
    public var score: Double
    /// Times in milliseconds; `producedAt` is the Kafka timestamp of the event.
    public var eventTime: Int64
    public var producedAt: Int64
    /// Offset of the event that caused it, in the partition of the same number.
    public var offset: Int64
    /// Its ordinal within that offset; nil from a scorer of version 0.1.0, which did not say it.
    public var sequence: Int64?
    /// The entity is normal again.
    public var isCleared: Bool
    /// Of a window, which may be scored again under the same id; then the highest revision counts.
    public var isWindow: Bool
    public var revision: UInt32
    /// The record as it came.
    public var evidence: [UInt8]
    public var source: Source
    /// The key of its group; the stage `enrich` fills it in.
    public var group = ""

    /// Where it was read: partition and offset on `<uc>.anomalies`, and the Kafka timestamp.
    public struct Source: Sendable, Equatable {
        public var partition: Int32
        public var offset: Int64
        public var timestamp: Int64

        public init(partition: Int32, offset: Int64, timestamp: Int64) {
            self.partition = partition
            self.offset = offset
            self.timestamp = timestamp
        }
    }

    public init(
        id: String, labels: AlertLabels, score: Double, eventTime: Int64, producedAt: Int64, offset: Int64, sequence: Int64? = nil,
        isCleared: Bool = false,
        isWindow: Bool = false, revision: UInt32 = 0, evidence: [UInt8] = [], source: Source
    ) {
        self.id = id
        self.labels = labels
        self.score = score
        self.eventTime = eventTime
        self.producedAt = producedAt
        self.offset = offset
        self.sequence = sequence
        self.isCleared = isCleared
        self.isWindow = isWindow
        self.revision = revision
        self.evidence = evidence
        self.source = source
    }

    /// Which series of the entity it belongs to: what was anomalous in one feature set is cleared in the same.
    var series: String { labels.entity + "\u{1F}" + labels.set }

    /// FNV-1a of id, set, and whether it is an end: with its place it says which sighting this is.
    var identity: UInt64 { FNV1a.hash(texts: id, labels.set, isCleared ? "-" : "+") &+ UInt64(revision) }

    /// The same for all revisions of a window; nil for what is none.
    var window: String? { isWindow ? String(FNV1a.hash(texts: id, labels.set), radix: 36) : nil }
}

/// What became of a sighting.
public enum Fate: Sendable, Equatable {
    /// It was handled before and has no effect.
    case seenBefore
    /// Held back; the words say by what.
    case silenced(String)
    /// Held back by the inhibition of this number.
    case inhibited(Int)
    /// The first of a new alert.
    case raised(alert: String)
    /// One more of an alert.
    case joined(alert: String)
    /// The alert will be resolved unless anomalies come back.
    case cleared(alert: String)
    /// There was no alert to clear.
    case nothingToClear
}
