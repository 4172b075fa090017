/// The entities of one partition: an open-addressing table over flat blocks of words, found by the entity's bytes.
///
/// Each entity has a block of `stride` words, at a position (its slot) that it keeps until it is evicted; a new entity takes the next slot,
/// or that of the one evicted for it, so the slots are always 0 ..< count and their order is a function of the input. Keys of up to 24 bytes
/// lie in the block itself.
struct EntityTable {
    /// Words at the start of a block that belong to the table and its users in common.
    enum Word {
        /// All 64 bits of the key's hash.
        static let hash = 0
        /// Bytes of the key.
        static let length = 1
        /// Three words: the key, filled up with zeros; longer keys are in `longKeys`.
        static let key = 2
        /// Sequence number of the event that last touched the entity.
        static let lastSeen = 5
        /// Newest event time.
        static let newest = 6
        static let count = 7
    }

    static let inlineBytes = 24

    let stride: Int
    private(set) var count = 0
    /// All blocks, one after the other.
    var words: [UInt64] = []
    private(set) var longKeys: [Int: [UInt8]] = [:]
    /// Per place: upper half the upper half of the hash, lower half slot + 1; 0 is free.
    private(set) var places: [UInt64]
    private(set) var mask: Int

    /// - Parameter extra: Words per entity beyond the common ones.
    init(extra: Int) {
        stride = Word.count + extra
        places = Array(repeating: 0, count: 64)
        mask = 63
    }

    @inline(__always)
    func base(_ slot: Int) -> Int { slot * stride }

    /// Memory that is taken, used or not; long keys and what the allocator adds not counted.
    var byteCount: Int { 8 * (words.capacity + places.capacity) }

    /// The key as three words; what is beyond 24 bytes is not in them.
    @inline(__always)
    private static func inline(_ key: UnsafeRawBufferPointer) -> (UInt64, UInt64, UInt64) {
        @inline(__always)
        func word(_ at: Int) -> UInt64 {
            if at + 8 <= key.count { return UInt64(littleEndian: key.loadUnaligned(fromByteOffset: at, as: UInt64.self)) }
            var value: UInt64 = 0
            var i = at
            while i < key.count {
                value |= UInt64(key[i]) << UInt64(8 * (i - at))
                i += 1
            }
            return value
        }
        return (word(0), word(8), word(16))
    }

    /// The slot of an entity, or -1. About 5 ns while the table is in the cache.
    func find(_ key: [UInt8], hash: UInt64) -> Int {
        key.withUnsafeBytes { key in
            let (k0, k1, k2) = Self.inline(key)
            var place = Int(truncatingIfNeeded: hash) & mask
            return places.withUnsafeBufferPointer { places in
                words.withUnsafeBufferPointer { words in
                    while true {
                        let entry = places[place]
                        if entry == 0 { return -1 }
                        if entry >> 32 == hash >> 32 {
                            let slot = Int(entry & 0xFFFF_FFFF) - 1
                            let at = slot * stride
                            if words[at + Word.hash] == hash, words[at + Word.length] == UInt64(key.count), words[at + Word.key] == k0,
                                words[at + Word.key + 1] == k1, words[at + Word.key + 2] == k2,
                                key.count <= Self.inlineBytes || longKeys[slot].map({ $0.elementsEqual(key) }) == true
                            {
                                return slot
                            }
                        }
                        place = (place + 1) & mask
                    }
                }
            }
        }
    }

    /// Gives a new entity the next slot; the words after the common ones are zero.
    mutating func insert(_ key: [UInt8], hash: UInt64) -> Int {
        let slot = count
        count += 1
        words.appendSparingly(repeating: 0, count: stride)
        if count * 2 > places.count { grow() }
        fill(slot, key, hash)
        return slot
    }

    /// Puts a new entity in the place of another one; the words after the common ones are left as they are.
    mutating func replace(_ slot: Int, by key: [UInt8], hash: UInt64) {
        remove(slot)
        fill(slot, key, hash)
    }

    /// The bytes of an entity's key, appended to a buffer.
    func appendKey(_ slot: Int, to bytes: inout [UInt8]) {
        if let long = longKeys[slot] {
            bytes.append(contentsOf: long)
            return
        }
        let at = base(slot)
        for i in 0..<Int(words[at + Word.length]) {
            bytes.append(UInt8(truncatingIfNeeded: words[at + Word.key + i / 8] >> UInt64(8 * (i % 8))))
        }
    }

    private mutating func fill(_ slot: Int, _ key: [UInt8], _ hash: UInt64) {
        let at = base(slot)
        let (k0, k1, k2) = key.withUnsafeBytes { Self.inline($0) }
        words[at + Word.hash] = hash
        words[at + Word.length] = UInt64(key.count)
        words[at + Word.key] = k0
        words[at + Word.key + 1] = k1
        words[at + Word.key + 2] = k2
        if key.count > Self.inlineBytes { longKeys[slot] = key }
        place(slot, hash)
    }

    private mutating func place(_ slot: Int, _ hash: UInt64) {
        var place = Int(truncatingIfNeeded: hash) & mask
        while places[place] != 0 { place = (place + 1) & mask }
        places[place] = (hash >> 32) << 32 | UInt64(slot + 1)
    }

    private mutating func grow() {
        mask = places.count * 2 - 1
        places = Array(repeating: 0, count: mask + 1)
        // The newest slot has no hash yet; its own insertion places it.
        for slot in 0..<count - 1 { place(slot, words[base(slot) + Word.hash]) }
    }

    /// Takes an entity out of the table; later entries of its run move up, so that no gap breaks their search.
    private mutating func remove(_ slot: Int) {
        var hole = Int(truncatingIfNeeded: words[base(slot) + Word.hash]) & mask
        while Int(places[hole] & 0xFFFF_FFFF) != slot + 1 { hole = (hole + 1) & mask }
        places[hole] = 0
        longKeys[slot] = nil
        var next = (hole + 1) & mask
        while places[next] != 0 {
            let home = Int(truncatingIfNeeded: words[base(Int(places[next] & 0xFFFF_FFFF) - 1) + Word.hash]) & mask
            // The entry may move when its home does not lie between the hole and where it is.
            if (next &- home) & mask >= (next &- hole) & mask {
                places[hole] = places[next]
                places[next] = 0
                hole = next
            }
            next = (next + 1) & mask
        }
    }
}
