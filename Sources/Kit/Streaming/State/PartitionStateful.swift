import KafkaClient
import ServiceKit

/// State that a partition can have: it can be written down and read back, whole or as what changed.
public protocol PartitionStateful: AnyObject {
    /// What wall-clock time, and no record, decides about this state: how far event time goes on, which models are used from now on. On record with
    /// its offset, as this number, before it has an effect.
    associatedtype Decision: RawRepresentable<Int64>

    /// - Parameter whole: everything; otherwise what changed since the last call.
    func write(whole: Bool) -> [UInt8]
    /// Reads a whole state and then its changes, in order. Throws where the bytes are foreign or damaged.
    func restore(_ parts: [[UInt8]]) throws
    /// What an owner must know to rebuild this state from fewer than all events, should its snapshot be gone: travels with the committed
    /// offset. Nil when every event is needed.
    var rebuildNote: String? { get }
    /// Begins anew from such a note, of a state that was like this one.
    /// - Returns: the first offset to apply; nil when the note is foreign, and then every event is needed.
    func beginRebuild(_ note: String) -> Int64?
    /// The state was restored from its snapshot; the note came with the committed offset.
    func resume(_ note: String)
    /// A run of this partition's records comes next.
    func willApply(_ records: ArraySlice<ConsumedRecord>, of batch: borrowing RecordBatch)
    /// What must be decided before the next record can be applied; nil: nothing.
    var decisionNeeded: Decision? { get }
    /// What time decided without a record, if anything. Asked when none came for a while.
    /// - Parameter silence: milliseconds since the partition's last record arrived.
    func decisionDue(silence: Int64) -> Decision?
}

/// State of which every event may be needed, and that is ready for any record.
extension PartitionStateful {
    public var rebuildNote: String? { nil }
    public func beginRebuild(_ note: String) -> Int64? { nil }
    public func resume(_ note: String) {}
    public func willApply(_ records: ArraySlice<ConsumedRecord>, of batch: borrowing RecordBatch) {}
    public var decisionNeeded: Decision? { nil }
}

/// A partition that this service owns.
public final class OwnedPartition<State: PartitionStateful> {
    public let partition: Int32
    public internal(set) var state: State
    /// Offset of the next record to apply; what is below it was applied already.
    public internal(set) var next: Int64
    /// Records below this offset only rebuild the state: their effects are durable.
    public let effectsFrom: Int64
    var token: StateStore.Token
    /// What a former owner put on record, to be repeated at its offsets.
    var decisions: [StateStore.Decision]
    /// How many parts the stored snapshot has; 0: the next one is whole.
    var parts = 0
    var isDirty = false
    var lastArrival = Clock.milliseconds

    init(_ partition: Int32, _ state: State, start: Int64, effectsFrom: Int64, token: StateStore.Token, decisions: [StateStore.Decision]) {
        self.partition = partition
        self.state = state
        next = start
        self.effectsFrom = effectsFrom
        self.token = token
        self.decisions = decisions
    }
}
