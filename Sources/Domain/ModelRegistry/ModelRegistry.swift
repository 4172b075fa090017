import Contracts
import RedisClient

/// The models of one use case in Redis: immutable versions per feature set, a pointer to the one that scores (`current`), and one to the one
/// that is compared with it (`challenger`).
///
/// State per version: a string with the bytes (`RedisKeys.modelBytes`) and a hash with what is known about it (`modelMetadata`: `version`,
/// `published_at`, `bytes`, `sha256`, and the publisher's facts as `fact:<name>`); per feature set a counter, a sorted set of versions, the
/// pointers, and a list of the last 256 changes of `current`. Every change of a `current` gets the next number of the use case, its
/// generation, so that one number names the versions of all sets (`lineUp`). A version that is neither current nor challenger lives for
/// `retention` from then on.
///
/// Guarantee: a version becomes visible whole, by one script; its number is never given twice, even where a publisher dies in between (then
/// the number is left out). `load` gives only bytes whose size and SHA-256 are those of the metadata. Publishing and promoting may be
/// repeated after a lost answer; a repeated rollback goes one further back, so after an error look at `currentVersion` first.
///
/// Uses the caller's connection: one thread. Each call is one or two round trips.
public final class ModelRegistry {
    /// Largest model: Redis holds it in memory, and a reply must fit the client's limit of 64 MiB.
    public static let maximumModelBytes = 48 << 20
    /// Thirty days, in milliseconds.
    public static let usualRetention: Int64 = 30 * 86_400_000

    private let client: RedisClient
    private let keys: RedisKeys
    private let retention: Int64

    /// - Parameter retention: milliseconds that a version lives once it is neither current nor challenger.
    public init(_ client: RedisClient, useCase: String, retention: Int64 = ModelRegistry.usualRetention) {
        self.client = client
        keys = RedisKeys(useCase: useCase)
        self.retention = retention
    }

    // MARK: Writing

    /// Stores a new version and, if asked, makes it the current one in the same step.
    ///
    /// - Parameters:
    ///   - bytes: the encoded model, 1 byte to ``maximumModelBytes``.
    ///   - set: the feature set that it scores.
    ///   - facts: what people and tools may want to know; at most 1,000.
    ///   - now: wall clock, milliseconds.
    /// - Returns: the new version number.
    public func publish(
        _ bytes: [UInt8], set: String, facts: [String: String], promote: Bool, now: Int64
    ) throws(RegistryError) -> Int64 {
        guard !bytes.isEmpty, bytes.count <= Self.maximumModelBytes else {
            throw RegistryError(
                .refused,
                "A model of \(bytes.count) bytes cannot be published: it must have 1 to \(Self.maximumModelBytes) bytes, "
                    + "so use fewer or smaller trees.")
        }
        guard facts.count <= 1_000 else {
            throw RegistryError(.refused, "A model with \(facts.count) facts cannot be published: give at most 1,000.")
        }
        guard let version = try ask({ client throws(RedisError) in try client.command("INCR", keys.modelSequence(set: set)) }).integer
        else {
            throw RegistryError(
                .damaged, "The version counter of feature set \(set) is not a number: delete the key \(keys.modelSequence(set: set)).")
        }
        var arguments = [text(version), bytes, text(promote ? "1" : "0")]
        let fields = [
            ("version", "\(version)"), ("published_at", "\(now)"), ("bytes", "\(bytes.count)"), ("sha256", sha256(bytes)),
        ]
        for (name, value) in fields + facts.sorted(by: { $0.key < $1.key }).map({ (ModelVersion.factPrefix + $0.key, $0.value) }) {
            arguments.append(text(name))
            arguments.append(text(value))
        }
        guard try eval(RegistryScripts.publish, set, now, arguments) == .integer(1) else {
            throw RegistryError(
                .damaged,
                "Version \(version) of feature set \(set) exists already with other bytes: the counter was set back; publish again.")
        }
        return version
    }

    /// Makes a version the current one. Promoting the current version again changes nothing.
    ///
    /// - Parameter now: wall clock, milliseconds.
    public func promote(set: String, version: Int64, now: Int64) throws(RegistryError) {
        guard try eval(RegistryScripts.promote, set, now, [text(version)]) == .integer(1) else { throw unknown(set, version) }
    }

    /// Makes a version the challenger; nil withdraws it.
    public func challenge(set: String, version: Int64?, now: Int64) throws(RegistryError) {
        switch try eval(RegistryScripts.challenge, set, now, [version.map { text($0) } ?? []]).integer {
        case 1: return
        case -1:
            throw RegistryError(.refused, "Version \(version ?? 0) of feature set \(set) is the current one: it cannot challenge itself.")
        default: throw unknown(set, version ?? 0)
        }
    }

    /// Makes the version current that was promoted before the current one and still exists; again, one further back.
    ///
    /// - Parameter now: wall clock, milliseconds.
    /// - Returns: the version that is current now.
    public func rollback(set: String, now: Int64) throws(RegistryError) -> Int64 {
        guard let version = try eval(RegistryScripts.rollback, set, now, []).integer else {
            throw RegistryError(
                .nothingToRollBack,
                "Feature set \(set) has no earlier promoted version to go back to: promote one of its versions by number.")
        }
        return version
    }

    /// Deletes a version that is not the current one; its number is not used again.
    public func delete(set: String, version: Int64) throws(RegistryError) {
        switch try eval(RegistryScripts.delete, set, 0, [text(version)]).integer {
        case 1: return
        case -1:
            throw RegistryError(
                .refused, "Version \(version) of feature set \(set) is the current one: promote another before deleting it.")
        default: throw unknown(set, version)
        }
    }

