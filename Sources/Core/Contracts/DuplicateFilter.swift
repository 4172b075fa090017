/// Recognises records of one partition that a service upstream sends again after a crash: they must not teach a model twice, and what they say about
/// the past must not end an anomaly that began since, or be told twice. One filter for every consumer with state.
///
/// A derived record carries its place: the offset of the event that caused it, and its ordinal within that offset (`sequence`; -1 for what the clock
/// decided before the event at that offset). Whoever owns a partition begins at an offset below which everything is on the topic, and sends the rest in
/// order, without gaps (the producer is idempotent). So of every record the first copy comes in order of its place, whatever former owners still send
/// meanwhile: what is not above the newest place is a copy.
///
/// The records of a decision of the clock share one place, and more of them may come until the next event does; version 0.1.0 wrote scores without
/// `sequence`, so that those of one offset share a place too. Of records that share the newest place, `identity` says which were there.
public struct DuplicateFilter: Sendable, Equatable {
    /// Most identities that are remembered; what idle entities of a partition say at one offset stays below it.
    public static let kept = 1_024

    /// The newest place; nothing was seen where the offset is -1.
    public private(set) var offset: Int64
    /// Nil where the newest record did not say.
    public private(set) var sequence: Int64?
    /// Newest Kafka timestamp of an event.
    public private(set) var producedAt: Int64
    /// Of the records at the newest place, where they say who they are.
    public private(set) var identities: [UInt64]

    public init(offset: Int64 = -1, sequence: Int64? = 0, producedAt: Int64 = .min, identities: [UInt64] = []) {
        self.offset = offset
        self.sequence = sequence
        self.producedAt = producedAt
        self.identities = identities
    }

    /// Whether a record was there before. One that was not is remembered as the newest.
    ///
    /// An event that is not above the newest place and younger than all before it is no copy: its topic was deleted and made again, and counts anew.
    /// - Parameters:
    ///   - sequence: nil where the record has none.
    ///   - producedAt: Kafka timestamp of the event, milliseconds.
    ///   - identity: tells records apart that share a place; nil: all of them count.
    public mutating func contains(offset: Int64, sequence: Int64?, producedAt: Int64, identity: UInt64? = nil) -> Bool {
        let isClocks = sequence.map { $0 < 0 } ?? false
        if offset == self.offset, isShared(sequence) {
            if let identity, identities.contains(identity) { return true }
            remember(identity)
            if !isClocks { self.producedAt = max(self.producedAt, producedAt) }
            return false
        }
        let isAbove = (offset, sequence ?? 0) > (self.offset, self.sequence ?? 0)
        guard isAbove || (!isClocks && producedAt > self.producedAt) else { return true }
        (self.offset, self.sequence) = (offset, sequence)
        if !isClocks { self.producedAt = max(self.producedAt, producedAt) }
        identities.removeAll(keepingCapacity: true)
        remember(identity)
        return false
    }

    /// Whether a record at the newest offset is where others may be too.
    private func isShared(_ sequence: Int64?) -> Bool {
        guard let sequence, let newest = self.sequence else { return true }
        return sequence == newest && sequence < 0
    }

    private mutating func remember(_ identity: UInt64?) {
        guard let identity else { return }
        if identities.count == Self.kept { identities.removeFirst() }
        identities.append(identity)
    }
}
