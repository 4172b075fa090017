import Alerting
import RedisClient

/// What people see and ask for.
extension AlertStore {
    /// Most silences that may exist.
    public static let mostSilences = 1_000

    /// Those that are over are left out.
    public func silences(_ now: Int64) throws(RedisError) -> [Silence] {
        (try client.command("HVALS", keys.alertSilences).array ?? []).compactMap { $0.bytes.flatMap { Silence(json: $0) } }
            .filter { $0.until > now }.sorted { ($0.until, $0.id) < ($1.until, $1.id) }
    }

    /// Keeps a silence and forgets those that are over.
    /// - Returns: false where there are too many.
    public func add(_ silence: Silence, now: Int64) throws(RedisError) -> Bool {
        for value in try client.command("HVALS", keys.alertSilences).array ?? [] {
            guard let old = value.bytes.flatMap({ Silence(json: $0) }), old.until <= now else { continue }
            _ = try client.command("HDEL", keys.alertSilences, old.id)
        }
        guard try client.command("HLEN", keys.alertSilences).integer ?? 0 < Self.mostSilences else { return false }
        _ = try client.command([Array("HSET".utf8), Array(keys.alertSilences.utf8), Array(silence.id.utf8), silence.json])
        return true
    }

    /// - Returns: false where there is none of this id.
    public func removeSilence(_ id: String) throws(RedisError) -> Bool {
        try client.command("HDEL", keys.alertSilences, id).integer == 1
    }

    /// The groups with a burst, oldest burst first.
    public func bursts() throws(RedisError) -> [AlertGroup] {
        let names = (try client.command("ZRANGE", keys.alertTimers, "0", "-1").array ?? []).compactMap(\.text).filter { $0 != Fuse.key }
        var result: [AlertGroup] = []
        for start in stride(from: 0, to: names.count, by: 500) {
            let book = try load(groups: Array(names[start..<min(start + 500, names.count)]))
            result += book.groups.values
        }
        return result.filter { $0.phase != .quiet }.sorted { ($0.openedAt, $0.key) < ($1.openedAt, $1.key) }
    }

    /// Records of the newest messages, the oldest of them first.
    public func history(_ count: Int) throws(RedisError) -> [[UInt8]] {
        let reply = try client.command("XREVRANGE", keys.alertHistory, "+", "-", "COUNT", "\(count)")
        let records = (reply.array ?? []).compactMap { entry -> [UInt8]? in
            entry.array?.last?.fields?.first { $0.name == "alert" }?.value
        }
        return records.reversed()
    }
}