    // MARK: Reading

    /// The version that scores now; nil where none was promoted yet. One GET: cheap enough to ask several times a second.
    public func currentVersion(set: String) throws(RegistryError) -> Int64? {
        try ask { client throws(RedisError) in try client.command("GET", keys.modelCurrent(set: set)) }.integer
    }

    /// The challenger; nil where there is none.
    public func challengerVersion(set: String) throws(RegistryError) -> Int64? {
        try ask { client throws(RedisError) in try client.command("GET", keys.modelChallenger(set: set)) }.integer
    }

    /// How often the current version of any set has changed; the cheap question whether `lineUp` has news.
    public func generation() throws(RegistryError) -> Int64 {
        try ask { client throws(RedisError) in try client.command("GET", keys.modelGeneration) }.integer ?? 0
    }

    /// The current version of each set as of a generation, the newest where none is given; nil for a set that had none, or whose history
    /// does not reach back so far.
    public func lineUp(sets: [String], at wanted: Int64? = nil) throws(RegistryError) -> (generation: Int64, versions: [Int64?]) {
        var pipeline = RedisPipeline()
        // First, so that changes in between are left for the next look.
        pipeline.append("GET", keys.modelGeneration)
        for set in sets { pipeline.append("LRANGE", keys.modelHistory(set: set), "0", "-1") }
        let replies = try ask { client throws(RedisError) in try client.run(pipeline) }
        let generation = wanted ?? replies.first?.integer ?? 0
        let versions = replies.dropFirst().map { reply in
            (reply.array ?? []).compactMap { $0.text.flatMap(ModelPromotion.init) }.last { $0.generation <= generation }?.version
        }
        return (generation, versions)
    }

    /// What is known about the version that scores now; nil where none was promoted yet.
    public func current(set: String) throws(RegistryError) -> ModelVersion? {
        guard let version = try currentVersion(set: set) else { return nil }
        return try metadata(set: set, version: version)
    }

    /// The model that scores now, checked; nil where none was promoted yet.
    public func loadCurrent(set: String) throws(RegistryError) -> StoredModel? {
        guard let version = try currentVersion(set: set) else { return nil }
        return try load(set: set, version: version)
    }

    /// A version's bytes and metadata. Throws `.damaged` where the bytes are not those that were published.
    public func load(set: String, version: Int64) throws(RegistryError) -> StoredModel {
        let metadata = try metadata(set: set, version: version)
        let reply = try ask { client throws(RedisError) in try client.command("GET", keys.modelBytes(set: set, version: version)) }
        guard let bytes = reply.bytes else {
            throw RegistryError(
                .damaged, "The bytes of version \(version) of feature set \(set) are gone from Redis: publish the model again.")
        }
        guard bytes.count == metadata.byteCount, sha256(bytes) == metadata.sha256 else {
            throw RegistryError(
                .damaged,
                "The bytes of version \(version) of feature set \(set) do not match their checksum (SHA-256 \(metadata.sha256), "
                    + "\(metadata.byteCount) bytes): roll back or publish the model again.")
        }
        return StoredModel(metadata: metadata, bytes: bytes)
    }

    /// What is known about a version.
    public func metadata(set: String, version: Int64) throws(RegistryError) -> ModelVersion {
        let reply = try ask { client throws(RedisError) in try client.command("HGETALL", keys.modelMetadata(set: set, version: version)) }
        guard let metadata = ModelVersion(set: set, version: version, reply) else { throw unknown(set, version) }
        return metadata
    }

    /// All versions, oldest first.
    public func versions(set: String) throws(RegistryError) -> [ModelVersion] {
        let reply = try ask { client throws(RedisError) in try client.command("ZRANGE", keys.modelVersions(set: set), "0", "-1") }
        let numbers = (reply.array ?? []).compactMap(\.integer)
        var pipeline = RedisPipeline()
        for version in numbers { pipeline.append("HGETALL", keys.modelMetadata(set: set, version: version)) }
        let replies = try ask { client throws(RedisError) in try client.run(pipeline) }
        // A version whose time is over, or that was deleted between the two calls, has no fields any more.
        return zip(numbers, replies).compactMap { ModelVersion(set: set, version: $0, $1) }
    }

    /// The last 256 changes of the current version, oldest first.
    public func history(set: String) throws(RegistryError) -> [ModelPromotion] {
        let reply = try ask { client throws(RedisError) in try client.command("LRANGE", keys.modelHistory(set: set), "0", "-1") }
        return (reply.array ?? []).compactMap { $0.text.flatMap(ModelPromotion.init) }
    }

    // MARK: Parts

    private func ask<T>(_ body: (RedisClient) throws(RedisError) -> T) throws(RegistryError) -> T {
        do throws(RedisError) { return try body(client) } catch { throw RegistryError(error) }
    }

    private func eval(_ script: RedisScript, _ set: String, _ now: Int64, _ arguments: [[UInt8]]) throws(RegistryError) -> RedisValue {
        let names = [
            keys.modelVersions(set: set), keys.modelCurrent(set: set), keys.modelChallenger(set: set), keys.modelHistory(set: set),
            keys.modelGeneration,
        ]
        let common = [Array(keys.modelPrefix(set: set).utf8), text(now), text(retention)]
        return try ask { client throws(RedisError) in try client.eval(script, keys: names, arguments: common + arguments) }
    }

    private func text(_ value: some CustomStringConvertible) -> [UInt8] { Array(value.description.utf8) }

    private func unknown(_ set: String, _ version: Int64) -> RegistryError {
        RegistryError(.noSuchVersion, "Feature set \(set) has no version \(version): list the versions to see which there are.")
    }
}
