import Alerting
import Contracts
import RedisClient

/// One alert that waits for a receiver.
struct OutboxEntry: Sendable, Equatable {
    /// Id in the stream; grows.
    let id: String
    /// The message, an `AlertRecord` as JSON.
    let alert: [UInt8]
    /// The anomaly that it tells about, as it came from `<uc>.anomalies`.
    let anomaly: [UInt8]
    /// Wall clock of the decision to alert, milliseconds.
    let admittedAt: Int64
    let source: Sighting.Source
}

/// The alerts that one receiver has still to get: a Redis stream with one consumer group, so that several sinks share the work.
///
/// An entry belongs to the sink that read it until it is finished, released, or its owner has been silent for `abandonedAfter`. A sink that
/// keeps entries for long renews them. Finished entries are deleted, so the length of the stream is what waits.
///
/// Fields of an entry: `alert` and `anomaly` (JSON), `admitted_at` (ms), and `partition`, `offset` and `timestamp` of the anomaly's
/// record. One thread, one connection of its own, because reading blocks.
final class Outbox {
    /// Milliseconds after which a silent owner counts as dead.
    static let abandonedAfter = 30_000
    private static let group = "deliver"

    private let client: RedisClient
    private let key: String
    /// The name of this sink in the group.
    private let owner: String
    private let abandonedAfter: Int
    private var hasGroup = false
    /// XREADGROUP with an id instead of `>` reads what this owner has from an earlier life.
    private var hasResumed = false
    private var claimCursor = "0-0"

    init(_ client: RedisClient, key: String, owner: String, abandonedAfter: Int = Outbox.abandonedAfter) {
        self.client = client
        self.key = key
        self.owner = owner
        self.abandonedAfter = abandonedAfter
    }

    /// Entries for this owner: first what an earlier life of it left unfinished, then new ones.
    ///
    /// - Parameters:
    ///   - count: most entries.
    ///   - wait: milliseconds to wait for the first; it wakes at once when one arrives. 0 does not wait.
    func read(_ count: Int, wait: Int) throws(RedisError) -> [OutboxEntry] {
        try withGroup { () throws(RedisError) in
            if !hasResumed {
                // One call is enough: an owner holds fewer than this.
                let left = entries(of: try readGroup(count: 10_000, wait: 0, from: "0"))
                hasResumed = true
                if !left.isEmpty { return left }
            }
            return entries(of: try readGroup(count: count, wait: wait, from: ">"))
        }
    }

    /// Takes over entries whose owner has been silent for too long. At most `count`; later calls go on where this one ended.
    func claimAbandoned(_ count: Int) throws(RedisError) -> [OutboxEntry] {
        try withGroup { () throws(RedisError) in
            let reply = try client.command(
                "XAUTOCLAIM", key, Self.group, owner, "\(abandonedAfter)", claimCursor, "COUNT", "\(count)")
            guard let parts = reply.array, parts.count >= 2 else { return [] }
            claimCursor = parts[0].text ?? "0-0"
            return entries(parts[1].array ?? [])
        }
    }

    /// Says that this owner lives and still has these entries. Returns those that are still its own.
    func renew(_ ids: [String]) throws(RedisError) -> Set<String> {
        if ids.isEmpty { return [] }
        let arguments = [Self.group, owner] + ids
        let reply = try client.eval(Self.renewing, keys: [key], arguments: arguments.map { Array($0.utf8) })
        return Set((reply.array ?? []).compactMap(\.text))
    }

    /// The entry is done with: delivered, or given up with a dead letter.
    func finish(_ id: String) throws(RedisError) {
        _ = try client.eval(Self.finishing, keys: [key], arguments: [Self.group, id].map { Array($0.utf8) })
    }

    /// Gives these entries to whoever asks next, and forgets this owner if it then has none: the end of a graceful stop.
    func leave(_ ids: [String]) throws(RedisError) {
        if !ids.isEmpty {
            var release = RedisPipeline()
            release.begin("XCLAIM", arguments: 4 + ids.count + 3)
            for part in [key, Self.group, owner, "0"] + ids + ["IDLE", "\(abandonedAfter + 1)", "JUSTID"] { release.add(part) }
            try client.execute(release).check()
        }
        _ = try client.eval(Self.forgetting, keys: [key], arguments: [Self.group, owner].map { Array($0.utf8) })
    }

