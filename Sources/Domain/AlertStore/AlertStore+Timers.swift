import Alerting
import RedisClient

/// The timers of the groups, and the lease under which one sink looks after them.
extension AlertStore {
    /// Takes the lease or keeps it.
    /// - Parameters:
    ///   - token: this sink's own; the writes under the lease check it.
    ///   - milliseconds: how long it holds unless it is kept.
    public func lease(_ token: String, for milliseconds: Int) throws(RedisError) -> Bool {
        let reply = try client.eval(Self.leasing, keys: [keys.alertLease], arguments: [Array(token.utf8), Array("\(milliseconds)".utf8)])
        return reply.integer == 1
    }

    /// Gives the lease back at a graceful end.
    public func release(_ token: String) throws(RedisError) {
        _ = try client.eval(Self.releasing, keys: [keys.alertLease], arguments: [Array(token.utf8)])
    }

    /// Groups whose time has come, the oldest first, at most `count`.
    public func due(_ now: Int64, _ count: Int) throws(RedisError) -> [String] {
        let reply = try client.command("ZRANGEBYSCORE", keys.alertTimers, "-inf", "\(now)", "LIMIT", "0", "\(count)")
        return (reply.array ?? []).compactMap(\.text)
    }

    /// A timer without a group is left from a state that was deleted by hand.
    public func forgetTimer(_ key: String) throws(RedisError) { _ = try client.command("ZREM", keys.alertTimers, key) }

    private static let leasing = RedisScript(
        """
        local owner = redis.call('GET', KEYS[1])
        if owner and owner ~= ARGV[1] then return 0 end
        redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
        return 1
        """)

    private static let releasing = RedisScript(
        """
        if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
        return 1
        """)
}
