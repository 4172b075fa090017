import RedisClient

/// The registry's changes, each one script: others see all of it or nothing, and so does the append-only file.
///
/// The history is a list of `p:<version>:<ms>:<generation>` (promotion) and `r:…` (rollback). Replayed, it is a stack whose top is the
/// current version: a promotion pushes, a rollback takes off down to its version. So two rollbacks in a row go two versions back.
///
/// Every script has KEYS: versions, current, challenger, history, generation; ARGV: what the keys of a version start with, now, the time
/// to live of versions that have no place (ms), then its own.
enum RegistryScripts {
    /// Entries of history that are kept.
    static let historyLimit = 256

    private static let places = """
        local prefix, now, ttl = ARGV[1], ARGV[2], ARGV[3]
        local function exists(version)
          return redis.call('ZSCORE', KEYS[1], version) and redis.call('EXISTS', prefix .. version .. ':meta') == 1
        end
        -- A version with a place stays; one that has lost its place lives on for a while.
        local function keep(version)
          redis.call('PERSIST', prefix .. version .. ':bytes')
          redis.call('PERSIST', prefix .. version .. ':meta')
        end
        local function age(version)
          if not version or version == redis.call('GET', KEYS[2]) or version == redis.call('GET', KEYS[3]) then return end
          redis.call('PEXPIRE', prefix .. version .. ':bytes', ttl)
          redis.call('PEXPIRE', prefix .. version .. ':meta', ttl)
        end
        local function place(kind, version)
          local before = redis.call('GET', KEYS[2])
          redis.call('SET', KEYS[2], version)
          if redis.call('GET', KEYS[3]) == version then redis.call('DEL', KEYS[3]) end
          keep(version)
          age(before)
          local generation = redis.call('INCR', KEYS[5])
          redis.call('RPUSH', KEYS[4], kind .. ':' .. version .. ':' .. now .. ':' .. generation)
          redis.call('LTRIM', KEYS[4], -\(historyLimit), -1)
        end

        """

    // ARGV: version, the bytes, "1" to promote, then field and value pairs of the metadata. A version that is there with the same checksum
    // is our own, published by a call whose answer was lost.
    static let publish = RedisScript(
        places + """
            local version = ARGV[4]
            local meta = prefix .. version .. ':meta'
            local held = redis.call('HGET', meta, 'sha256')
            if held then
              for i = 7, #ARGV, 2 do
                if ARGV[i] == 'sha256' and ARGV[i + 1] == held then return 1 end
              end
              return 0
            end
            redis.call('SET', prefix .. version .. ':bytes', ARGV[5])
            redis.call('HSET', meta, unpack(ARGV, 7))
            redis.call('ZADD', KEYS[1], version, version)
            if ARGV[6] == '1' then place('p', version) else age(version) end
            return 1
            """)

    // ARGV: version. Answers 0 for an unknown version.
    static let promote = RedisScript(
        places + """
            if not exists(ARGV[4]) then return 0 end
            if redis.call('GET', KEYS[2]) == ARGV[4] then return 1 end
            place('p', ARGV[4])
            return 1
            """)

    // ARGV: version, or an empty text to withdraw the challenger. Answers 0 for an unknown version, -1 for the current one.
    static let challenge = RedisScript(
        places + """
            local before = redis.call('GET', KEYS[3])
            if ARGV[4] ~= '' then
              if not exists(ARGV[4]) then return 0 end
              if redis.call('GET', KEYS[2]) == ARGV[4] then return -1 end
              redis.call('SET', KEYS[3], ARGV[4])
              keep(ARGV[4])
            else
              redis.call('DEL', KEYS[3])
            end
            age(before)
            return 1
            """)

    // Answers the version, or nil where nothing is left. Versions that are gone are passed over.
    static let rollback = RedisScript(
        places + """
            local stack = {}
            for _, entry in ipairs(redis.call('LRANGE', KEYS[4], 0, -1)) do
              local kind, version = string.match(entry, '^(%a):(%d+):')
              if kind == 'r' then
                while #stack > 0 and stack[#stack] ~= version do table.remove(stack) end
              end
              if stack[#stack] ~= version then table.insert(stack, version) end
            end
            local current = redis.call('GET', KEYS[2])
            while #stack > 0 do
              local version = table.remove(stack)
              if version ~= current and exists(version) then
                place('r', version)
                return tonumber(version)
              end
            end
            return false
            """)

    // ARGV: version. Answers 1, 0 for an unknown version, -1 for the current one.
    static let delete = RedisScript(
        places + """
            if redis.call('GET', KEYS[2]) == ARGV[4] then return -1 end
            if redis.call('ZREM', KEYS[1], ARGV[4]) == 0 then return 0 end
            if redis.call('GET', KEYS[3]) == ARGV[4] then redis.call('DEL', KEYS[3]) end
            redis.call('DEL', prefix .. ARGV[4] .. ':bytes', prefix .. ARGV[4] .. ':meta')
            return 1
            """)
}
