/// What the stages read and change: the state of the groups at hand, and the messages that they decided on.
///
/// A check over a file keeps all of it in memory; the service loads the groups of a batch from the store and writes the changed ones back.
public struct AlertBook: Sendable {
    public var groups: [String: AlertGroup] = [:]
    /// By partition.
    public var marks: [Int32: SeenMark] = [:]
    /// When the effect of an inhibition's source ends, by the key that `AlertEngine.inhibitionKeys` makes. 0 is never.
    public var inhibitions: [String: Int64] = [:]
    public var changedInhibitions: Set<String> = []
    public var fuse = Fuse()
    /// Bursts that are going on everywhere.
    public var bursts = 0
    /// In the order of the decisions.
    public var notices: [Notice] = []
    /// Anomalies of bursts that ended before anybody was told: what cooldown and cap held back.
    public var untold: Int64 = 0

    public init() {}

    /// What changed is stored; the messages are on their way.
    public mutating func settle() {
        notices.removeAll(keepingCapacity: true)
        changedInhibitions.removeAll(keepingCapacity: true)
        untold = 0
        fuse.isChanged = false
    }
}

/// The cap of an hour: how much of it is used, and what it held back.
public struct Fuse: Sendable, Equatable {
    /// The name of its timer among those of the groups.
    public static let key = ""

    /// Hours since the epoch.
    public var hour: Int64 = 0
    public var told: Int64 = 0
    public var held: Int64 = 0
    /// One of those that are held back, so that the message has an example.
    public var example: AlertGroup?
    public var version: Int64 = 0
    public var isChanged = false

    public init() {}

    /// When the hour ends.
    public var end: Int64 { (hour + 1) * 3_600_000 }
}
