/// A set of slots, one bit each; iterated in the order of slots.
struct SlotSet {
    private(set) var words: [UInt64] = []
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    @inline(__always)
    func contains(_ slot: Int) -> Bool { slot / 64 < words.count && words[slot / 64] >> UInt64(slot % 64) & 1 == 1 }

    @inline(__always)
    mutating func insert(_ slot: Int) {
        while slot / 64 >= words.count { words.append(0) }
        let bit = UInt64(1) << UInt64(slot % 64)
        if words[slot / 64] & bit == 0 {
            words[slot / 64] |= bit
            count += 1
        }
    }

    mutating func remove(_ slot: Int) {
        guard contains(slot) else { return }
        words[slot / 64] &= ~(UInt64(1) << UInt64(slot % 64))
        count -= 1
    }

    mutating func removeAll() {
        for i in words.indices { words[i] = 0 }
        count = 0
    }

    func forEach(_ body: (Int) -> Void) {
        for (index, word) in words.enumerated() {
            var bits = word
            while bits != 0 {
                body(index * 64 + bits.trailingZeroBitCount)
                bits &= bits - 1
            }
        }
    }
}
