import Platform
import RedisClient

/// Whether Redis may throw away what services keep in it.
public enum RedisPolicy {
    /// Asks once.
    /// - Returns: the server's `maxmemory-policy` where it is another than `noeviction`; nil where it is that, or where the server does not tell, as
    ///   managed ones do not.
    /// - Throws: what a later try may mend.
    public static func evicting(_ client: RedisClient) throws(RedisError) -> String? {
        do {
            guard let policy = try client.command("CONFIG", "GET", "maxmemory-policy").array?.last?.text else { return nil }
            return policy == "noeviction" ? nil : policy
        } catch {
            guard !error.isRetryable else { throw error }
            return nil
        }
    }
}

extension Service {
    /// Warns, once the server answers, where Redis may evict positions, states, models and alerts. Does not wait: it has a thread of its own.
    public func warnOfEviction(_ redis: RedisSettings) {
        Threads.start("redis-policy") { [self] in
            let client = RedisClient(redis)
            var backoff = Backoff(initial: 100, maximum: 10_000)
            while !life.isStopping {
                do {
                    guard let policy = try RedisPolicy.evicting(client) else {
                        return log.debug("redis evicts nothing, or does not tell its maxmemory-policy", [:])
                    }
                    return log.warning(
                        "redis may throw away what the suite keeps in it; set maxmemory-policy to noeviction", ["maxmemory_policy": policy])
                } catch {
                    Clock.sleep(milliseconds: backoff.next())
                }
            }
        }
    }
}
