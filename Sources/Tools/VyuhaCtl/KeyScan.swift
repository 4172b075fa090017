import RedisClient

/// Keys of one prefix, found with SCAN, which does not block the server as KEYS would.
enum KeyScan {
    /// Counts keys; stops at `limit`.
    /// - Returns: the count, and whether there are more.
    static func count(_ client: RedisClient, pattern: String, limit: Int) throws(RedisError) -> (count: Int, isMore: Bool) {
        var found = 0
        let isComplete = try scan(client, pattern: pattern) { (keys: [[UInt8]]) throws(RedisError) -> Bool in
            found += keys.count
            return found < limit
        }
        return (min(found, limit), !isComplete)
    }

    /// Removes keys; UNLINK frees their memory in the background.
    /// - Returns: how many were removed.
    static func remove(_ client: RedisClient, pattern: String) throws(RedisError) -> Int {
        var removed = 0
        _ = try scan(client, pattern: pattern) { (keys: [[UInt8]]) throws(RedisError) -> Bool in
            if !keys.isEmpty { removed += Int(try client.command([Array("UNLINK".utf8)] + keys).integer ?? 0) }
            return true
        }
        return removed
    }

    /// Calls `body` once with each key.
    static func each(_ client: RedisClient, pattern: String, _ body: ([UInt8]) throws(RedisError) -> Void) throws(RedisError) {
        var seen: Set<[UInt8]> = []
        _ = try scan(client, pattern: pattern) { (keys: [[UInt8]]) throws(RedisError) -> Bool in
            for key in keys where seen.insert(key).inserted { try body(key) }
            return true
        }
    }

    /// - Returns: false when `body` ended it.
    private static func scan(
        _ client: RedisClient, pattern: String, _ body: ([[UInt8]]) throws(RedisError) -> Bool
    ) throws(RedisError) -> Bool {
        var cursor = "0"
        repeat {
            let reply = try client.command("SCAN", cursor, "MATCH", pattern, "COUNT", "1000").array ?? []
            guard reply.count == 2, let next = reply[0].text else { return true }
            cursor = next
            guard try body((reply[1].array ?? []).compactMap(\.bytes)) else { return false }
        } while cursor != "0"
        return true
    }
}
