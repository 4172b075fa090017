/// FNV-1a, 64 bits: the one hash of short texts in this package that is not part of a window's state.
///
/// Values of it are stored (event ids of a polled page, marks of followed files, keys in the scorer's snapshots, fingerprints of definitions):
/// it must never change. Not for secrets, and not where a stranger's collisions could cost more than a bounded table. About 1 ns a byte.
///
/// Source: Fowler, Noll and Vo; draft-eastlake-fnv.
public struct FNV1a: Sendable {
    @usableFromInline static let prime: UInt64 = 0x100_0000_01B3

    /// The hash of what was combined so far.
    @inlinable public var value: UInt64 { state }

    @usableFromInline var state: UInt64 = 0xCBF2_9CE4_8422_2325

    @inlinable public init() {}

    @inlinable public mutating func combine(_ byte: UInt8) { combine(word: UInt64(byte)) }

    @inlinable public mutating func combine(_ bytes: some Sequence<UInt8>) {
        for byte in bytes { combine(word: UInt64(byte)) }
    }

    /// A whole number in one step. This is not what its eight bytes would give.
    @inlinable public mutating func combine(word: UInt64) { state = (state ^ word) &* Self.prime }

    /// The hash of some bytes.
    @inlinable public static func hash(_ bytes: some Sequence<UInt8>) -> UInt64 {
        var hash = FNV1a()
        hash.combine(bytes)
        return hash.value
    }

    /// The hash of several texts: a separator that no text of ours holds follows each, so that ("ab", "c") is not ("a", "bc").
    public static func hash(texts: String...) -> UInt64 {
        var hash = FNV1a()
        for text in texts {
            hash.combine(text.utf8)
            hash.combine(0x1F)
        }
        return hash.value
    }
}
