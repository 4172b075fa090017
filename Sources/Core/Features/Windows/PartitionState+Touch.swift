extension PartitionState {
    /// Fetches what is remembered of some entities into the processor's cache, ahead of their events. Changes nothing; never needed.
    ///
    /// With a million entities an event waits for main memory several times, one wait after the other. Looked at for a whole batch of keys,
    /// the waits overlap: best called with the keys of 100 to 1000 records before they are applied one by one. About 20 ns per key while
    /// everything is in the cache anyway.
    ///
    /// - Parameters:
    ///   - bytes: The buffer that holds the keys.
    ///   - keys: The records' keys, which are their entities.
    public func touch(_ bytes: [UInt8], _ keys: [Range<Int>]) { core.touch(bytes, keys) }
}

extension PartitionCore {
    mutating func touch(_ bytes: [UInt8], _ keys: [Range<Int>]) {
        // Small states stay in the cache by themselves.
        guard table.count > 2000 else { return }
        hashes.removeAll(keepingCapacity: true)
        for key in keys { hashes.append(TextHash.hash(bytes, key)) }
        // Three rounds of independent reads; the sum keeps the compiler from leaving them out.
        var sum = table.touchPlaces(hashes)
        slots.removeAll(keepingCapacity: true)
        for hash in hashes {
            let slot = table.likelySlot(hash)
            if slot >= 0 { slots.append(slot) }
        }
        sum &+= table.touchBlocks(slots)
        for i in windows.indices { sum &+= windows[i].touch(table, slots) }
        touched &+= sum
    }
}

extension EntityTable {
    fileprivate func touchPlaces(_ hashes: [UInt64]) -> UInt64 {
        places.withUnsafeBufferPointer { places in
            var sum: UInt64 = 0
            for hash in hashes { sum &+= places[Int(truncatingIfNeeded: hash) & mask] }
            return sum
        }
    }

    /// The first slot in the run of a hash whose upper half agrees, or -1.
    fileprivate func likelySlot(_ hash: UInt64) -> Int {
        places.withUnsafeBufferPointer { places in
            var place = Int(truncatingIfNeeded: hash) & mask
            while places[place] != 0 {
                if places[place] >> 32 == hash >> 32 { return Int(places[place] & 0xFFFF_FFFF) - 1 }
                place = (place + 1) & mask
            }
            return -1
        }
    }

    fileprivate func touchBlocks(_ slots: [Int]) -> UInt64 {
        words.withUnsafeBufferPointer { words in
            var sum: UInt64 = 0
            for slot in slots {
                sum &+= words[slot * stride]
                sum &+= words[slot * stride + stride - 1]
            }
            return sum
        }
    }
}

extension WindowSet {
    /// Reads the newest pane of some entities.
    fileprivate func touch(_ table: EntityTable, _ slots: [Int]) -> UInt64 {
        var sum: UInt64 = 0
        let width = pool.layout.width
        table.words.withUnsafeBufferPointer { blocks in
            pool.words.withUnsafeBufferPointer { panes in
                for slot in slots {
                    let newest = Int(blocks[slot * table.stride + offset + Track.ends] & 0xFFFF_FFFF)
                    sum &+= panes[newest * width]
                    sum &+= panes[newest * width + width - 1]
                }
            }
        }
        return sum
    }

    /// Reads the panes that closing a window will need of up to 64 entities: independent reads, whose waits overlap.
    func touch(_ table: EntityTable, word: Int) -> UInt64 {
        var sum: UInt64 = 0
        let width = pool.layout.width
        table.words.withUnsafeBufferPointer { blocks in
            pool.words.withUnsafeBufferPointer { panes in
                var bits = active.words[word]
                while bits != 0 {
                    let track = (word * 64 + bits.trailingZeroBitCount) * table.stride + offset
                    bits &= bits - 1
                    let tail = Int(blocks[track + Track.ends] >> 32) * width
                    let closed = Int(blocks[track + Track.closed] & 0xFFFF_FFFF) * width
                    let back = Int(blocks[track + Track.closed] >> 32) * width
                    sum &+= panes[tail] &+ panes[tail + width - 1] &+ panes[closed] &+ panes[back] &+ panes[back + width - 1]
                }
                bits = active.words[word]
                while bits != 0 {
                    let track = (word * 64 + bits.trailingZeroBitCount) * table.stride + offset
                    bits &= bits - 1
                    let closed = Int(blocks[track + Track.closed] & 0xFFFF_FFFF)
                    let next = (closed == 0 ? 0 : Int(panes[closed * width + PaneLayout.Word.links] >> 32)) * width
                    sum &+= panes[next] &+ panes[next + width - 1]
                }
            }
        }
        return sum
    }
}
