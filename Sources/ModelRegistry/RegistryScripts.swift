import RedisClient

/// The registry's changes, each one script: others see all of it or nothing, and so does the append-only file.
///
/// The history is a list of `p:<version>:<ms>` (promotion) and `r:<version>:<ms>` (rollback). Replayed, it is a stack whose top is the
/// current version: a promotion pushes, a rollback takes off down to its version. So two rollbacks in a row go two versions back.
enum RegistryScripts {
    /// Entries of history that are kept.
    static let historyLimit = 256

    // KEYS: bytes, metadata, versions, current, history. ARGV: version, the bytes, "1" to promote, now, then field and value pairs of the
    // metadata. A version that is there with the same checksum is our own, published by a call whose answer was lost.
    static let publish = RedisScript(
        """
        local held = redis.call('HGET', KEYS[2], 'sha256')
        if held then
          for i = 5, #ARGV, 2 do
            if ARGV[i] == 'sha256' and ARGV[i + 1] == held then return 1 end
          end
          return 0
        end
        redis.call('SET', KEYS[1], ARGV[2])
        redis.call('HSET', KEYS[2], unpack(ARGV, 5))
        redis.call('ZADD', KEYS[3], ARGV[1], ARGV[1])
        if ARGV[3] == '1' then
          redis.call('SET', KEYS[4], ARGV[1])
          redis.call('RPUSH', KEYS[5], 'p:' .. ARGV[1] .. ':' .. ARGV[4])
          redis.call('LTRIM', KEYS[5], -\(historyLimit), -1)
        end
        return 1
        """)

    // KEYS: versions, current, history. ARGV: version, now. Answers 0 for an unknown version.
    static let promote = RedisScript(
        """
        if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
        if redis.call('GET', KEYS[2]) == ARGV[1] then return 1 end
        redis.call('SET', KEYS[2], ARGV[1])
        redis.call('RPUSH', KEYS[3], 'p:' .. ARGV[1] .. ':' .. ARGV[2])
        redis.call('LTRIM', KEYS[3], -\(historyLimit), -1)
        return 1
        """)

    // KEYS: versions, current, history. ARGV: now. Answers the version, or nil where nothing is left. Deleted versions are passed over.
    static let rollback = RedisScript(
        """
        local stack = {}
        for _, entry in ipairs(redis.call('LRANGE', KEYS[3], 0, -1)) do
          local kind, version = string.match(entry, '^(%a):(%d+):')
          if kind == 'r' then
            while #stack > 0 and stack[#stack] ~= version do table.remove(stack) end
          end
          if stack[#stack] ~= version then table.insert(stack, version) end
        end
        local current = redis.call('GET', KEYS[2])
        while #stack > 0 do
          local version = table.remove(stack)
          if version ~= current and redis.call('ZSCORE', KEYS[1], version) then
            redis.call('SET', KEYS[2], version)
            redis.call('RPUSH', KEYS[3], 'r:' .. version .. ':' .. ARGV[1])
            redis.call('LTRIM', KEYS[3], -\(historyLimit), -1)
            return tonumber(version)
          end
        end
        return false
        """)

    // KEYS: bytes, metadata, versions, current. ARGV: version. Answers 1, 0 for an unknown version, -1 for the current one.
    static let delete = RedisScript(
        """
        if redis.call('GET', KEYS[4]) == ARGV[1] then return -1 end
        if redis.call('ZREM', KEYS[3], ARGV[1]) == 0 then return 0 end
        redis.call('DEL', KEYS[1], KEYS[2])
        return 1
        """)
}