    /// How many entries wait, and when the oldest came (milliseconds, Redis' clock).
    func state() throws(RedisError) -> (waiting: Int, oldest: Int64?) {
        let waiting = try client.command("XLEN", key).integer ?? 0
        let first = try client.command("XRANGE", key, "-", "+", "COUNT", "1").array?.first?.array?.first?.text
        return (Int(waiting), first.flatMap { Int64($0.prefix { $0 != "-" }) })
    }

    // MARK: Parts

    private func readGroup(count: Int, wait: Int, from id: String) throws(RedisError) -> RedisValue {
        // BLOCK 0 would wait without an end.
        let block = wait > 0 ? ["BLOCK", "\(wait)"] : []
        let parts = ["XREADGROUP", "GROUP", Self.group, owner, "COUNT", "\(count)"] + block + ["STREAMS", key, id]
        return try client.command(parts.map { Array($0.utf8) })
    }

    /// Makes the consumer group where it is missing: at the first use, or after the keys were deleted.
    private func withGroup<T>(_ body: () throws(RedisError) -> T) throws(RedisError) -> T {
        if !hasGroup { try makeGroup() }
        do throws(RedisError) { return try body() } catch {
            guard error.kind == .server, error.message.contains("NOGROUP") else { throw error }
            try makeGroup()
            return try body()
        }
    }

    private func makeGroup() throws(RedisError) {
        do throws(RedisError) {
            _ = try client.command("XGROUP", "CREATE", key, Self.group, "0", "MKSTREAM")
        } catch {
            guard error.kind == .server, error.message.contains("BUSYGROUP") else { throw error }
        }
        hasGroup = true
    }

    /// The reply of XREADGROUP on one stream: null, or `[[key, entries]]`.
    private func entries(of reply: RedisValue) -> [OutboxEntry] {
        entries(reply.array?.first?.array?.last?.array ?? [])
    }

    /// An entry without its fields was deleted by hand while it was owned; it cannot be delivered and is left out.
    private func entries(_ values: [RedisValue]) -> [OutboxEntry] {
        values.compactMap { value in
            guard let parts = value.array, parts.count == 2, let id = parts[0].text, let pairs = parts[1].fields else { return nil }
            let fields = Dictionary(pairs.map { ($0.name, $0.value) }) { _, last in last }
            func number(_ name: String) -> Int64 { fields[name].flatMap { Int64(String(decoding: $0, as: UTF8.self)) } ?? 0 }
            return OutboxEntry(
                id: id, alert: fields["alert"] ?? [], anomaly: fields["anomaly"] ?? [], admittedAt: number("admitted_at"),
                source: Sighting.Source(
                    partition: Int32(truncatingIfNeeded: number("partition")), offset: number("offset"), timestamp: number("timestamp")))
        }
    }

    // KEYS: stream. ARGV: group, owner, ids. XPENDING tells the owner; XCLAIM by the owner itself sets the idle time back to 0.
    private static let renewing = RedisScript(
        """
        local kept = {}
        for i = 3, #ARGV do
          local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1)
          if pending[1] and pending[1][2] == ARGV[2] then
            redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'JUSTID')
            table.insert(kept, ARGV[i])
          end
        end
        return kept
        """)

    // KEYS: stream. ARGV: group, id.
    private static let finishing = RedisScript(
        """
        redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
        return redis.call('XDEL', KEYS[1], ARGV[2])
        """)

    // KEYS: stream. ARGV: group, owner. Deleting a consumer deletes its claim on what it has not finished, so only one without any goes,
    // and with it those that died an hour ago or longer and have nothing left.
    private static let forgetting = RedisScript(
        """
        for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
          local fields = {}
          for i = 1, #consumer, 2 do fields[consumer[i]] = consumer[i + 1] end
          if fields.pending == 0 and (fields.name == ARGV[2] or fields.idle > 3600000) then
            redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], fields.name)
          end
        end
        return 1
        """)
}
