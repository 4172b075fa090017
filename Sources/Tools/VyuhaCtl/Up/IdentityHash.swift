import Text

/// A 64-bit name of an event id, so that a run of millions of events can be accounted for in a flat table.
///
/// FNV-1a (Fowler, Noll, Vo) with the finaliser of MurmurHash3, which spreads ids that differ in their last digits only. Among a million
/// ids the chance that any two share a hash is about 3e-8. Never 0, which marks an empty slot of the table.
enum IdentityHash {
    static func of(_ bytes: [UInt8], _ range: Range<Int>) -> UInt64 {
        finish(FNV1a.hash(bytes[range]))
    }

    static func of(_ text: String) -> UInt64 {
        let bytes = Array(text.utf8)
        return of(bytes, 0..<bytes.count)
    }

    /// The name of one revision of a record: each is owed and owes a score of its own.
    static func of(_ bytes: [UInt8], _ range: Range<Int>, revision: Int64) -> UInt64 {
        let id = of(bytes, range)
        return revision > 0 ? finish(id ^ UInt64(revision) &* 0x9e37_79b9_7f4a_7c15) : id
    }

    private static func finish(_ value: UInt64) -> UInt64 {
        var hash = value
        hash = (hash ^ (hash >> 33)) &* 0xff51_afd7_ed55_8ccd
        hash = (hash ^ (hash >> 33)) &* 0xc4ce_b9fe_1a85_ec53
        hash ^= hash >> 33
        return hash == 0 ? 1 : hash
    }
}
