import Contracts
import JSON
import RedisClient

/// What a write did, in records.
public struct OnlineWrites: Sendable, Equatable {
    /// Entities whose vector is now that of the batch.
    public var written = 0
    /// Records without effect: not newer than what the store, or the batch itself, has of their entity.
    public var stale = 0
    /// Entities with a record from another partition than the one before it, UTF-8: who writes the events does not agree on key or partitioner.
    public var inTwoPartitions: [[UInt8]] = []
}

/// What the online store has of one entity in one feature set.
public struct OnlineVector: Sendable, Equatable {
    /// Id of the event that the vector was computed from.
    public let id: String
    /// Milliseconds since the epoch.
    public let eventTime: Int64
    /// Of the event in its partition.
    public let offset: Int64
    /// In the order of the store's features; NaN where the store has no value.
    public let values: [Double]
}

/// The online feature store: the latest feature vector of each entity in one feature set, in Redis.
///
/// State: one hash per entity under `RedisKeys.online(set:entity:)` with the fields `@time` (event time, ms), `@offset`, `@partition` and
/// `@id` of the event it comes from, and one field per feature that has a value, as the shortest decimal text that reads back as the same double. A
/// feature without a field is missing (NaN). A feature's name cannot start with `@`. Each write renews the time to live. An entity with
/// eight features takes about 400 bytes of Redis memory.
///
/// Guarantee: a write takes effect only if its (event time, offset) is greater than the stored one, compared inside Redis by a script. So
/// late, replayed or doubled records never overwrite newer ones, and any write may be repeated. Times and offsets are compared as Lua
/// numbers: exact below 2^53.
///
/// Uses the caller's connection: one thread.
public final class OnlineStore {
    /// Names in vector order.
    public let features: [String]
    private let client: RedisClient
    private let keyPrefix: String
    private let pattern: String
    private let timeToLive: Int
    private var pipeline = RedisPipeline(capacity: 1 << 16)
    private var scratch: [UInt8] = []
    private let prefixBytes: [UInt8]
    private let nameBytes: [[UInt8]]

    /// - Parameters:
    ///   - set: name of the feature set.
    ///   - features: names in vector order.
    ///   - timeToLive: milliseconds from the last write until an entity is forgotten; at least 1.
    public init(_ client: RedisClient, useCase: String, set: String, features: [String], timeToLive: Int) {
        let keys = RedisKeys(useCase: useCase)
        self.client = client
        self.features = features
        self.timeToLive = max(1, timeToLive)
        keyPrefix = keys.online(set: set, entity: "")
        pattern = keys.onlinePattern(set: set)
        prefixBytes = Array(keyPrefix.utf8)
        nameBytes = features.map { Array($0.utf8) }
    }

    // KEYS: the hash. ARGV: event time, offset, time to live, id, partition, then name and value of each feature that has one.
    // Returns the sum of 1 for a write and 2 for a record from another partition than that of the one before.
    // The hash is deleted first so that a feature without a value, or of an older definition, does not linger.
    private static let guardedWrite = RedisScript(
        """
        local held = redis.call('HMGET', KEYS[1], '@time', '@offset', '@partition')
        local moved = 0
        if held[1] then
          if held[3] and held[3] ~= ARGV[5] then moved = 2 end
          local time, heldTime = tonumber(ARGV[1]), tonumber(held[1])
          if time < heldTime or (time == heldTime and tonumber(ARGV[2]) <= tonumber(held[2])) then return moved end
          redis.call('DEL', KEYS[1])
        end
        redis.call('HSET', KEYS[1], '@time', ARGV[1], '@offset', ARGV[2], '@id', ARGV[4], '@partition', ARGV[5], unpack(ARGV, 6))
        redis.call('PEXPIRE', KEYS[1], ARGV[3])
        return 1 + moved
        """)

