/// All that is remembered of one group: its burst of anomalies, and what people were told. Times are wall clock, milliseconds; 0 is never.
public struct AlertGroup: Sendable, Equatable {
    public enum Phase: String, Sendable {
        /// Nothing is going on; remembered for its cooldown.
        case quiet
        /// A burst has begun and was not told yet.
        case waiting
        /// People were told and it is not over.
        case open
    }

    /// Windows whose anomalies are remembered, so that a revision of one is not taken for another anomaly.
    static let mostWindows = 16

    /// Most series of entities that are remembered as anomalous; with more, only silence can resolve.
    static let mostActive = 32

    public let key: String
    public var phase = Phase.quiet

    // The burst.
    public var alertID = ""
    /// The anomaly that began it.
    public var firstID = ""
    /// When its first anomaly came here, and its latest.
    public var openedAt: Int64 = 0
    public var seenAt: Int64 = 0
    /// Event times of the first and of the latest.
    public var since: Int64 = 0
    public var last: Int64 = 0
    /// When the last of its series became normal again.
    public var clearedAt: Int64 = 0
    public var anomalies: Int64 = 0
    /// Of those, how many came after the latest message.
    public var untold: Int64 = 0
    /// Series that are anomalous now, and whether there were too many to remember.
    public var active: [String] = []
    public var hasMoreActive = false
    public var severity = Severity.info
    /// The worst anomaly, which the alert tells about.
    public var worst = 0.0
    public var labels = AlertLabels(entity: "", set: "")
    public var evidence: [UInt8] = []
    public var source = Sighting.Source(partition: 0, offset: 0, timestamp: 0)
    /// The newest windows among its anomalies, and which of them the worst is, if any: `Sighting.window`.
    public var windows: [String] = []
    public var worstWindow = ""

    // What people were told.
    /// Messages of this alert.
    public var sequence: Int64 = 0
    /// The latest message about the group, also of an earlier alert; and the first of this alert.
    public var toldAt: Int64 = 0
    public var firstToldAt: Int64 = 0
    public var toldSeverity = Severity.info
    /// Receivers that know of this alert.
    public var toldTo: [String] = []
    /// Anomalies nobody was told about since the last alert.
    public var suppressed: Int64 = 0
    public var acknowledgedBy = ""
    public var acknowledgedAt: Int64 = 0
    /// Nothing is told before: snoozed, silenced or inhibited.
    public var quietUntil: Int64 = 0
    /// Nothing is told before: held back by the cap.
    public var heldUntil: Int64 = 0
    public var escalatedAt: Int64 = 0

    /// When the group must be looked at again.
    public var dueAt: Int64 = 0

    /// Of the store: which write it was loaded from, and what changed since.
    public var version: Int64 = 0
    public var isChanged = false
    public var hasNewEvidence = false

    public init(key: String) { self.key = key }

    /// As people read it.
    public var name: String { AlertEngine.name(ofGroup: key) }
}
