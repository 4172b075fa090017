/// How far one partition of `<uc>.anomalies` has been handled, in offsets of its events.
///
/// The scorer writes in the order of those offsets; after a crash it writes some again. Several records may belong to one offset (feature sets,
/// windows, what the processor says without an event), so the identities seen at the newest offset are kept, at most `kept` of them.
public struct SeenMark: Sendable, Equatable {
    /// Most identities that are remembered; what idle entities of a partition say at one offset stays below it.
    static let kept = 1_024

    /// The newest offset, and the latest `produced_at` up to it.
    public private(set) var offset: Int64 = .min
    public private(set) var producedAt: Int64 = .min
    public private(set) var identities: [UInt64] = []
    /// Whether it differs from what was loaded.
    public var isChanged = false
    /// The text that it was loaded from; empty for a new one.
    public private(set) var loaded = ""

    public init() {}

    /// Whether the sighting was handled before; if not, it now counts as handled.
    ///
    /// One with an older offset but a later time comes from a topic that was made anew, where offsets begin at 0 again.
    mutating func covers(_ sighting: Sighting) -> Bool {
        let identity = sighting.identity
        if sighting.offset == offset, identities.contains(identity) { return true }
        if sighting.offset < offset, sighting.producedAt <= producedAt { return true }
        if sighting.offset == offset {
            if identities.count == Self.kept { identities.removeFirst() }
        } else {
            identities.removeAll(keepingCapacity: true)
        }
        identities.append(identity)
        offset = sighting.offset
        producedAt = max(producedAt, sighting.producedAt)
        isChanged = true
        return false
    }

    /// `offset produced_at identity …` in decimal and hexadecimal.
    public var text: String {
        "\(offset) \(producedAt)" + identities.map { " " + String($0, radix: 16) }.joined()
    }

    /// Nil where the text is not a mark.
    public init?(text: String) {
        let parts = text.split(separator: " ")
        guard parts.count >= 2, let offset = Int64(parts[0]), let producedAt = Int64(parts[1]) else { return nil }
        loaded = text
        self.offset = offset
        self.producedAt = producedAt
        identities = parts[2...].compactMap { UInt64($0, radix: 16) }
    }
}
