import Text

/// The newest ids, as hashes: a ring and a set.
struct RecentIDs: Sendable {
    /// A client that sends again does so within this many events.
    static let capacity = 200_000

    private var set: Set<UInt64> = []
    private var ring: [UInt64] = []
    private var oldest = 0

    /// - Returns: whether it was new.
    mutating func insert(_ id: UInt64) -> Bool {
        guard set.insert(id).inserted else { return false }
        if ring.count < Self.capacity {
            ring.append(id)
        } else {
            set.remove(ring[oldest])
            ring[oldest] = id
            oldest = (oldest + 1) % Self.capacity
        }
        return true
    }

    mutating func remove(_ id: UInt64) { set.remove(id) }

    /// - Returns: whether it was there.
    mutating func take(_ id: UInt64) -> Bool { set.remove(id) != nil }

    static func hash(_ bytes: ArraySlice<UInt8>) -> UInt64 { FNV1a.hash(bytes) }
}