    /// Writes the batch in one pipeline, one guarded script call per entity. May be repeated: what is already there has no effect.
    ///
    /// - Throws: where Redis is away or refuses; then some entities may have been written.
    public func write(_ batch: borrowing OnlineBatch) throws(RedisError) -> OnlineWrites {
        guard batch.entities > 0 else { return OnlineWrites() }
        pipeline.removeAll()
        for index in 0..<batch.entities { append(index, of: batch) }
        var result = OnlineWrites()
        for (index, reply) in try client.values(of: pipeline).enumerated() {
            let flags = reply.integer ?? 0
            if flags & 1 != 0 { result.written += 1 }
            if flags & 2 != 0 || batch.entries[index].isInTwoPartitions {
                result.inTwoPartitions.append(Array(batch.bytes[batch.entries[index].entity]))
            }
        }
        result.stale = batch.records - result.written
        return result
    }

    private func append(_ index: Int, of batch: borrowing OnlineBatch) {
        let entry = batch.entries[index]
        let vector = index * batch.features..<(index + 1) * batch.features
        var present = 0
        for position in vector where batch.vectors[position].isFinite { present += 1 }
        pipeline.begin(script: Self.guardedWrite, keys: 1, arguments: 5 + 2 * present)
        scratch.removeAll(keepingCapacity: true)
        scratch.append(contentsOf: prefixBytes)
        scratch.append(contentsOf: batch.bytes[entry.entity])
        pipeline.add(scratch)
        pipeline.add(entry.eventTime)
        pipeline.add(entry.offset)
        pipeline.add(timeToLive)
        pipeline.add(batch.bytes[entry.id])
        pipeline.add(Int(entry.partition))
        for (name, position) in zip(nameBytes, vector) where batch.vectors[position].isFinite {
            pipeline.add(name)
            scratch.removeAll(keepingCapacity: true)
            NumberText.append(batch.vectors[position], to: &scratch)
            pipeline.add(scratch)
        }
    }

    /// The latest vector of an entity; nil where the store knows nothing of it. One round trip.
    public func get(_ entity: String) throws(RedisError) -> OnlineVector? {
        try get([entity]).first.flatMap { $0 }
    }

    /// The latest vectors of many entities, in their order, in one round trip.
    public func get(_ entities: [String]) throws(RedisError) -> [OnlineVector?] {
        if entities.isEmpty { return [] }
        pipeline.removeAll()
        for entity in entities {
            pipeline.begin("HMGET", arguments: 4 + features.count)
            pipeline.add(keyPrefix + entity)
            for field in ["@time", "@offset", "@id"] as [StaticString] { pipeline.add(field) }
            for name in nameBytes { pipeline.add(name) }
        }
        return try client.values(of: pipeline).map { reply in
            guard let fields = reply.array, fields.count == 3 + features.count, let time = fields[0].integer, let offset = fields[1].integer
            else { return nil }
            return OnlineVector(
                id: fields[2].text ?? "", eventTime: time, offset: offset, values: fields.dropFirst(3).map { $0.double ?? .nan })
        }
    }

    /// Names of stored entities, in no order, at most about `limit`. Walks the key space (SCAN): for status views, not for hot paths.
    public func entities(limit: Int) throws(RedisError) -> [String] {
        var names: Set<String> = []
        try scan { key in
            names.insert(String(key.dropFirst(keyPrefix.count)))
            return names.count < limit
        }
        return names.sorted()
    }

    /// How many entities are stored. Walks the key space (SCAN).
    public func countEntities() throws(RedisError) -> Int {
        var names: Set<String> = []
        try scan { key in
            names.insert(key)
            return true
        }
        return names.count
    }

    /// SCAN may give a key twice while the table is resized (redis.io/commands/scan), so callers collect a set.
    private func scan(_ body: (String) -> Bool) throws(RedisError) {
        var cursor = "0"
        repeat {
            guard let reply = try client.command("SCAN", cursor, "MATCH", pattern, "COUNT", "1000").array, reply.count == 2 else { return }
            cursor = reply[0].text ?? "0"
            for key in reply[1].array ?? [] {
                guard let name = key.text else { continue }
                if !body(name) { return }
            }
        } while cursor != "0"
    }
}
