import Contracts

/// How far one partition of `<uc>.anomalies` has been handled, as it is stored: the duplicate filter of its records.
public struct SeenMark: Sendable, Equatable {
    private var filter = DuplicateFilter(sequence: nil)
    /// Whether it differs from what was loaded.
    public var isChanged = false
    /// The text that it was loaded from; empty for a new one.
    public private(set) var loaded = ""

    public var offset: Int64 { filter.offset }
    public var identities: [UInt64] { filter.identities }

    public init() {}

    /// Whether the sighting was handled before; if not, it now counts as handled.
    mutating func covers(_ sighting: Sighting) -> Bool {
        let isKnown = filter.contains(
            offset: sighting.offset, sequence: sighting.sequence, producedAt: sighting.producedAt, identity: sighting.identity)
        if !isKnown { isChanged = true }
        return isKnown
    }

    /// `offset produced_at [identity …] [s<sequence>]`: numbers in decimal, identities in hexadecimal; version 0.1.0 knew no sequence and passes it over.
    public var text: String {
        "\(filter.offset) \(filter.producedAt)" + filter.identities.map { " " + String($0, radix: 16) }.joined()
            + (filter.sequence.map { " s\($0)" } ?? "")
    }

    /// Nil where the text is not a mark.
    public init?(text: String) {
        let parts = text.split(separator: " ")
        guard parts.count >= 2, let offset = Int64(parts[0]), let producedAt = Int64(parts[1]) else { return nil }
        loaded = text
        filter = DuplicateFilter(
            offset: offset, sequence: parts[2...].last { $0.hasPrefix("s") }.flatMap { Int64($0.dropFirst()) }, producedAt: producedAt,
            identities: parts[2...].compactMap { UInt64($0, radix: 16) })
    }
}
